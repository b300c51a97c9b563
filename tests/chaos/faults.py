"""Faults between a client and an S3 store, as an addon of mitmproxy: what is broken, and how often it really was.

mitmproxy runs it (`mitmdump --mode reverse:STORE -s faults.py`), in an environment of its own; `proxy.py` talks to it
over the path `/_faults`: PUT says what to do from now on, GET tells what has happened. A fault is counted when it
struck, not when it was drawn.
"""

import asyncio
import json
import random
import socket
import struct
from collections import Counter
from typing import Any
from urllib.parse import unquote

from mitmproxy import ctx, http

CONTROL = "/_faults"
BUSY = {
    "429": (429, "<Code>TooManyRequests</Code>"),
    "500": (500, "<Code>InternalError</Code>"),
    "503": (503, "<Code>SlowDown</Code>"),
    "409": (409, "<Code>ConditionalRequestConflict</Code>"),
    # What a load balancer before the store says, with a body that is no S3 error.
    "502 of a gateway": (502, "upstream connect error or disconnect"),
}
WRITES = {
    "429": 4,
    "500": 4,
    "503": 6,
    "409": 6,
    "502 of a gateway": 2,
    "reset before": 6,
    "reset after": 8,
    "500 after": 6,
    "cut short": 4,
    "reply lost": 0.8,
    "reply late": 2,
    "effect late": 0.8,
    "slow": 0.4,
}
READS = {"429": 3, "500": 3, "503": 4, "502 of a gateway": 2, "reset before": 4, "cut short": 12, "reply lost": 0.5}
"""Kinds of faults by how often they are drawn. Before: the store never saw the request. After: it has taken effect."""
NO_LINGER = struct.pack("ii", 1, 0)


