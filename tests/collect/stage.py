"""A collector's run in one process and no time: the sandbox called directly, waits that only move a clock, and what is
published and stored kept in memory. So hundreds of runs fit into a minute, and two of them differ in nothing else.
"""

import asyncio
import csv
import importlib.util
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx2
import msgspec
from pydantic import SecretStr

from infra.sandbox.app import Sandbox
from infra.sandbox.wire import Request
from ingest.collect import client, cycle, run, sampling, session, transport
from ingest.collect.outcome import PlatformFailed
from ingest.collect.platforms import REGISTRY
from ingest.events import TOPICS, BatchPublished, encode, topic
from ingest.settings import Settings, load
from tests.land.memory import MemoryStore

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
MEMBER_SECRET = "the member key of these tests"
AUTHORISING = {"authorization", "x-goog-api-key", "access-token"}
_sandbox: list[Sandbox] = []


def sandbox() -> Sandbox:
    """One world for all tests of the process: what it has drawn it need not draw again."""
    if not _sandbox:
        _sandbox.append(Sandbox())
    return _sandbox[0]


class Moving(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anything can be done, and else moves to what is due next."""

    moved = 0.0

    def time(self) -> float:
        return Moving.moved

    def _run_once(self) -> None:
        due = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if not self._ready and due:
            # A little further each time: what a limiter lacks by rounding is less than such a clock can show.
            Moving.moved = max(Moving.moved + 1e-6, min(due))
        super()._run_once()


class Direct(httpx2.AsyncBaseTransport):
    """Requests go to the sandbox's application without a network. What it answered is kept."""

    served: ClassVar[list[bytes]] = []
    carried: ClassVar[set[str]] = set()
    """What authorised the requests."""

    class Wire:
        """What the application sends to; a reset aborts it."""

        def __init__(self) -> None:
            self.status, self.headers, self.body, self.is_cut, self.transport = 0, [], b"", False, self

        def abort(self) -> None:
            self.is_cut = True

        async def send(self, message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status, self.headers = message["status"], message["headers"]
            else:
                self.body += message["body"]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body, wire = await request.aread(), Direct.Wire()
        sent = [value for name, value in request.headers.items() if name in AUTHORISING]
        Direct.carried.update(value.rpartition(" ")[2] for value in sent)
        scope = {
            "type": "http",
            "method": request.method,
            "path": request.url.path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 1),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        await sandbox()(scope, receive, wire.send)
        Direct.served.append(wire.body)
        if wire.is_cut:
            raise httpx2.ReadError("reset", request=request)
        return httpx2.Response(wire.status, headers=wire.headers, stream=httpx2.ByteStream(wire.body))


class Kept(Counter):
    """Stands for Kafka's producer: every message is encoded, and read back by its contract."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self.stage, self.published = stage, self

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def publish(self, messages: Any) -> None:
        for message in messages:
            if self.stage.breaks_after is not None and len(self.stage.wire) >= self.stage.breaks_after:
                raise BrokenPipeError("the process dies here")
            self.stage.wire.append((topic(message), encode(message)))
            self[topic(message)] += 1

    def flush(self) -> None:
        return None


@dataclass
class Ran:
    """One run: its notice, or why it failed, and what it published."""

    notice: BatchPublished | None
    failure: BaseException | None
    wire: list[tuple[str, bytes]]
    said: list[str]

    def events(self, name: str) -> list[Any]:
        """What was published to a topic."""
        return [msgspec.json.decode(payload, type=TOPICS[kind]) for kind, payload in self.wire if kind == name]

    @property
    def visible(self) -> set[str]:
        """Posts that were seen."""
        return {post.post_id for post in self.events("posts") if post.state == "visible"}


@dataclass
class Stage:
    """Where one platform's collector runs. `settings` name its accounts; each run adds to `wire` and to the store."""

    platform: str
    settings: Settings
    store: MemoryStore = field(default_factory=MemoryStore)
    wire: list[tuple[str, bytes]] = field(default_factory=list)
    breaks_after: int | None = None
    """After how many messages the process dies."""

    def run(self, what: str, run_id: str, now: datetime = NOW) -> Ran:
        """Collect or sample. Failures of the platform, and a death of the process, are what the run came to."""
        start, said, notice, failure = len(self.wire), [], None, None
        act = run.collect if what == "collect" else run.sample
        try:
            notice = act(self.settings, self.platform, now=now, run_id=run_id, progress=said.append)
        except (PlatformFailed, BrokenPipeError) as error:
            failure = error
        return Ran(notice, failure, self.wire[start:], said)

    def fault(self, **asked: object) -> None:
        """The only fault that waits: `fault(kind="html", endpoint="videos", times=1)`."""
        sandbox().faults.clear()
        sandbox().faults.add({"platform": self.platform} | asked)

    def forget(self) -> None:
        """Nothing was counted yet, and no fault waits."""
        Direct.served.clear()
        Direct.carried.clear()
        sandbox().faults.clear()
        sandbox().truth.requests.clear()
        for surface in sandbox().surfaces.values():
            surface.forget()

    def remember(self) -> dict[str, Any]:
        """The store as it is."""
        return dict(self.store.objects)

    def asked(self) -> set[str]:
        """The calls made since `forget`, by the sandbox's names."""
        return {name for platform, name, _ in sandbox().truth.requests if platform == self.platform} - {"unknown"}

    def units(self) -> int:
        """Units that the sandbox counted since `forget`, but for those of calls with a budget of their own."""
        apart = {one.name.rpartition(":")[2] for one in REGISTRY[self.platform].endpoints if one.apart}
        rows = sandbox().surfaces[self.platform].spent.rows()
        return sum(int(row["units"]) for row in rows if row["bucket"] not in apart)


def truth(what: str, at: datetime, **asked: str) -> Any:
    """What the world knows: `truth("posts", at, platform=…, account_id=…)`."""
    query = httpx2.QueryParams({**asked, "at": at.isoformat()})
    request = Request("GET", f"/_truth/{what}", str(query), {}, "", at.timestamp())
    return sandbox().truth.answer(request).body


def accounts(platform: str) -> list[dict[str, Any]]:
    """The truth of the platform's watched accounts."""
    return truth("accounts", NOW, platform=platform)


def set_up(platform: str, watched: list[str], tmp_path: Any, monkeypatch: Any) -> Stage:
    """A stage for these accounts.

    A platform that needs more, such as a grant, has a `stage_<platform>.py` beside this file with `prepare(stage)`.
    """
    path = tmp_path / f"watchlist-{len(watched)}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["creator_id", "creator_name", "platform", "account"])
        lines.writerows([f"c{number}", "Somebody", platform, name] for number, name in enumerate(watched))
    settings = load(
        _env_file=None,
        var_dir=tmp_path,
        watchlist_path=path,
        member_key=SecretStr(MEMBER_SECRET),
        audience_sample_size=110,
    )
    stage = Stage(platform, settings)
    runner = asyncio.Runner
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: Moving.moved))
    monkeypatch.setattr(transport.Sandbox, "_open", lambda _: httpx2.AsyncClient(transport=Direct()))
    monkeypatch.setattr(session, "Publisher", lambda _: Kept(stage))
    monkeypatch.setattr(run, "S3Store", lambda _: stage.store)
    monkeypatch.setattr(client, "PATIENCE", timedelta(days=1))
    monkeypatch.setattr(cycle, "PAGES", 12)
    monkeypatch.setattr(sampling, "PAGES", 12)

    def at_once(work: Any) -> Any:
        with runner(loop_factory=Moving) as loop:
            return loop.run(work)

    monkeypatch.setattr(session.asyncio, "run", at_once)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    if importlib.util.find_spec(f"tests.collect.stage_{platform}"):
        importlib.import_module(f"tests.collect.stage_{platform}").prepare(stage)
    stage.forget()
    return stage
