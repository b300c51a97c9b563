"""The parts of the landing's bench: each fills topics of its own on a running stack, measures, verifies, reports.

A part takes the stack's settings and what the command line asks, prints as it goes, and returns its lines.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ingest.publish import create_topics
from ingest.settings import Settings
from tests.bench import sinks
from tests.bench.fill import Filling, create_posts, fill
from tests.bench.follow import catch_up, idle_share, race
from tests.bench.measure import Cost, await_quiet
from tests.bench.report import Measured

LARGE_RAW_BYTES = 1_600
POISON_LEAST = {0.01: 1.15, 0.1: 1.6, 0.5: 3.5}
MEMORY_BUDGET_MB = 256
BACKLOG_OBJECT_SECONDS = 10.0


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a part."""

    events: int
    runs: int = 3
    seed: int = 1
    idle_settle: float = 20.0
    idle_seconds: float = 60.0
    partitions: int = 256
    """Of the part about memory."""
    patience: float = 30.0
    """Seconds to wait before each run for a quiet machine."""


Part = Callable[[Settings, Asked], list[Measured]]


def room(stack: Settings, name: str, **changed: object) -> Settings:
    """The stack with topics, group and lakes of one part's own."""
    return stack.model_copy(update={"topic_prefix": f"{stack.topic_prefix}{name}-", **changed})


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def measured(name: str, run: Callable[[], Cost], asked: Asked, *, events: int | None = None) -> Cost:
    """Run once on a quiet machine, and say what it took; of no `events` it is the start-up alone."""
    quiet = await_quiet(asked.patience)
    cost = run()
    events = asked.events if events is None else events
    rate = f"{events / cost.cpu:9,.0f} events/CPU-s" if events else "start-up alone"
    say(
        f"{name:12} wall {cost.wall:6.2f} s  CPU {cost.cpu:6.2f} s  {rate:24} peak {cost.peak:5.0f} MB  "
        f"all else {cost.other:5.2f} CPU s  ({quiet})"
    )
    return cost


def _beside_the_reference(stack: Settings, asked: Asked, name: str, raw_bytes: int) -> tuple[dict[str, float], bool]:
    """Both sinks over the same events, alternately: medians of the figures, and whether all rows landed once."""
    settings = room(stack, name)
    create_posts(settings)
    filled = fill(settings, asked.events, seed=asked.seed, raw_bytes=raw_bytes)
    say(str(filled))
    ours, theirs = [], []
    for number in range(asked.runs):
        current = sinks.lake(settings, f"run{number}")
        ours.append(measured("landing", lambda current=current: sinks.drain(current), asked))
        with tempfile.TemporaryDirectory(prefix="assay-reference-") as out:
            theirs.append(
                measured("reference", lambda out=out: sinks.reference(settings, asked.events, Path(out)), asked)
            )
            their_bytes = sum(file.stat().st_size for file in Path(out).iterdir())
    our_start = measured("landing", lambda: sinks.drain(current), asked, events=0)
    with tempfile.TemporaryDirectory(prefix="assay-reference-") as out:
        their_start = measured("reference", lambda: sinks.reference(settings, 0, Path(out)), asked, events=0)
    found = {"events": asked.events, "mean_bytes": filled.size / filled.events}
    for side, costs, start in (("landing", ours, our_start), ("reference", theirs, their_start)):
        cpu, wall = median(cost.cpu for cost in costs), median(cost.wall for cost in costs)
        found |= {
            f"{side}_cpu_s": cpu,
            f"{side}_wall_s": wall,
            f"{side}_events_per_cpu_s": asked.events / cpu,
            f"{side}_mb_per_cpu_s": filled.size / 1e6 / cpu,
            f"{side}_start_cpu_s": start.cpu,
            f"{side}_events_per_cpu_s_after_start": asked.events / max(cpu - start.cpu, 0.01),
            f"{side}_peak_mb": max(cost.peak for cost in costs),
        }
    found |= {"landing_bytes": sinks.stored(current), "reference_bytes": their_bytes}
    return {key: round(value, 2) for key, value in found.items()}, sinks.is_right(current, asked.events)


def speed(stack: Settings, asked: Asked) -> list[Measured]:
    """Small events beside the reference: CPU, wall, memory, bytes."""
    found, right = _beside_the_reference(stack, asked, "speed", 0)
    share = found["reference_cpu_s"] / found["landing_cpu_s"]
    shares = {
        "after start-up": found["landing_events_per_cpu_s_after_start"]
        / found["reference_events_per_cpu_s_after_start"],
        "per wall second": found["reference_wall_s"] / found["landing_wall_s"],
    }
    bytes_ratio = found["landing_bytes"] / found["reference_bytes"]
    return [
        Measured(
            "speed", "events per CPU second, of the reference's", share, "x", 0.9, 1.2, right=right, details=found
        ),
        *(Measured("speed", f"  the same {how}", value, "x", right=right) for how, value in shares.items()),
        Measured("speed", "bytes in the store, of the reference's", bytes_ratio, "x", 1.05, 1.0, less_is_better=True),
        Measured("speed", "peak memory", found["landing_peak_mb"], "MB"),
        Measured("speed", "peak memory of the reference", found["reference_peak_mb"], "MB"),
    ]


