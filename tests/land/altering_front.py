"""A front before a store that changes what passes: a store that ignores conditions, or that capitalises headers.

It drops headers of requests and renames headers of replies; the store behind must not mind a signature that no longer
covers its request (ministack does not).
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONDITIONS = frozenset({"if-none-match", "if-match"})
HOP_BY_HOP = frozenset({"expect", "connection", "transfer-encoding"})


@contextmanager
def front(
    port: int, *, drop: frozenset[str] = frozenset(), rename: Callable[[str], str] = lambda name: name
) -> Iterator[str]:
    """Address of a front before the store on `port`, without request headers `drop`, with reply headers renamed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Callable[[], None]:
            """The base class asks for `do_GET`, `do_PUT` and so on."""
            if not name.startswith("do_"):
                raise AttributeError(name)
            return self._forward

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in drop | HOP_BY_HOP}
            store = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            store.request(self.command, self.path, body, headers)
            reply = store.getresponse()
            content = reply.read()
            self.send_response_only(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in HOP_BY_HOP | {"content-length"}:
                    self.send_header(rename(name), value)
            length = reply.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)
            store.close()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
