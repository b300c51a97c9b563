"""What cycles came to against what the platforms permit, as lines and as a table for docs. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.collect.platform import Pace
from tests.bench.collecting import Counted, Way
from tests.bench.measure import Cost
from tests.bench.report import Measured

EVENTS_LEAST, PEAK_MOST, SHARE_LEAST = 5_000.0, 400.0, 95.0


@dataclass(frozen=True)
class Ideal:
    """The least time in which calls could have been made, in seconds."""

    rate: float
    """By the permitted rate, begun with a full allowance."""
    latency: float
    """By the answers' latency and how many calls are made at once."""

    @property
    def seconds(self) -> float:
        """The greater of them."""
        return max(self.rate, self.latency)

    @property
    def limit(self) -> str:
        """Which of them it is."""
        return "rate" if self.rate > self.latency else "latency"


def ideal(ways: Iterable[Way], pace: Pace, shorten: float, latency: float) -> Ideal:
    """The least time for the calls of a run: that of the slowest limit, as all could be used at the same time."""
    calls: defaultdict[tuple[str, str], list[Way]] = defaultdict(list)
    for way in ways:
        calls[way.host, way.endpoint if pace.per_endpoint else ""].append(way)
    each = [_ideal(sum(way.calls for way in of), max(way.limit for way in of), pace, shorten, latency)
            for of in calls.values()]  # fmt: skip
    return max(each, key=lambda one: one.seconds)


def _ideal(calls: int, told: int, pace: Pace, shorten: float, latency: float) -> Ideal:
    period, each = pace.seconds / shorten, latency / pace.at_once
    by_latency = math.ceil(calls / pace.at_once) * latency
    if pace.kind == "sliding":
        return Ideal(calls * period / pace.calls, by_latency)
    limit = told or pace.calls
    full = (calls - 1) // limit  # windows that are used up before the last one
    return Ideal(full * period + (calls - full * limit) * each if full else 0.0, by_latency)


@dataclass(frozen=True)
class Cycle:
    """One platform's cycle."""

    platform: str
    accounts: int
    shorten: float
    latency: float
    counted: Counted
    again: Counted
    """The same with the answers at hand."""
    cost: Cost
    ideal: Ideal
    breaches: int
    """Answers of the sandbox that said: too fast."""
    served: int
    """Answers of the sandbox to the first pass."""
    sandbox_cpu: float
    wrong: list[str]
    """How what was published differs from the truth."""

    @property
    def calls(self) -> int:
        """Calls of the collector."""
        return sum(way.calls for way in self.counted.ways)

    @property
    def events(self) -> int:
        """Events that Kafka acknowledged."""
        notice = self.counted.notice
        return (notice.posts or 0) + (notice.accounts or 0) + (notice.followers or 0) + (notice.dead_letters or 0)

    @property
    def share(self) -> float:
        """Per cent of the permitted speed that was used, whatever limits it."""
        return 100 * self.ideal.seconds / self.counted.asking

    @property
    def speed(self) -> float:
        """Events per CPU second from an answer to its events' acknowledgement: reading it, and publishing."""
        return self.events / self.again.reading

    @property
    def speed_without_http(self) -> float:
        """Events per CPU second of all but HTTP: what is due and asked, budgets, limits and known posts too."""
        return self.events / self.again.cpu

    @property
    def speed_with_http(self) -> float:
        """Events per CPU second of all that the collector does."""
        return self.events / self.counted.cpu

    @property
    def late(self) -> float:
        """Milliseconds that a call took beyond the latency, on average: above a few the sandbox or machine is slow."""
        return 1000 * (self.counted.answering / self.calls - self.latency)

    @property
    def line(self) -> str:
        """The cycle in words."""
        faults = f"; WRONG: {'; '.join(self.wrong)}" if self.wrong else ""
        return (
            f"{self.platform:<10}{self.accounts:>7,} accounts  {self.calls:>6,} calls  {self.events:>7,} events  "
            f"{self.counted.asking:6.1f} s of {self.ideal.seconds:6.1f} by {self.ideal.limit:<7} = {self.share:5.1f} %"
            f"  {self.breaches} breaches  {self.speed:7,.0f} events/CPU s ({self.speed_without_http:,.0f} with "
            f"all but HTTP, {self.speed_with_http:,.0f} with all)  "
            f"{self.cost.peak:4.0f} MB  {self.late:+.1f} ms  sandbox {self.sandbox_cpu / self.cost.wall:.0%}{faults}"
        )


