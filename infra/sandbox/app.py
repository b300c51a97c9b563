"""The server: one ASGI application for all platforms, told apart by Host, else by how the path begins.

A platform is a row in `traits.py` and the module that the row names, with one class:

    class Clips(Surface):
        def endpoint(self, path): return "videos" if path == "/v1/videos" else None
        def answer(self, endpoint, request): return Answer(200, {"videos": [...]})
        def fault(self, kind, request): return Answer(429 if kind == "throttled" else 503, {"error": kind})
"""

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from importlib.util import find_spec
from typing import Any

import msgspec

from infra.sandbox.faults import WORDED, Fault, Faults
from infra.sandbox.spoil import SPOILING
from infra.sandbox.surface import Surface
from infra.sandbox.traits import TRAITS, platform_of
from infra.sandbox.truth import Truth
from infra.sandbox.wire import HTML, Answer, Limits, Refusal, Request, seconds
from infra.sandbox.world import World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
BANNER = (b"server", b"assay-sandbox")
NOW = "x-sandbox-now"


def surfaces(world: World, limits: Limits) -> dict[str, Surface]:
    """The API of each platform whose module is there."""
    found = {}
    for name, row in TRAITS.items():
        module, _, own = row.surface.partition(":")
        if find_spec(f"infra.sandbox.{module}"):
            found[name] = getattr(importlib.import_module(f"infra.sandbox.{module}"), own)(world, limits)
    return found


class Sandbox:
    """The ASGI application. Between requests it keeps only what platforms count: quota, rate windows, requests."""

    def __init__(
        self, seed: int = 7, fakes: float = 1.0, limits: Limits | None = None, more: Mapping[str, int] | None = None
    ) -> None:
        world, limits = World(seed, fakes, more), limits or Limits()
        self._latency = limits.latency
        self.surfaces = surfaces(world, limits)
        self.world, self.truth, self.faults = world, Truth(world, self.surfaces), Faults(tuple(self.surfaces))
        self._about = {"seed": seed, "fakes": fakes, "limits": limits}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            client=scope["client"][0] if scope.get("client") else "",
            now=time.time(),
        )
        if moment := headers.get(NOW):
            try:
                request.now = seconds(moment)
            except ValueError:
                await _send(send, Answer(400, {"error": f"{NOW}: {moment!r} is not an RFC 3339 moment"}), request.now)
                return
        received = time.monotonic()
        platform = platform_of(request.host_name, request.path)
        if request.method == "POST" or platform is None:
            request.body = await _body(receive)
        if platform not in self.surfaces:
            await _send(send, self._own(request), request.now)
            return
        surface = self.surfaces[platform]
        endpoint = surface.endpoint(request.path)
        fault = self.faults.take(platform, endpoint, request.path)
        answer = await self._meet(fault, surface, endpoint, request)
        self.truth.requests[platform, endpoint or "unknown", answer.status if answer else 0] += 1
        if answer is None:
            # A reset: the connection ends without an answer. Only the server's own protocol object can do that.
            send.__self__.transport.abort()  # type: ignore[attr-defined]
            return
        if self._latency:
            await asyncio.sleep(self._latency - (time.monotonic() - received))
        await _send(send, answer, request.now)

    async def _meet(
        self, fault: Fault | None, surface: Surface, endpoint: str | None, request: Request
    ) -> Answer | None:
        """The answer with its fault, or None for no answer at all."""
        if fault and fault.kind == "reset":
            return None
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault and fault.kind == "shifted":
            request.now += fault.seconds
        elif fault and fault.kind == "looped" and fault.first:
            return fault.first
        elif fault and fault.kind == "bare_429":
            answer = surface.fault("throttled", request)
            return Answer(answer.status, answer.body, (), answer.content_type)
        elif fault and fault.kind in WORDED:
            return surface.fault(fault.kind, request)
        if request.method not in ("GET", "HEAD") and not (request.method == "POST" and endpoint in surface.POSTS):
            return Answer(405, {"error": "this call only reads"})
        try:
            answer = surface.answer(endpoint, request)
        except Refusal as refusal:
            answer = refusal.answer
        if fault and fault.kind == "looped":
            fault.first = answer
        return SPOILING[fault.kind](answer) if fault and fault.kind in SPOILING else answer

    def _own(self, request: Request) -> Answer:
        """What the sandbox says of itself."""
        if request.path == "/_health":
            return Answer(200, {"status": "ok"} | self._about)
        if request.path == "/_truth/requests" and request.method == "DELETE":
            self.truth.requests.clear()
            for surface in self.surfaces.values():
                surface.forget()
        if request.path.startswith("/_truth/"):
            return self.truth.answer(request)
        if request.path == "/_faults":
            return self._faults(request)
        if request.path == "/":
            return self._front(request)
        return Answer(404, {"error": "not found: this is assay's sandbox; see /"})

    def _faults(self, request: Request) -> Answer:
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            try:
                self.faults.add(msgspec.json.decode(request.body, type=dict[str, object]))
            except ValueError as wrong:  # msgspec's errors are ValueErrors
                return Answer(400, {"error": str(wrong)})
        return Answer(200, self.faults.listed())

    def _front(self, request: Request) -> Answer:
        rows = "".join(
            f"<tr><td>{a.creator_id}</td><td>{a.creator_name}</td><td>{a.platform}</td><td>{a.account}</td>"
            f"<td>{a.market}</td><td>{a.topic}</td><td>{'yes' if a.is_watched else ''}</td></tr>"
            for a in self.world.accounts
            if a.platform in self.surfaces
        )
        page = f"""<!DOCTYPE html><html><head><meta charset="utf-8"><title>assay's sandbox</title></head><body>
<h1>A stand-in, not a platform</h1>
<p>This server answers like {", ".join(self.surfaces)} for an invented world (seed {self.world.seed}).
Nobody here is real. The truth behind it: <a href="/_truth/accounts?all=1">accounts</a>,
<a href="/_truth/requests">requests</a>; state: <a href="/_health">health</a>, <a href="/_faults">faults</a>.</p>
<p>To follow one of these accounts, add creator, platform and account to the watch list.</p>
<table><tr><th>creator_id<th>creator_name<th>platform<th>account<th>market<th>topic<th>watched</tr>{rows}</table></body></html>"""
        return Answer(200, page.encode(), content_type=HTML)


async def _send(send: Send, answer: Answer, now: float) -> None:
    body = answer.encoded()
    headers = [
        BANNER,
        (b"date", formatdate(now, usegmt=True).encode()),
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode("latin-1")) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
