"""The world of the model: a log, a store, a broker's clock, and workers that land one partition for ever.

The real `Heads`, `Partition`, `gaps` and `upkeep` run in it (`workers`); only bytes are not encoded, because no order
of events depends on them. A worker can be stopped before any request to the store while others go on: `Store.pauses`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from unittest.mock import patch

from ingest.land import chain, gaps, partition, upkeep
from ingest.land.broker import Topic
from ingest.land.encode import Chunk
from ingest.land.store import Entry, Put
from tests.land.memory import DAY_MS, MemoryLog, MemoryStore

SLOT = chain.Slot("dead_letters", 0)
LIMITS = chain.Limits(rows=7, bytes=1 << 20, seconds=60)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = timedelta(days=1)
HOUR = chain.BUFFER_SECONDS


class Violation(AssertionError):
    """The lake is wrong."""


@dataclass(frozen=True)
class Source:
    """Of which topic a record is: known to the model only."""

    topic_id: str

    @staticmethod
    def headers() -> None:
        return None


class Rows:
    """An object in the making without Parquet: which rows it holds."""

    waiting = size = poison = 0

    def __init__(self, slot: chain.Slot) -> None:
        self.held: list[tuple[str, int]] = []

    @property
    def rows(self) -> int:
        return len(self.held)

    def add(self, chunk: Chunk) -> None:
        ids = [source.topic_id for source in chunk.sources]  # type: ignore[attr-defined]
        self.held += zip(ids, chunk.offsets, strict=True)

    def compact(self) -> None:
        return None

    def close(self, landed: chain.Landed, *, writer: str, schema_version: int) -> tuple[bytes, dict[str, str]]:
        found = chain.metadata(landed, rows=self.rows, poison=0, writer=writer, schema_version=schema_version)
        return json.dumps(self.held).encode(), found


@contextmanager
def light_objects() -> Iterator[None]:
    """Objects without Parquet, for as long as this lasts."""
    with patch.object(partition, "ObjectWriter", Rows), patch.object(gaps, "ObjectWriter", Rows):
        yield


class Store(MemoryStore):
    """Sees at once when rows are landed twice, and stops a worker where the model wants it to."""

    gives_up = True
    """Whether a PUT that is under way takes effect within the hour, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[tuple[int, Callable[[], None]]] = []
        """After how many more requests what happens before the next one."""
        self.deleted: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        self.landed: set[tuple[str, int]] = set()

    def _request(self) -> None:
        if not self.pauses:
            return
        (left, happens), *rest = self.pauses
        self.pauses = rest if left == 0 else [(left - 1, happens), *rest]
        if left == 0:
            happens()

    def put(self, key: str, body: bytes, **rest: object) -> Put:  # type: ignore[override]
        self._request()
        return super().put(key, body, **rest)  # type: ignore[arg-type]

    def head(self, key: str) -> Entry | None:
        self._request()
        return super().head(key)

    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        self._request()
        return super().list(prefix, delimiter=delimiter)

    def delete(self, key: str) -> None:
        if chain.parse_key(key) and key in self.objects and not is_fence(self.objects[key]):
            self.deleted[key] = self.objects[key]
        super().delete(key)

    def _write(self, key: str, body: bytes, metadata: Mapping[str, str] | None, if_absent: bool) -> Put:
        outcome = super()._write(key, body, metadata, if_absent)
        if outcome is Put.WRITTEN and chain.parse_key(key):
            rows = {(topic_id, offset) for topic_id, offset in json.loads(body)}
            if rows & self.landed:
                raise Violation(f"doubled by {key}: {sorted(rows & self.landed)}")
            self.landed |= rows
        return outcome


def is_fence(stored: tuple[bytes, Mapping[str, str]]) -> bool:
    """Whether an object is an empty one at a gap."""
    return stored[1].get("attempt") == chain.FENCE


