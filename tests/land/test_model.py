"""The landing under any order of events: several owners of one partition, crashes, lost replies, gaps, midnights.

The real `Heads` and `Partition` run on a store, a log and a clock in memory. Whatever happens, in the end every record
lies in the lake exactly once and the ranges tile. Each of the broken variants must be caught by the same machine: a
model that cannot fail proves nothing.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ingest.errors import DependencyFailed
from ingest.land import chain
from ingest.land.broker import Topic
from ingest.land.heads import Heads
from ingest.land.partition import Ending, Partition, Records
from tests.land.memory import DAY_MS, Bare, ForgetfulStore, MemoryLog, MemoryStore, TestClock

SLOT = chain.Slot("dead_letters", 0)
TOPIC = Topic("dead_letters", "id-1", 1)
LIMITS = chain.Limits(rows=7, bytes=1 << 20, seconds=60)
OWNERS = st.integers(0, 1)


class Owner:
    """A worker of the partition; it reads, buffers, lands, and crashes."""

    def __init__(self, name: str, world: "Landing") -> None:
        self.name, self.world = name, world
        self.clock = TestClock()
        self.partition: Partition | None = None

    def start(self) -> None:
        """Forget everything and begin at the chain's head. The rows of a gap are lost, and known to be."""
        head = self.world.find(Heads(self.world.store))
        self.partition = self.world.partition(
            SLOT,
            self.world.store,
            head=head,
            topic_id=TOPIC.id,
            limits=LIMITS,
            writer=self.name,
            clock=self.clock,
        )

    def read(self, count: int) -> None:
        """One poll: the next records, buffered; full buffers land."""
        if self.partition is None:
            self.start()
        partition = self.partition
        assert partition is not None
        if partition.position < self.world.log.start:  # out of range
            self.start()
            return
        found = self.world.log.read(partition.position, count)
        records = Records(
            [offset for offset, _ in found],
            [timestamp for _, timestamp in found],
            [None] * len(found),
            [b""] * len(found),
            [Bare()] * len(found),
        )
        while records:
            if partition.begin(records.offsets[0], records.timestamps[0]) is not None:
                return  # the next read seeks
            records = partition.append(records)
            if records and not self.land():
                return

    def land(self) -> bool:
        """Land the buffer; False when it must be read again."""
        if self.partition is None:
            return False
        try:
            ending = self.partition.land(patience=3.0)
        except DependencyFailed:
            self.partition = None  # the process ends
            return False
        if ending is Ending.STALE:
            self.start()
        return ending is Ending.LANDED


