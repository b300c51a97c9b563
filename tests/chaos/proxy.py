"""A small HTTP proxy before the store that can hold a PUT: halfway through its body, or when it has taken effect.

It slows the store, never the landing: the code under test knows nothing of it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import unquote

Place = Literal["during", "replied"]


class Proxy:
    """One request a connection, each on a thread of its own."""

    def __init__(self, port: int) -> None:
        self._store = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.held = threading.Event()
        """A PUT is being held now."""
        self._hold: Place | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, place: Place | None) -> None:
        """Hold the next PUT of an object of the lake at this place; None: hold none."""
        self.held.clear()
        self._hold = place

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as reader:
                head = b"".join(iter(reader.readline, b"\r\n"))
                if not head:
                    return
                lines = head.decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                if headers.get("expect") == "100-continue":
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = reader.read(int(headers.get("content-length", 0)))
                kept = [line for line in lines if line and not line.lower().startswith(("expect:", "connection:"))]
                request = "\r\n".join([*kept, "Connection: close", "", ""]).encode("latin-1")
                place = self._take(lines[0])
                with socket.create_connection(self._store) as store:
                    if place == "during":
                        store.sendall(request + body[: len(body) // 2])
                        self._wait_for_the_end_of(client)
                        return
                    store.sendall(request + body)
                    answer = b"".join(iter(lambda: store.recv(1 << 16), b""))
                if place == "replied":
                    self._wait_for_the_end_of(client)
                    return
                client.sendall(answer)
        except OSError:
            return  # either side went away: that is what this proxy is for

    def _take(self, request: str) -> Place | None:
        """The place to hold this request at: only one is held."""
        if self._hold is None or not request.startswith("PUT ") or "/date=" not in unquote(request):
            return None
        place, self._hold = self._hold, None
        return place

    def _wait_for_the_end_of(self, client: socket.socket) -> None:
        self.held.set()
        client.recv(1)


@contextmanager
def before(port: int) -> Iterator[Proxy]:
    """A proxy before the store on this port."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
