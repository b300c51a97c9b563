"""Broken designs: what the landing's rules forbid, each of which the model must catch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any
from unittest.mock import patch

from ingest.land import chain, gaps, upkeep
from ingest.land.broker import Log, Topic
from ingest.land.heads import Heads
from ingest.land.partition import Ending, Partition
from ingest.land.store import Put
from tests.land.memory import DAY_MS
from tests.land.model import SLOT, Store, World
from tests.land.workers import Design, Worker

RACE = ("produce", "produce", "read", "read", "land", "land", "midnight")
AGE = ("produce", "produce", "read", "read", "start", "land", "land", "grow old")
GAPS = ("produce", "produce", "read", "read", "land", "land", "expire", "midnight")
TOPICS = ("produce", "produce", "read", "read", "land", "land", "crash", "make anew")


class Forgetful(Store):
    """Ignores the condition of a PUT, as some stores do."""

    def put(self, key: str, body: bytes, **rest: object) -> Put:  # type: ignore[override]
        return super().put(key, body, **rest | {"if_absent": False})


class NoCondition(Design):
    kinds = RACE
    store = Forgetful


class WriterInKey(Design):
    kinds = RACE

    class partition(Partition):  # noqa: N801
        def _key(self, day: date) -> str:
            return super()._key(day).replace("/partition=", f"/{self._writer}/partition=")


class WallClockInKey(Design):
    kinds = RACE

    class partition(Partition):  # noqa: N801
        def _key(self, day: date) -> str:
            return super()._key(day).replace("/partition=", f"/{self._clock.now():.0f}/partition=")


class EndInKey(Design):
    kinds = RACE

    class partition(Partition):  # noqa: N801
        def _key(self, day: date) -> str:
            return super()._key(day).replace("/partition=", f"/{self.position}/partition=")


class DateFromWallClock(Design):
    """Workers' clocks are days apart here, as they are around any midnight."""

    kinds = RACE

    class partition(Partition):  # noqa: N801
        def _key(self, day: date) -> str:
            return super()._key(chain.day_of(20_000 * DAY_MS + int(self._clock.now() * 1000)))


class NextFreeName(Design):
    """On 412, lands under the next name."""

    kinds = RACE

    class partition(Partition):  # noqa: N801
        def _put(
            self, day: date, key: str, body: bytes, metadata: dict[str, str], patience: float
        ) -> chain.Landed | None:
            found = super()._put(day, key, body, metadata, patience)
            if found is None or found.attempt == metadata["attempt"]:
                return found
            self._store.put(key.replace("/partition=", "/2/partition="), body, metadata=metadata, if_absent=True)
            return chain.landed(key, metadata)


class ReadsOn(Design):
    """After losing a race, keeps its own position instead of the chain's."""

    kinds = RACE

    class partition(Partition):  # noqa: N801
        def land(self, patience: float = 3.0) -> Ending:
            position = self.position
            ending = super().land(patience)
            if ending is Ending.SUPERSEDED:
                self.head = self.position = position
            return ending


class NoOrigin(Design):
    kinds = ("produce", "produce", "read", "start", "crash", "land", "expire")

    def heads(self, world: World) -> Heads:
        heads = super().heads(world)
        heads._origin = lambda slot, topic, part: part.start  # type: ignore[method-assign]
        return heads


class OriginFromGroup(Design):
    """Begins at the group's committed offset where the lake has nothing."""

    kinds = ("produce", "produce", "read", "start", "crash", "land", "group reset")

    def heads(self, world: World) -> Heads:
        heads = super().heads(world)

        def origin(slot: chain.Slot, topic: Topic, part: Log) -> int:
            first = part.start if world.group is None else min(max(world.group, part.start), part.end)
            return Heads._origin(heads, slot, topic, Log(first, part.end))

        heads._origin = origin  # type: ignore[method-assign]
        return heads


class NoTopicId(Design):
    kinds = TOPICS

    @contextmanager
    def changed(self) -> Iterator[None]:
        with patch.object(chain, "same_topic", lambda *_: None):
            yield


class TopicAskedAtStartOnly(Design):
    """A topic made anew under a worker is not noticed before it lands."""

    kinds = TOPICS

    def same_topic(self, worker: Worker) -> None:
        return None


class DeletesWhatTheLogHolds(Design):
    workers = 2
    kinds = ("produce", "read", "read", "land", "start", "rest")

    def expire_objects(self, world: World) -> None:
        old = upkeep.old(world.store, world.topic, {0: Log(1 << 40, 1 << 40)}, world.covered, before=world.now)
        upkeep.delete(world.store, SLOT.topic, old, now=world.now)


class DeletesTheLast(Design):
    kinds = AGE

    def expire_objects(self, world: World) -> None:
        for key, (_, metadata) in list(world.store.objects.items()):
            if chain.parse_key(key) and int(metadata["next"]) <= world.log.start:
                world.store.delete(key)


class NoAge(Design):
    """Buffers, and what was fetched, may be of any age."""

    workers = 2
    kinds = AGE

    doubts_old_fetches = False

    class partition(Partition):  # noqa: N801
        def _age(self) -> float:
            return 0.0


class OldFetches(Design):
    """What Kafka's client fetched before a long sleep is taken for new."""

    workers = 2
    kinds = (*AGE, "fetch", "fetch", "take")

    doubts_old_fetches = False


class Stubborn(Store):
    """A client that retries by itself, for as long as it takes."""

    gives_up = False

    def put(self, key: str, body: bytes, **rest: Any) -> Put:  # type: ignore[override]
        self.faults = ["late" for _ in self.faults]
        return super().put(key, body, **rest)


class RetriesPastTheAge(Design):
    workers = 2
    kinds = (*AGE, "land down", "arrive")
    store = Stubborn


class NoFence(Design):
    """A gap is recorded and passed, and nothing keeps late rows out."""

    workers = 2
    kinds = GAPS

    @contextmanager
    def changed(self) -> Iterator[None]:
        put = Store.put

        def without_fences(self: Store, key: str, body: bytes, **rest: Any) -> Put:
            metadata: Mapping[str, str] = rest.get("metadata") or {}
            return Put.WRITTEN if metadata.get("attempt") == chain.FENCE else put(self, key, body, **rest)

        with patch.object(Store, "put", without_fences):
            yield


class UnopenedDays(Design):
    """A worker lands on a day that nobody knows of."""

    workers = 2
    kinds = GAPS

    @contextmanager
    def changed(self) -> Iterator[None]:
        with patch.object(gaps, "open_day", lambda *_: True):
            yield


class OneLookAtTheLog(Design):
    """Takes records that came since its look for a log that was truncated."""

    workers = 2
    kinds = ("produce", "read", "land", "crash")
    stopped = ("start",)
    meanwhile = ("produce", "read")

    def heads(self, world: World) -> Heads:
        heads = super().heads(world)
        heads.find = lambda topic, logs, look_again=None: Heads.find(heads, topic, logs)  # type: ignore[method-assign]
        return heads


ALL: tuple[type[Design], ...] = (
    NoCondition,
    WriterInKey,
    WallClockInKey,
    EndInKey,
    DateFromWallClock,
    NextFreeName,
    ReadsOn,
    NoOrigin,
    OriginFromGroup,
    NoTopicId,
    TopicAskedAtStartOnly,
    DeletesWhatTheLogHolds,
    DeletesTheLast,
    NoAge,
    OldFetches,
    RetriesPastTheAge,
    NoFence,
    UnopenedDays,
    OneLookAtTheLog,
)