def large(stack: Settings, asked: Asked) -> list[Measured]:
    """Events of 2 KB, `raw` filled, beside the reference."""
    found, right = _beside_the_reference(stack, asked, "large", LARGE_RAW_BYTES)
    share = found["landing_mb_per_cpu_s"] / found["reference_mb_per_cpu_s"]
    what = f"MB of values per CPU second ({found['mean_bytes']:,.0f} B events), of the reference's"
    return [
        Measured("large", what, share, "x", 0.9, 1.2, right=right, details=found),
        Measured("large", "  that is", found["landing_mb_per_cpu_s"], "MB/CPU-s"),
    ]


def poison(stack: Settings, asked: Asked) -> list[Measured]:
    """The same number of events, a share of them broken: CPU time over the clean run's, start-up in neither."""
    spent: dict[float, float] = {}
    rights: dict[float, bool] = {}
    start = 0.0
    for share in (0.0, *POISON_LEAST):
        settings = room(stack, f"poison{share * 100:g}")
        create_posts(settings)
        say(f"{share:.0%} poison: {fill(settings, asked.events, seed=asked.seed, poison=share)}")
        costs = []
        for number in range(asked.runs):
            current = sinks.lake(settings, f"run{number}")
            costs.append(measured("landing", lambda current=current: sinks.drain(current), asked))
        start = start or measured("landing", lambda current=current: sinks.drain(current), asked, events=0).cpu
        spent[share] = median(cost.cpu for cost in costs) - start
        rights[share] = sinks.is_right(current, asked.events)
    details = {f"cpu_s_{share:g}": round(value, 2) for share, value in spent.items()}
    return [
        Measured(
            "poison",
            f"{share:.0%} poison rows: CPU time, of the clean run's",
            spent[share] / max(spent[0.0], 0.01),
            "x",
            least,
            less_is_better=True,
            right=rights[share] and rights[0.0],
            details=details | {"events": asked.events},
        )
        for share, least in POISON_LEAST.items()
    ]


def workers(stack: Settings, asked: Asked) -> list[Measured]:
    """Two members of the group, a core each, against one on one core: the time until all has landed.

    The events are shown to workers that wait for them, so that neither start-up nor joining the group counts. Broker
    and store may use both cores in both; the second worker therefore shares its core with them, as it would in use.
    """
    walls: dict[int, list[float]] = {1: [], 2: []}
    right = True
    for number in range(asked.runs):
        for count in (1, 2):
            settings = room(stack, f"workers{number}-{count}")
            create_posts(settings)
            filling = Filling(settings, asked.events, seed=asked.seed, held=True)
            say(str(filling.ready()))
            current = sinks.lake(settings, "run")
            quiet = await_quiet(asked.patience)
            took = race(current, range(count), filling.finish)
            walls[count].append(took.landed)
            say(f"{count} pinned: {took}  ({quiet})")
            right &= sinks.is_right(current, asked.events)
    one, two = median(walls[1]), median(walls[2])
    details = {"events": asked.events, "one_s": round(one, 2), "two_s": round(two, 2)}
    what = "two workers on a core each, against one on one"
    return [Measured("workers", what, one / two, "x", 1.5, 1.8, False, right, details)]


def memory(stack: Settings, asked: Asked) -> list[Measured]:
    """Many partitions under one budget, with events enough that the budget binds: the kernel's peak."""
    settings = room(stack, "memory", land_memory_mb=MEMORY_BUDGET_MB)
    create_posts(settings, asked.partitions)
    say(str(fill(settings, asked.events, seed=asked.seed)))
    current = sinks.lake(settings, "run")
    cost = measured("landing", lambda: sinks.drain(current), asked)
    right = sinks.is_right(current, asked.events)
    what = f"{asked.partitions} partitions, budget {MEMORY_BUDGET_MB} MB: peak memory"
    details = {"events": asked.events, "wall_s": round(cost.wall, 2), "cpu_s": round(cost.cpu, 2)}
    return [Measured("memory", what, cost.peak, "MB", 450, 400, True, right, details)]


def idle(stack: Settings, asked: Asked) -> list[Measured]:
    """A service on all topics, none of which carries anything."""
    settings = sinks.lake(room(stack, "idle"), "run")
    create_topics(settings)
    share = idle_share(settings, settle=asked.idle_settle, seconds=asked.idle_seconds)
    return [Measured("idle", f"idle worker over {asked.idle_seconds:g} s", share * 100, "% of a core", 2.0, None, True)]


def backlog(stack: Settings, asked: Asked) -> list[Measured]:
    """An outage's worth of events, filled beforehand, then two services on a core each, as an operator would start."""
    settings = room(stack, "backlog", land_object_seconds=BACKLOG_OBJECT_SECONDS)
    create_posts(settings)
    say(str(fill(settings, asked.events, seed=asked.seed)))
    current = sinks.lake(settings, "run")
    quiet = await_quiet(asked.patience)
    took = catch_up(current, (0, 1))
    say(f"{took}  ({quiet})")
    right = sinks.is_right(current, asked.events)
    what = f"lag of {asked.events:,} events gone (2 services, ASSAY_LAND_OBJECT_SECONDS={BACKLOG_OBJECT_SECONDS:g})"
    details: dict[str, float | int | str] = {"read_s": round(took.read, 1)}
    details |= {f"worker{number}_cpu_s": round(cost.cpu, 1) for number, cost in enumerate(took.costs)}
    return [Measured("backlog", what, took.landed, "s", 120, 90, True, right, details)]