def measured(cycles: Sequence[Cycle]) -> list[Measured]:
    """The lines of each cycle, and of all together."""
    lines = [line for one in cycles for line in _lines(one)]
    if len(cycles) > 1:
        events = sum(one.events for one in cycles)
        pipeline = sum(one.again.reading for one in cycles)
        what = "all platforms: events per CPU second, answer to acknowledgement"
        lines.append(Measured("cycle", what, events / pipeline, "/s", EVENTS_LEAST, details={"events": events}))
    return lines


def _lines(one: Cycle) -> list[Measured]:
    name, right = one.platform, not one.wrong
    details: dict[str, float | int | str] = {
        "accounts": one.accounts,
        "calls": one.calls,
        "events": one.events,
        "shorten": one.shorten,
        "ideal_seconds": round(one.ideal.seconds, 2),
        "asking_seconds": round(one.counted.asking, 2),
        "limit": one.ideal.limit,
        "cpu_seconds": round(one.counted.cpu, 2),
        "cpu_seconds_from_answers": round(one.again.reading, 2),
        "cpu_seconds_without_http": round(one.again.cpu, 2),
        "wall_seconds": round(one.cost.wall, 2),
        "wrong": "; ".join(one.wrong),
    }
    by_rate = one.ideal.limit == "rate"
    what = "permitted rate that was used" if by_rate else "speed that latency permits"
    least = SHARE_LEAST if by_rate else None
    return [
        Measured(name, f"{name}: share of the {what}", one.share, "%", least, details=details, right=right),
        Measured(name, f"{name}: breaches", one.breaches, "", 0, less_is_better=True, right=not one.breaches),
        Measured(name, f"{name}: events per CPU second, answer to acknowledgement", one.speed, "/s", EVENTS_LEAST),
        Measured(name, f"{name}: events per CPU second, all but HTTP", one.speed_without_http, "/s"),
        Measured(name, f"{name}: events per CPU second, with HTTP", one.speed_with_http, "/s"),
        Measured(name, f"{name}: peak memory", one.cost.peak, "MB", PEAK_MOST, less_is_better=True),
    ]


def described(cycles: Sequence[Cycle]) -> str:
    """The cycles as a table in Markdown."""
    heads = (
        *("platform", "accounts", "windows", "calls", "429s", "wall s", "ideal s", "limit", "used", "events"),
        *("events/CPU s", "all but HTTP", "with HTTP", "peak MB"),
    )
    rows = [heads, tuple("---:" if at else "---" for at in range(len(heads)))]
    rows += [
        (
            *(one.platform, f"{one.accounts:,}", f"1/{one.shorten:g}", f"{one.calls:,}", f"{one.breaches}"),
            *(f"{one.counted.asking:.1f}", f"{one.ideal.seconds:.1f}", one.ideal.limit, f"{one.share:.1f} %"),
            *(f"{one.events:,}", f"{one.speed:,.0f}", f"{one.speed_without_http:,.0f}"),
            *(f"{one.speed_with_http:,.0f}", f"{one.cost.peak:.0f}"),
        )
        for one in cycles
    ]
    if len(cycles) > 1:
        rows.append(_total(cycles))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _total(cycles: Sequence[Cycle]) -> tuple[str, ...]:
    accounts, calls, events, breaches = (
        sum(getattr(one, name) for one in cycles) for name in ("accounts", "calls", "events", "breaches")
    )
    cpu, without, reading = (
        sum(times)
        for times in zip(*((one.counted.cpu, one.again.cpu, one.again.reading) for one in cycles), strict=True)
    )
    wall = sum(one.counted.asking for one in cycles)
    return (
        *("all", f"{accounts:,}", "", f"{calls:,}", f"{breaches}", f"{wall:.1f}"),
        *(f"{sum(one.ideal.seconds for one in cycles):.1f}", "", "", f"{events:,}"),
        *(f"{events / reading:,.0f}", f"{events / without:,.0f}", f"{events / cpu:,.0f}"),
        f"{max(one.cost.peak for one in cycles):.0f}",
    )


def measured_many(accounts: int, counted: Counted, cost: Cost, right: bool) -> list[Measured]:
    """The lines of a cycle of very many accounts."""
    events, name = (
        (counted.notice.posts or 0) + (counted.notice.accounts or 0),
        f"{accounts:,} accounts on one platform",
    )
    details: dict[str, float | int | str] = {"calls": counted.sent, "events": events, "cpu_seconds": round(cost.cpu, 1)}
    return [
        Measured("many", f"{name}: peak memory", cost.peak, "MB", PEAK_MOST, less_is_better=True, right=right),
        Measured("many", f"{name}: time", cost.wall, "s", details=details),
        Measured("many", f"{name}: events per CPU second, with HTTP", events / counted.cpu, "/s"),
    ]
