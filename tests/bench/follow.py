"""`assay land --follow` as members of one group: until what was there has landed, or while nothing comes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from ingest.events import TOPICS
from ingest.land.broker import Broker, client_settings
from ingest.land.broker import group as group_name
from ingest.settings import Settings
from tests.bench.measure import Cost, Running
from tests.bench.sinks import ASSAY

LOOK_SECONDS = 0.1
IDLE_SECONDS = 1.0
"""A worker that has wanted next to no CPU for so long has read all there is."""
IDLE_SHARE = 0.2
"""Share of a core below which a worker counts as idle."""
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Followed:
    """What a group of `assay land --follow` did; seconds since it could begin."""

    read: float
    """When all had been read: the workers grew idle."""
    landed: float
    """When all was in the lake."""
    costs: list[Cost]

    def __str__(self) -> str:
        cpu = " and ".join(f"{cost.cpu:.1f}" for cost in self.costs)
        return f"read after {self.read:.1f} s, landed after {self.landed:.1f} s, CPU {cpu} s"


class Group:
    """One worker a core, pinned to it."""

    def __init__(self, settings: Settings, cores: Sequence[int]) -> None:
        self._settings = settings
        self._admin = AdminClient(client_settings(settings))
        self._broker = Broker(settings)
        self._topic = self._broker.topics(["posts"])["posts"]
        self.begun = time.monotonic()
        command = [ASSAY, "land", "--follow", "--topic", "posts"]
        self._workers = [Running(command, settings, cpu=core) for core in cores]

    def await_shared_out(self) -> None:
        """Wait until every worker has partitions and every partition a worker."""
        members = len(self._workers)
        _until(lambda: _shared_out(self._admin, self._settings, members, self._topic.partitions), self._workers)

    def await_idle(self) -> float:
        """Wait until the workers have read all there is; the moment when they had."""
        moments = [time.monotonic()] * len(self._workers)
        wanted = [worker.wanted() for worker in self._workers]

        def idle() -> bool:
            for number, worker in enumerate(self._workers):
                now = worker.wanted()
                if abs(now - wanted[number]) > IDLE_SHARE * LOOK_SECONDS:
                    moments[number] = time.monotonic()
                wanted[number] = now
            return time.monotonic() - max(moments) > IDLE_SECONDS

        _until(idle, self._workers)
        return max(moments)

    def await_landed(self) -> None:
        """Wait until the lag is gone."""
        _until(lambda: self._lag() == 0, self._workers)

    def _lag(self) -> int:
        """Events behind the heads, by the offsets that the group has committed: each follows its object's PUT."""
        name = group_name(self._settings)
        offsets = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result()
        committed = {place.partition: place.offset for place in offsets.topic_partitions}
        logs = self._broker.logs([self._topic])
        return sum(log.end - max(committed.get(slot.partition, 0), log.start) for slot, log in logs.items())

    def stop(self) -> list[Cost]:
        """Tell all to stop, which lands what they have buffered, and wait."""
        for worker in self._workers:
            worker.stop()
        return [worker.wait() for worker in self._workers]


def race(settings: Settings, cores: Sequence[int], release: Callable[[], None]) -> Followed:
    """Workers that have their partitions and wait, until `release` shows them all events at one moment.

    They are stopped (which lands what is buffered) as soon as all is read: how long a quiet service keeps its last
    buffer is a setting, and not its speed.
    """
    group = Group(settings, cores)
    group.await_shared_out()
    group.await_idle()
    released = time.monotonic()
    release()
    read = group.await_idle()
    noticed = time.monotonic()
    costs = group.stop()
    return Followed(read - released, read - released + time.monotonic() - noticed, costs)


def catch_up(settings: Settings, cores: Sequence[int]) -> Followed:
    """Workers started on a topic that is full already: from the start of their processes until the lag is gone."""
    group = Group(settings, cores)
    group.await_shared_out()
    read = group.await_idle()
    group.await_landed()
    landed = time.monotonic()
    return Followed(read - group.begun, landed - group.begun, group.stop())


def _until(condition: Callable[[], bool], workers: Sequence[Running]) -> None:
    """Wait for it. Raises SystemExit when a worker ends first, or after ten minutes."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        for worker in workers:
            if not worker.alive():
                worker.wait()
                raise SystemExit("a worker ended that nobody had told to")
        if time.monotonic() > end:
            raise SystemExit(f"the workers were not done after {PATIENCE_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _shared_out(admin: AdminClient, settings: Settings, members: int, partitions: int) -> bool:
    """Whether the group has so many members, all with work, and every partition is somebody's."""
    name = group_name(settings)
    try:
        described = admin.describe_consumer_groups([name])[name].result()
    except KafkaException:  # the broker makes its list of groups when the first one comes
        return False
    shares = [len(member.assignment.topic_partitions) for member in described.members if member.assignment]
    stable = described.state == ConsumerGroupState.STABLE
    return stable and len(shares) == members and all(shares) and sum(shares) == partitions


def idle_share(settings: Settings, *, settle: float, seconds: float) -> float:
    """Share of a core that one worker uses over `seconds` while nothing comes, `settle` seconds after its start."""
    worker = Running([ASSAY, "land", "--follow"], settings)
    admin = AdminClient(client_settings(settings))
    partitions = sum(topic.partitions for topic in Broker(settings).topics(TOPICS).values())
    _until(lambda: _shared_out(admin, settings, 1, partitions), [worker])
    time.sleep(settle)
    before, begun = worker.cpu(), time.monotonic()
    time.sleep(seconds)
    used, took = worker.cpu() - before, time.monotonic() - begun
    worker.stop()
    worker.wait()
    return used / took
