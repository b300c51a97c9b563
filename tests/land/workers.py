"""The model's workers: what `consumer.Landing` does around a partition, for one of them; and what a design is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import chain, partition
from ingest.land.broker import Log
from ingest.land.heads import Heads
from ingest.land.partition import Ending, Partition
from ingest.land.records import Records
from tests.land.model import HOUR, LIMITS, SLOT, Source, Store, World, expect


@dataclass
class WorkersClock:
    """A worker's own clock: it begins anywhere, and passes as the world's."""

    world: World
    begin: float

    def now(self) -> float:
        return self.begin + self.world.seconds

    def wait(self, seconds: float) -> None:
        self.world.seconds += seconds


class Worker:
    """One process: it reads, buffers, lands, ends. What `consumer.Landing` does around a partition, for one of them."""

    def __init__(self, world: World, number: int, design: "Design") -> None:
        self.world, self.design = world, design
        self.name = f"worker-{number}"
        self.version = 1 + number % 2
        self.clock = WorkersClock(world, 1000.0 + 86_400 * number)
        self.end()

    def end(self) -> None:
        """The process ends: whatever it held is gone."""
        self.partition: Partition | None = None
        self.heads = self.design.heads(self.world)
        self.topic = self.world.topic
        self.fetched: list[tuple[int, int, str]] = []
        self.polled = self.clock.now()

    def start(self) -> None:
        """Find the head. A worker that is refused ends; that it is refused must be right."""
        self.fetched = []
        try:
            self.topic = self.world.topic
            log = self.world.log.log
            self.world.looks.add(log.start)
            head = self.heads.find(self.topic, {0: log}, self._logs)[0]
        except DependencyFailed:
            self.end()
            return
        except Misconfigured:
            self._refused()
            return
        self.world.begun_at(head)
        self.partition = self.design.partition(
            SLOT,
            self.world.store,
            head=head,
            topic_id=self.topic.id,
            limits=LIMITS,
            writer=self.name,
            clock=self.clock,
            day=self.heads.day(SLOT),
        )

    def _logs(self) -> dict[int, Log]:
        return {0: self.world.log.log}

    def _refused(self) -> None:
        current = self.world.topic.id
        expect(self.topic.id != current or self.world.lake_id() != current, "refused a topic that is what it was")
        self.end()

    def fetch(self, count: int) -> None:
        """Kafka's client fetches ahead of what is taken."""
        if self.partition is None:
            self.start()
        if self.partition is None or self.fetched:
            return
        log = self.world.log
        if not log.start <= self.partition.position <= log.end:  # out of range
            self.start()
            return
        found = log.read(self.partition.position, count)
        self.fetched = [(offset, timestamp, self.world.topic.id) for offset, timestamp in found]

    def take(self) -> None:
        """One poll: what was fetched is buffered; full buffers land."""
        fetched, self.fetched = self.fetched, []
        silent, self.polled = self.clock.now() - self.polled, self.clock.now()
        if self.partition is None or not fetched:
            return
        if self.design.doubts_old_fetches and silent > HOUR:
            self.start()
            return
        records = Records(
            [offset for offset, _, _ in fetched],
            [timestamp for _, timestamp, _ in fetched],
            [None] * len(fetched),
            [b""] * len(fetched),
            [Source(topic_id) for _, _, topic_id in fetched],
        )
        try:
            while records:
                if self.partition.begin(records.offsets[0], records.timestamps[0]) is not None:
                    return
                records = self.partition.append(records)
                if records and not self.land():
                    return
        except DependencyFailed:
            self.end()
        except Misconfigured:
            self._refused()

    def land(self) -> bool:
        """Land the buffer; False when it must be read again."""
        if self.partition is None:
            return False
        try:
            self.design.same_topic(self)
            with patch.object(partition, "CONTRACT", self.version):
                ending = self.partition.land(patience=3.0)
        except DependencyFailed:
            self.end()
            return False
        except Misconfigured:
            self._refused()
            return False
        match ending:
            case Ending.LANDED:
                self.world.group = self.partition.head
                if self.partition.last:
                    self.heads.passed(SLOT, self.partition.last)
            case Ending.SUPERSEDED:
                self.fetched = []
            case Ending.STALE:
                self.start()
        return ending is Ending.LANDED


class Design:
    """What a broken variant changes, and the events among which its fault shows soon."""

    workers = 3
    kinds: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    """What a worker does when it is stopped before a request, and ..."""
    meanwhile: tuple[str, ...] = ()
    """... what happens meanwhile."""
    store: type[Store] = Store
    partition: type[Partition] = Partition
    doubts_old_fetches = True

    @contextmanager
    def changed(self) -> Iterator[None]:
        """What else is different, for the time of an example."""
        yield

    def heads(self, world: World) -> Heads:
        return Heads(world.store)

    def same_topic(self, worker: Worker) -> None:
        """After the last record of a buffer was read: is the topic still the one that it began with?"""
        chain.same_topic(SLOT, worker.topic.id, worker.world.topic.id)

    def expire_objects(self, world: World) -> None:
        world.expire_objects()