class Landing(RuleBasedStateMachine):
    """The world, and what may happen in it."""

    partition: type[Partition] = Partition
    store_type: type[MemoryStore] = MemoryStore

    def __init__(self) -> None:
        super().__init__()
        self.store = self.store_type()
        self.log = MemoryLog()
        self.owners = [Owner(f"worker-{number}", self) for number in range(2)]
        self.produced: set[int] = set()
        self.first_seen: int | None = None

    def find(self, heads: Heads) -> int:
        if self.first_seen is None:
            self.first_seen = self.log.start
        return heads.find(TOPIC, {0: self.log.log})[0]

    @initialize(count=st.integers(0, 10))
    def begin(self, count: int) -> None:
        self.produce(count, 0)

    @rule(count=st.integers(1, 12), gap=st.sampled_from([0, 0, 0, 1, 3]))
    def produce(self, count: int, gap: int) -> None:
        before = self.log.end
        self.log.produce(count, gap=gap)
        self.produced |= {offset for offset, _ in self.log.records if offset >= before}

    @rule(owner=OWNERS, count=st.integers(1, 20))
    def read(self, owner: int, count: int) -> None:
        self.owners[owner].read(count)

    @rule(owner=OWNERS)
    def land(self, owner: int) -> None:
        self.owners[owner].land()

    @rule(owner=OWNERS, faults=st.lists(st.sampled_from(["down", "lost", "conflict"]), min_size=1, max_size=4))
    def land_through_faults(self, owner: int, faults: list[str]) -> None:
        self.store.faults = faults
        self.owners[owner].land()
        self.store.faults = []

    @rule(owner=OWNERS, event=st.sampled_from(["crash", "pause", "freeze", "later", "earlier", "midnight", "expire"]))
    def meanwhile(self, owner: int, event: str) -> None:
        """What happens around the landing: to a worker, to the broker's clock, to the log."""
        match event:
            case "crash":
                self.owners[owner].partition = None
            case "pause":
                self.owners[owner].clock.seconds += 30
            case "freeze":
                self.owners[owner].clock.seconds += chain.BUFFER_SECONDS + 1
            case "later":
                self.log.now_ms += DAY_MS // 3
            case "earlier":  # the clock is set back
                self.log.now_ms -= DAY_MS // 3
            case "midnight":
                self.log.now_ms += DAY_MS
            case "expire":  # days old, where no buffer is older than an hour
                self.log.expire(3)
                for one in self.owners:
                    if one.partition is not None and one.partition.head < self.log.start:
                        one.partition = None

    def teardown(self) -> None:
        """A last worker lands what is left; then the lake must be whole."""
        last = Owner("last", self)
        last.start()
        for _ in range(1000):
            assert last.partition is not None
            if last.partition.position >= self.log.end or not self.log.read(last.partition.position, 1):
                break
            last.read(50)
        last.land()
        self.check()

    def check(self) -> None:
        ranges, landed = [], []
        for key, (body, metadata) in self.store.objects.items():
            parsed = chain.parse_key(key)
            if parsed is not None:
                start, end = parsed[1], int(metadata["next"])
                table = pq.read_table(pa.BufferReader(body), columns=["_offset"], use_threads=False)
                offsets = table.column(0).to_pylist()
                assert all(start <= offset < end for offset in offsets), f"{key} holds {offsets}"
                ranges.append((start, end))
                landed += offsets
            elif "/_gaps/" in key:
                ranges.append(chain.read_gap(body))
        ranges.sort()
        for (_, end), (start, _) in pairwise(ranges):
            assert end == start, f"ranges do not tile: {ranges}"
        assert not ranges or ranges[0][0] == self.first_seen, "the first rows were lost, and nobody knows"
        assert len(landed) == len(set(landed)), "doubled"
        lost = {offset for start, end in ranges for offset in range(start, end)} - set(landed)
        assert not {offset for offset, _ in self.log.records} - set(landed), "missing"
        assert not set(landed) - self.produced, "invented"
        assert all(offset < self.log.start for offset in lost & self.produced), "lost while the log still held it"


class WriterInKey(Partition):
    def _key(self, day: Any) -> str:
        return super()._key(day).replace(".parquet", f"{hash(self._writer) % 10}.parquet")


class ClockInKey(Partition):
    def _key(self, day: Any) -> str:
        return chain.object_key(self.slot, chain.day_of(int(self._clock.now()) * DAY_MS), self.head)


class EndInKey(Partition):
    def _key(self, day: Any) -> str:
        return chain.object_key(self.slot, chain.day_of(20_000 * DAY_MS + self.position * DAY_MS), self.head)


class ReadsOnAfterLosing(Partition):
    """On 412, keeps its own position instead of the chain's."""

    def land(self, patience: float = 3.0) -> Ending:
        position = self.position
        ending = super().land(patience)
        if ending is Ending.SUPERSEDED:
            self.head = self.position = position
        return ending


def without_origin(self: Landing, heads: Heads) -> int:
    heads._origin = lambda slot, topic, part: part.start  # type: ignore[method-assign]
    return Landing.find(self, heads)


def variant(name: str, **changes: object) -> type[Landing]:
    return type(name, (Landing,), changes)


QUICK = settings(
    max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
HUNT = settings(QUICK, max_examples=1000, phases=[Phase.generate])


def test_any_order_of_events_lands_every_record_exactly_once() -> None:
    run_state_machine_as_test(Landing, settings=QUICK)


@pytest.mark.parametrize(
    "broken",
    [
        variant("NoCondition", store_type=ForgetfulStore),
        variant("WriterInTheKey", partition=WriterInKey),
        variant("WallClockInTheKey", partition=ClockInKey),
        variant("EndInTheKey", partition=EndInKey),
        variant("ReadsOn", partition=ReadsOnAfterLosing),
        variant("NoOrigin", find=without_origin),
    ],
    ids=lambda machine: machine.__name__,
)
def test_the_model_catches_a_broken_landing(broken: Callable[[], RuleBasedStateMachine]) -> None:
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(broken, settings=HUNT)