class Faults:
    """One plan at a time: shares of the PUTs of rows, and of all other calls, fail as `seed` says; `hold` holds the
    next PUT of rows."""

    def __init__(self) -> None:
        self.share_of_objects = self.share_of_others = 0.0
        self.seed = 0
        self.slow_seconds = 8.0
        self.lost_seconds = 30.0
        self.hold: str | None = None
        self.held = False
        self.calls: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.gone: dict[str, asyncio.Event] = {}

    def client_connected(self, client: Any) -> None:
        self.gone[client.id] = asyncio.Event()

    def client_disconnected(self, client: Any) -> None:
        self.gone.pop(client.id).set()

    async def request(self, flow: http.HTTPFlow) -> None:
        """Before the store has seen it."""
        if flow.is_replay:
            return
        if flow.request.path == CONTROL:
            self._control(flow)
            return
        call = _call(flow.request)
        flow.metadata["call"] = call
        flow.metadata["kind"] = kind = self._draw(call, flow.request)
        self.calls[call] += 1
        if self._holds(flow, "during"):
            await self._until_gone(flow)
            flow.kill()
        elif kind in BUSY:
            self._strike(flow)
            status, error = BUSY[kind]
            body = f"<Error>{error}</Error>" if error.startswith("<") else error
            flow.response = http.Response.make(status, b"" if call == "HEAD" else body)
        elif kind == "reset before":
            self._strike(flow)
            self._reset(flow)
        elif kind == "slow":
            self._strike(flow)
            await asyncio.sleep(self.slow_seconds)
        elif kind == "effect late":
            # The client is gone, or has tried again, when its first attempt arrives at the store.
            self._strike(flow)
            late = flow.copy()
            await self._until_gone(flow)
            asyncio.get_running_loop().call_later(random.Random(self._number).uniform(0, 2), self._replay, late)
            flow.kill()

    async def response(self, flow: http.HTTPFlow) -> None:
        """The store has answered: what it was asked for has taken effect."""
        kind = flow.metadata.get("kind")
        if flow.is_replay or flow.request.path == CONTROL:
            return
        if self._holds(flow, "replied"):
            await self._until_gone(flow)
            flow.kill()
        elif kind == "reset after":
            self._strike(flow)
            self._reset(flow)
        elif kind == "500 after":
            self._strike(flow)
            flow.response = http.Response.make(500, f"<Error>{BUSY['500'][1]}</Error>")
        elif kind == "reply lost":
            self._strike(flow)
            await self._until_gone(flow)
            flow.kill()
        elif kind == "reply late":
            self._strike(flow)
            await asyncio.sleep(random.Random(self._number).uniform(0.2, 1.5))
        elif kind == "cut short":
            self._cut(flow)

    def _draw(self, call: str, request: http.Request) -> str | None:
        """The fault of this request: it follows from the seed and the request's number."""
        self._number = f"{self.seed}/{sum(self.calls.values())}"
        chance = random.Random(self._number)
        is_object = call == "PUT" and _is_object(request)
        if chance.random() >= (self.share_of_objects if is_object else self.share_of_others):
            return None
        kinds = WRITES if call == "PUT" else READS
        return chance.choices(list(kinds), list(kinds.values()))[0]

    def _strike(self, flow: http.HTTPFlow) -> None:
        self.struck[f"{flow.metadata['kind']}/{flow.metadata['call']}"] += 1

    def _holds(self, flow: http.HTTPFlow, place: str) -> bool:
        if self.hold != place or flow.metadata["call"] != "PUT" or not _is_object(flow.request):
            return False
        self.hold, self.held = None, True
        return True

    async def _until_gone(self, flow: http.HTTPFlow) -> None:
        """Until the client has given up."""
        gone = self.gone.get(flow.client_conn.id)
        if gone is not None:
            try:
                await asyncio.wait_for(gone.wait(), self.lost_seconds)
            except TimeoutError:
                return

    def _reset(self, flow: http.HTTPFlow) -> None:
        """End the client's connection with RST, not with an orderly close."""
        flow.kill()
        writer = _writer(flow)
        if writer is not None:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()

    def _cut(self, flow: http.HTTPFlow) -> None:
        """Send the answer's beginning, headers or body, then close in good order, as if that were all."""
        assert flow.response is not None
        writer = _writer(flow)
        if writer is None:
            return
        self._strike(flow)
        answer = flow.response
        lines = [f"HTTP/1.1 {answer.status_code} {answer.reason}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items(multi=True)]
        head, body = ("\r\n".join(lines) + "\r\n\r\n").encode(), answer.raw_content or b""
        whole = head + (b"" if flow.metadata["call"] == "HEAD" else body)
        writer.write(whole[: random.Random(self._number).randrange(1, len(whole) - 1)])
        flow.kill()
        writer.close()

    def _replay(self, late: http.HTTPFlow) -> None:
        ctx.master.commands.call("replay.client", [late])

    def _control(self, flow: http.HTTPFlow) -> None:
        if flow.request.method == "PUT":
            for name, value in json.loads(flow.request.content or b"{}").items():
                setattr(self, name, value)
            self.held = False
        told = {"held": self.held, "calls": self.calls, "struck": self.struck}
        flow.response = http.Response.make(200, json.dumps(told), {"Content-Type": "application/json"})


def _call(request: http.Request) -> str:
    """PUT; of GETs also LIST, and LOOK, which asks for one byte; anything else by its name."""
    if request.method == "GET" and "list-type" in request.query:
        return "LIST"
    return "LOOK" if request.headers.get("range") == "bytes=0-0" else request.method


def _is_object(request: http.Request) -> bool:
    return request.path.endswith(".parquet") and "/date=" in unquote(request.path)


def _writer(flow: http.HTTPFlow) -> Any:
    """The client's side of the connection; None when it has gone. mitmproxy has no other way to half an answer."""
    for handler in ctx.master.addons.get("proxyserver").connections.values():
        if handler.client is flow.client_conn:
            end = handler.transports.get(flow.client_conn)
            return end.writer if end else None
    return None


addons = [Faults()]
