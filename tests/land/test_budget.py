"""One budget over all partitions: the largest goes first, and a slow store never keeps the loop from polling."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.land import chain
from ingest.land.broker import Broker, Topic
from ingest.land.consumer import SLICE_SECONDS, Landing
from ingest.land.heads import Heads
from ingest.land.partition import Ending, Totals
from ingest.settings import load
from tests.land.memory import MemoryStore, TestClock

MB = 1 << 20


@dataclass
class Buffer:
    """A partition as far as the budget knows it."""

    slot: chain.Slot
    memory: int
    clock: TestClock
    seconds: float
    """What landing it takes."""
    since: float = 0.0
    last: str = ""
    head: int = 0
    rows: int = 1
    totals: Totals = field(default_factory=Totals)
    landed: list[int] = field(default_factory=list)

    @property
    def opened(self) -> float:
        return self.since

    def compact(self) -> bool:
        return False

    def due(self) -> bool:
        return self.memory > 0

    def land(self, patience: float) -> Ending:
        self.clock.wait(self.seconds)
        self.memory = 0
        self.landed.append(self.slot.partition)
        return Ending.LANDED


class Paused:
    """Kafka's consumer as far as pausing goes."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.waited: list[float] = []

    def assignment(self) -> list[str]:
        return ["all"]

    def pause(self, places: list[str]) -> None:
        self.said.append("pause")

    def resume(self, places: list[str]) -> None:
        self.said.append("resume")

    def consume(self, wanted: int, seconds: float) -> list[object]:
        self.waited.append(seconds)
        return []

    def commit(self, **_: object) -> None:
        pass


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


def landing_of(clock: TestClock, sizes: list[int], seconds: float) -> tuple[Any, Paused, list[int]]:
    settings = load(_env_file=None, land_memory_mb=100)
    landing: Any = Landing(settings, Heads(MemoryStore()), Broker(settings), clock, "me")
    landing._consumer = consumer = Paused()
    landing.topics = {"posts": Topic("posts", "id-1", len(sizes))}
    landing.broker = SimpleNamespace(topics=lambda _: landing.topics)
    landing.place = lambda slot: SimpleNamespace(topic=slot.topic, partition=slot.partition, offset=0)
    order: list[int] = []
    for number, size in enumerate(sizes):
        slot = chain.Slot("posts", number)
        landing.partitions[slot] = Buffer(slot, size * MB, clock, seconds, since=float(-number), landed=order)
    return landing, consumer, order


def test_over_the_budget_the_largest_lands_until_the_rest_fits(clock: TestClock) -> None:
    landing, consumer, order = landing_of(clock, [30, 50, 40], 1.0)
    landing.poll(0.5)
    assert order == [1]
    assert (landing.buffered, landing.paused, consumer.said) == (70 * MB, False, [])


def test_within_the_budget_nothing_lands(clock: TestClock) -> None:
    landing, _, order = landing_of(clock, [30, 30, 40], 1.0)
    landing.poll(0.5)
    assert order == []


def test_a_slow_store_pauses_reading_and_the_loop_goes_on_polling(clock: TestClock) -> None:
    landing, consumer, order = landing_of(clock, [300, 200, 150, 20], SLICE_SECONDS + 1)
    landing.poll(0.5)
    assert (order, landing.paused) == ([0], True)
    landing.poll(0.5)
    assert (order, landing.paused) == ([0, 1], True)
    landing.poll(0.5)
    assert (order, landing.paused) == ([0, 1, 2], False)
    assert consumer.said == ["pause", "pause", "resume"]
    assert consumer.waited == [0.5, 0.0, 0.0]  # nothing can come while all is paused


def test_due_buffers_land_oldest_first_and_not_all_before_the_next_poll(clock: TestClock) -> None:
    landing, _, order = landing_of(clock, [1, 1, 1, 1], SLICE_SECONDS / 2 + 1)
    landing.land_due()
    assert order == [3, 2]
    landing.land_due()
    assert order == [3, 2, 1, 0]
