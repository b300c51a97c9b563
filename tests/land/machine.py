"""The state machine: what may happen to a landing, in any order, and what must hold however it went.

An event is (kind, worker, amount). Any of them may also happen while a worker is stopped before one of its requests to
the store (`interrupted`): a process is frozen there, or just slow.
"""

from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ingest.land import chain
from tests.land.model import HOUR, World, is_fence, light_objects, set_clock
from tests.land.workers import Design, Worker

DAY = 86_400
AMOUNTS = (1, 2, 4, 9)
Event = tuple[str, int, int]

OF_WORKERS = (
    *("read", "read", "read", "land", "land", "fetch", "take", "start", "crash", "forget"),
    *("land down", "land lost", "land conflict", "land late"),
)
OF_THE_WORLD = (
    *("produce",) * 9,
    *("produce with a gap", "pause", "freeze", "later", "earlier", "midnight"),
    *("expire", "expire", "expire all", "check", "rest", "grow old", "group reset"),
    *("make anew", *("way out",) * 4),
)
STOPPED = ("read", "read", "land", "land", "start")
MEANWHILE = ("read", "land", "start", "take", "produce", "pause", "freeze", "midnight", "earlier", "expire", "check")


def events(kinds: tuple[str, ...], workers: int) -> st.SearchStrategy[Event]:
    return st.sampled_from(
        [(kind, number, amount) for kind in kinds for number in range(workers) for amount in AMOUNTS]
    )


class Landing(RuleBasedStateMachine):
    """What all designs have in common; `machine` makes one for a design."""

    design: type[Design]
    counted: ClassVar[Counter[str]] = Counter()
    """What happened, over all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.used = self.design()
        self._patches = ExitStack()
        self._patches.enter_context(light_objects())
        self._patches.enter_context(self.used.changed())
        self.world = World(store=self.used.store())
        self.workers = [Worker(self.world, number, self.used) for number in range(self.used.workers)]
        self.busy: set[int] = set()

    def interrupt(self, event: Event, pauses: list[tuple[int, list[Event]]]) -> None:
        """Stop what the event does before a later one of its requests, again and again, while others go on."""
        for after, meanwhile in pauses:
            self.world.store.pauses.append((after, partial(self.all, meanwhile)))
        self.happen(event)
        self.counted["interrupted"] += len(pauses) - len(self.world.store.pauses)
        self.world.store.pauses = []

    def all(self, events: list[Event]) -> None:
        for event in events:
            self.happen(event)

    def happen(self, event: Event) -> None:
        kind, number, amount = event
        self.counted[kind] += 1
        if kind in OF_WORKERS:
            if number not in self.busy:  # a process does one thing at a time
                self.busy.add(number)
                try:
                    self._act(kind, self.workers[number], amount)
                finally:
                    self.busy.discard(number)
        else:
            self._move(kind, amount)

    def _act(self, kind: str, worker: Worker, amount: int) -> None:
        match kind.split():
            case ["read"]:
                worker.fetch(amount)
                worker.take()
            case ["fetch"]:
                worker.fetch(amount)
            case ["take"]:
                worker.take()
            case ["start"]:
                worker.start()
            case ["crash"]:
                worker.end()
            case ["forget"]:
                worker.heads = self.used.heads(self.world)
            case ["land", *fault]:
                self.world.store.faults = fault * min(amount, 4)
                worker.land()
                self.world.store.faults = []

    def _move(self, kind: str, amount: int) -> None:
        world = self.world
        match kind:
            case "produce":
                world.produce(amount, 0)
            case "produce with a gap":
                world.produce(amount, amount % 4)
            case "pause":
                world.pass_time(30)
            case "freeze":
                world.pass_time(HOUR + 1)
            case "later" | "earlier" | "midnight":
                set_clock(world, kind)
            case "expire":
                world.log.expire(amount)
            case "expire all":
                world.log.expire(len(world.log.records))
            case "check":
                world.check()
            case "rest" | "grow old":
                world.check()
                world.pass_time(2 * DAY)
                if kind == "grow old":  # while they were frozen
                    world.log.expire(len(world.log.records) if amount == max(AMOUNTS) else 2 * amount - 2)
                else:  # while they polled, and nothing came
                    for number in set(range(self.used.workers)) - self.busy:
                        self.workers[number].polled = self.workers[number].clock.now()
                self.used.expire_objects(world)
            case "arrive":
                world.store.arrive()
            case "group reset":
                world.group = amount
            case "make anew" if not self.busy:
                world.make_anew()
            case "way out" if not self.busy and world.store.objects and self._is_another_topics():
                for worker in self.workers:
                    worker.end()
                world.move_away()

    def _is_another_topics(self) -> bool:
        """Whether a worker that starts now is refused."""
        probe = Worker(self.world, self.used.workers, self.used)
        probe.start()
        return probe.partition is None

    def _count(self) -> None:
        objects = self.world.store.objects
        fences = sum(map(is_fence, objects.values()))
        self.counted["rows landed"] += len(self.world.store.landed)
        self.counted["objects"] += sum(1 for key in objects if chain.parse_key(key)) - fences
        self.counted["objects deleted"] += len(self.world.store.deleted)
        self.counted["gaps"] += sum("/_gaps/" in key for key in objects)
        self.counted["fences"] += fences

    def teardown(self) -> None:
        """A last worker lands what is left; then the lake must be whole. Refused, it has nothing to land."""
        try:
            self.world.store.arrive()
            last = Worker(self.world, self.used.workers, self.used)
            for _ in range(100):
                last.fetch(50)
                last.take()
                if last.partition is None or last.partition.position >= self.world.log.end:
                    break
            last.land()
            self.world.verify()
            if last.partition is not None:
                self._everything_landed()
        finally:
            self._count()
            self._patches.close()

    def _everything_landed(self) -> None:
        topic_id = self.world.topic.id
        kept = {(topic_id, offset) for offset, _ in self.world.log.records}
        missing = {place for place in kept - self.world.store.landed if place[1] >= (self.world.first or 0)}
        assert not missing, f"missing: {sorted(missing)}"


def machine(design: type[Design]) -> type[Landing]:
    """The state machine of a design, with its own events where it names some."""
    anything = events(design.kinds or OF_WORKERS + OF_THE_WORLD, design.workers)
    interruptible = events(design.stopped or STOPPED, design.workers)
    meanwhile = st.lists(events(design.meanwhile or MEANWHILE, design.workers), min_size=1, max_size=4)
    pause = st.tuples(st.integers(0, 5), meanwhile)

    class Machine(Landing):
        @rule(event=anything)
        def then(self, event: Event) -> None:
            self.happen(event)

    class Interrupted(Machine):
        @rule(event=interruptible, pauses=st.lists(pause, min_size=1, max_size=3))
        def interrupted(self, event: Event, pauses: list[tuple[int, list[Event]]]) -> None:
            self.interrupt(event, pauses)

    found = Interrupted if design.meanwhile or not design.kinds else Machine
    return type(design.__name__, (found,), {"design": design})
