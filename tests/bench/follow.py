"""`assay land --follow` as members of one group: until what was there has landed, or while nothing comes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from ingest.events import TOPICS
from ingest.land.broker import Broker, client_settings, group
from ingest.settings import Settings
from tests.bench.measure import Cost, Running
from tests.bench.sinks import ASSAY

LOOK_SECONDS = 0.1
IDLE_SECONDS = 0.5
"""A worker that has used next to no CPU for so long has read all there is."""
IDLE_SHARE = 0.2
"""Share of a core below which a worker counts as idle."""
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Followed:
    """What a group of `assay land --follow` did with a topic filled beforehand; seconds since their start."""

    assigned: float
    """When every partition had its worker."""
    read: float
    """When all had been read: the workers grew idle."""
    landed: float
    """When all was in the lake."""
    costs: list[Cost]

    def __str__(self) -> str:
        cpu = " and ".join(f"{cost.cpu:.1f}" for cost in self.costs)
        return f"assigned {self.assigned:.1f} s, read {self.read:.1f} s, landed {self.landed:.1f} s, CPU {cpu} s"


def follow(settings: Settings, cores: Sequence[int], *, told: bool) -> Followed:
    """Land what is there by a worker a core, pinned to it, as members of one group; then stop them.

    `told`: they are stopped (SIGTERM, which lands what is buffered) as soon as all is read, and `landed` is when the
    last of them has ended. Otherwise nobody helps, and it is when the last buffer grew old enough to land by itself.
    """
    admin = AdminClient(client_settings(settings))
    topic = Broker(settings).topics(["posts"])["posts"]
    begun = time.monotonic()
    workers = [Running([ASSAY, "land", "--follow", "--topic", "posts"], settings, cpu=core) for core in cores]

    def since() -> float:
        return time.monotonic() - begun

    _until(lambda: _shared_out(admin, settings, len(workers), topic.partitions), workers)
    assigned = since()
    grew_idle = [since()] * len(workers)
    used = [worker.cpu() for worker in workers]

    def idle() -> bool:
        for number, worker in enumerate(workers):
            now = worker.cpu()
            if now - used[number] > IDLE_SHARE * LOOK_SECONDS:
                grew_idle[number] = since()
            used[number] = now
        return since() - max(grew_idle) > IDLE_SECONDS

    _until(idle, workers)
    read = max(grew_idle)
    if not told:
        _until(lambda: _lag(settings, admin) == 0, workers)
    landed, noticed = since(), since() - read
    for worker in workers:
        worker.stop()
    costs = [worker.wait() for worker in workers]
    return Followed(assigned, read, since() - noticed if told else landed, costs)


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
    name = group(settings)
    described = admin.describe_consumer_groups([name])[name].result()
    shares = [len(member.assignment.topic_partitions) for member in described.members if member.assignment]
    stable = described.state == ConsumerGroupState.STABLE
    return stable and len(shares) == members and all(shares) and sum(shares) == partitions


def _lag(settings: Settings, admin: AdminClient) -> int:
    """Events behind the heads, by the offsets that the group has committed: each follows its object's PUT."""
    name = group(settings)
    logs = Broker(settings).logs(Broker(settings).topics(["posts"]).values())
    places = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result().topic_partitions
    committed = {place.partition: place.offset for place in places if place.topic == settings.topic("posts")}
    return sum(log.end - max(committed.get(slot.partition, 0), log.start) for slot, log in logs.items())


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