@dataclass
class World:
    """What is outside of every worker."""

    store: Store = field(default_factory=Store)
    log: MemoryLog = field(default_factory=MemoryLog)
    topic: Topic = field(default_factory=lambda: Topic(SLOT.topic, "id-0", 1))
    seconds: float = 0.0
    latest_ms: int = 0
    group: int | None = None
    """The group's committed offset, which anybody may set to anything."""
    held: dict[str, set[int]] = field(default_factory=lambda: {"id-0": set()})
    """Every record that a log ever held, by topic id."""
    first: int | None = None
    """Where the chain begins, since a worker was told."""
    looks: set[int] = field(default_factory=set)
    """Where the log began when a worker looked."""
    covered: dict[str, datetime] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def produce(self, count: int, gap: int) -> None:
        self.log.produce(count, gap=gap)
        self.latest_ms = max(self.latest_ms, self.log.now_ms)
        self.held[self.topic.id].update(offset for offset, _ in self.log.records)

    def pass_time(self, seconds: float) -> None:
        """The clock goes on for everybody."""
        self.seconds += seconds
        if seconds >= HOUR and self.store.gives_up:
            self.store.arrive()

    def check(self) -> None:
        """A check covers whatever rows have landed."""
        for key, stored in self.store.objects.items():
            if chain.parse_key(key) and not is_fence(stored):
                self.covered.setdefault(key, self.now)

    def expire_objects(self) -> None:
        """The daily upkeep, with a retention of a day."""
        if self.lake_id() != self.topic.id:
            return
        old = upkeep.old(self.store, self.topic, {0: self.log.log}, self.covered, before=self.now - KEPT)
        upkeep.delete(self.store, SLOT.topic, old, now=self.now)

    def make_anew(self) -> None:
        """The topic is deleted and made anew: another id, and offsets from 0."""
        self.log = MemoryLog(now_ms=self.log.now_ms)
        self.topic = Topic(SLOT.topic, f"id-{len(self.held)}", 1)
        self.held[self.topic.id] = set()

    def begun_at(self, head: int) -> None:
        """A worker found a head: from now on the chain's beginning is fixed, and must be where a log began."""
        if self.first is None:
            origin = self.store.objects.get(chain.origin_key(SLOT))
            self.first = chain.read_origin(origin[0]).first if origin else head
            expect(self.first in self.looks, f"begins at {self.first}, where no log began")

    def lake_id(self) -> str:
        """Of which topic the lake is."""
        origin = self.store.objects.get(chain.origin_key(SLOT))
        if origin is not None:
            return chain.read_origin(origin[0]).topic_id
        return next((found["topic_id"] for _, found in self.store.objects.values() if found), self.topic.id)

    def move_away(self) -> None:
        """The person's way out, all workers stopped: the landed rows move to another prefix."""
        self.store.arrive()
        self.verify()
        self.store.objects = {}
        self.store.deleted, self.covered, self.first, self.looks = {}, {}, None, set()

    def verify(self) -> None:
        """Ranges tile, every record is there once, and only what the log dropped is missing."""
        ranges: dict[int, int] = {}
        rows: list[tuple[str, int]] = []
        ids = set()
        for key, stored in (self.store.objects | self.store.deleted).items():
            parsed = chain.parse_key(key)
            if parsed is None or is_fence(stored):
                continue
            start, end = parsed[1], int(stored[1]["next"])
            found = [(topic_id, offset) for topic_id, offset in json.loads(stored[0])]
            expect(all(start <= offset < end for _, offset in found), f"{key} holds {found}")
            expect(start not in ranges, f"two objects at {start}")
            ids |= {stored[1]["topic_id"]} | {topic_id for topic_id, _ in found}
            ranges[start] = end
            rows += found
        topic_id = self.lake_id()
        expect(ids <= {topic_id}, f"rows of another topic: {ids} in the lake of {topic_id}")
        lost = set()
        for key, (body, _) in self.store.objects.items():
            if "/_gaps/" in key:
                start, end = chain.read_gap(body)
                if start not in ranges:  # else its rows landed in time
                    ranges[start] = end
                    lost |= set(range(start, end))
        for (_, end), (start, _) in pairwise(sorted(ranges.items())):
            expect(end == start, f"ranges do not tile: {sorted(ranges.items())}")
        expect(not ranges or min(ranges) == self.first, f"begins at {min(ranges, default=0)}, not {self.first}")
        offsets = [offset for _, offset in rows]
        expect(len(offsets) == len(set(offsets)), "doubled")
        expect(set(offsets) <= self.held[topic_id], "invented")
        expect(not lost & set(offsets), "a gap over landed rows")
        if topic_id == self.topic.id:
            kept = {offset for offset, _ in self.log.records}
            expect(not lost & kept, "lost while the log still held it")
            reached = max(ranges.values(), default=0)
            known = {offset for offset in self.held[topic_id] if min(ranges, default=0) <= offset < reached}
            expect(known <= set(offsets) | lost, f"missing: {known - set(offsets) - lost}")


def expect(holds: bool, fault: str) -> None:
    if not holds:
        raise Violation(fault)


def set_clock(world: World, change: str) -> None:
    """The broker's clock goes on, or is set back by less than a day."""
    match change:
        case "later":
            world.log.now_ms += DAY_MS // 3
        case "midnight":
            world.log.now_ms += DAY_MS
        case "earlier":
            world.log.now_ms = max(world.log.now_ms - DAY_MS // 3, world.latest_ms - DAY_MS * 2 // 3)
