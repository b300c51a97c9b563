"""Whether what a watch list asks of a platform fits: its stated rate, the budget of a day, money. Pure.

The calls are counted by `demand.py`. Every change proposed is a plan of its own, counted with the change made.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ingest.collect.demand import CYCLES_A_DAY, Counting, Demand, Follow
from ingest.collect.platform import Platform
from ingest.collect.quota import Span, next_reset
from ingest.collect.readings import DAY
from ingest.settings import Settings

MONTH = 30.0
SAMPLES_AT = (0, timedelta(hours=3, minutes=30))
"""`dags/sample.py` runs on Mondays at 03:30 UTC."""
HOUR = timedelta(hours=1)
WINDOWS: dict[Span, int] = {"day": 366, "month": 12}
"""How many windows there are in a year: within it comes one of 25 hours, and a month of 31 days and five Mondays."""
GOLDEN = 0.6180339887
"""Its multiples fall evenly between 0 and 1, however many there are."""
SETTINGS: dict[Span, str] = {"day": "daily_units", "month": "monthly_units"}
"""What a platform's settings of its budgets are called, after its name."""


class Size(NamedTuple):
    """Bytes of one event."""

    kafka: int
    """Compressed, as in a producer's batches."""
    parquet: int


SIZES = {
    "posts": Size(190, 170),
    "accounts": Size(150, 220),
    "followers": Size(115, 130),
    "notices": Size(350, 2_400),
}
"""Measured on events of the sandbox's eight platforms, which `tests/collect/test_plan.py` does again. What real answers
hold besides is kept in `raw`: long descriptions make real posts larger."""


@dataclass(frozen=True)
class Plan:
    """What is asked of one platform: by a cycle, and by a week's samples."""

    platform: Platform
    settings: Settings
    followed: tuple[Follow, ...]
    cycle: Demand
    samples: Demand

    @property
    def budget(self) -> int | None:
        """Units of a day; None where none are counted."""
        return self.platform.daily_units(self.settings)

    @property
    def units_a_day(self) -> float:
        """Units of a day without samples."""
        return self.cycle.units * CYCLES_A_DAY

    @property
    def monthly_budget(self) -> int | None:
        """Units of a calendar month; None where there is no such limit."""
        return self.platform.monthly_units(self.settings) if self.budget is not None else None

    def units_at_most(self, span: Span) -> float:
        """Units of the fullest day, the longest with a sample on it, or of a month of 31 days and five samples."""
        cycles = longest_day(self.platform.budget_zone) if span == "day" else 31 * CYCLES_A_DAY
        return cycles * self.cycle.units + (1 if span == "day" else 5) * self.samples.units

    @property
    def short(self) -> list[tuple[Span, int]]:
        """Budgets that do not hold what is asked."""
        budgets: dict[Span, int | None] = {"day": self.budget, "month": self.monthly_budget}
        return [
            (span, units) for span, units in budgets.items() if units is not None and units < self.units_at_most(span)
        ]

    @property
    def permitted_an_hour(self) -> float:
        """Calls of an hour by the stated limit: to one host, or to one endpoint."""
        return self.platform.pace.calls * 3_600 / self.platform.pace.seconds

    @property
    def cycle_hours(self) -> float:
        """Hours that a cycle's calls need at the stated rate, at the host or endpoint that is asked most."""
        return max(self._by_limit(self.cycle).values(), default=0.0) / self.permitted_an_hour

    @property
    def rate_used(self) -> float:
        """Share of the permitted calls of the fullest day, at the host or endpoint that is asked most."""
        day = Demand()
        day.add(self.cycle, CYCLES_A_DAY)
        day.add(self.samples)
        return max(self._by_limit(day).values(), default=0.0) / (self.permitted_an_hour * CYCLES_A_DAY)

    @property
    def fits(self) -> bool:
        """Whether each cycle ends within its hour, and every day and month within its budget."""
        return max(self.cycle_hours, self.rate_used) <= 1 and not self.short

    def _by_limit(self, demand: Demand) -> dict[tuple[str, str], float]:
        calls: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (host, endpoint), count in demand.calls.items():
            calls[host, endpoint if self.platform.pace.per_endpoint else ""] += count
        return calls

    def a_month(self, of: Callable[[Demand], float]) -> float:
        """Something of thirty days."""
        return of(self.cycle) * CYCLES_A_DAY * MONTH + of(self.samples) * MONTH / 7

    @property
    def dollars_a_month(self) -> float:
        """What thirty days cost, if the budget lets them."""
        return self.a_month(lambda demand: demand.units) * self.platform.unit_dollars

    def gigabytes_a_month(self, size: Callable[[Size], int]) -> float:
        """Bytes of thirty days' events."""
        return self.a_month(lambda one: sum(n * size(SIZES[topic]) for topic, n in one.events.items())) / 1e9

    def runs_out(self, span: Span, budget: int, now: datetime) -> tuple[datetime, datetime] | None:
        """When the next whole window that is too short has spent its budget, and when another begins.

        None where those of a year hold what is asked: the fullest of all need not be among them.
        """
        zone = self.platform.budget_zone
        begin = next_reset(now, zone, span)
        for _ in range(WINDOWS[span]):
            end, spent, at, sampled = next_reset(begin, zone, span), 0.0, begin, next_samples(begin)
            while at < end:
                for moment, units in ((at, self.cycle.units), (sampled, self.samples.units)):
                    if moment < at + HOUR:
                        spent += units
                        if spent > budget:
                            return moment, end
                at += HOUR
                sampled = next_samples(at)
            begin = end
        return None


def longest_day(zone: ZoneInfo) -> int:
    """Cycles of the longest day of a zone: 25 where clocks are put back."""
    winter, summer = (datetime(2026, month, 1, tzinfo=zone).utcoffset() for month in (1, 7))
    return CYCLES_A_DAY + (winter != summer)


def next_samples(after: datetime) -> datetime:
    """When audiences are sampled next."""
    weekday, time = SAMPLES_AT
    midnight = after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = (midnight + DAY * day + time for day in range(8) if (midnight + DAY * day).weekday() == weekday)
    return next(at for at in days if at >= after)


def make(platform: Platform, settings: Settings, followed: Sequence[Follow], counting: Counting) -> Plan:
    """The plan of accounts. Pure."""
    return Plan(platform, settings, tuple(followed), counting.cycle(followed), counting.samples(followed))


@dataclass(frozen=True)
class Watching:
    """Whom a plan is for, and what is known of them."""

    names: Sequence[str]
    """As the platform normalises them."""
    granted: Sequence[str]
    """Ids of accounts whose owners granted access."""
    posts: Mapping[str, float]
    """Posts a day of the accounts that runs have seen, by id."""
    unknown: float
    """Posts a day of all others."""


def follow(counting: Counting, watching: Watching) -> list[Follow]:
    """What stands for the accounts watched.

    Watch lists hold handles and the lake holds ids: which is whose is not asked. Grants, and then the rates of accounts
    that are known, go to names that are no known id themselves; of a grant unless the list must have its id.
    """
    names, posts = watching.names, watching.posts
    granted, taken = set(watching.granted), set(names)
    free = iter(sorted(one for one in granted - taken if not counting.is_found_by_grant(one)))
    ids = [name if name in posts or name in granted else next(free, None) for name in names]
    others = [rate for one, rate in posts.items() if one not in taken | granted]
    rates = iter(shared_out(others, sum(one not in posts for one in ids), watching.unknown))
    return [
        counting.follow(name, posts[one] if one is not None and one in posts else next(rates), one)
        for name, one in zip(names, ids, strict=True)
    ]


def shared_out(rates: Sequence[float], count: int, unknown: float) -> list[float]:
    """Rates for so many accounts, `unknown` where there are too few: of the first of them as of all, busy and seldom.

    Where there are more rates than accounts, each has the mean of as many, so that their mean is that of the rates.
    """
    pool = sorted([*rates, *[unknown] * (count - len(rates))])
    shares = [pool[place * len(pool) // count : (place + 1) * len(pool) // count] for place in range(count)]
    found = [0.0] * count
    for share, place in zip(shares, sorted(range(count), key=lambda place: place * GOLDEN % 1), strict=True):
        found[place] = sum(share) / len(share)
    return found


def changes(plan: Plan, again: Callable[[Settings, Sequence[Follow]], Plan]) -> list[dict[str, Any]]:
    """What alone would make a plan fit, cheapest first: by money, then by accounts, then by members that are lost.

    Only what settings or the watch list allow; `again` makes the plan with the change, which must then fit.
    """
    name, settings, count = plan.platform.name, plan.settings, len(plan.followed)
    options: list[tuple[str, str, Plan, int]] = []
    if plan.short:
        raised = {f"{name}_{SETTINGS[span]}": math.ceil(plan.units_at_most(span)) for span, _ in plan.short}
        words = ", ".join(f"ASSAY_{setting.upper()}={units}" for setting, units in raised.items())
        what = "raise the budget" if plan.platform.unit_dollars else f"raise the budget, once {name} grants it"
        options.append((what, words, again(settings.model_copy(update=raised), plan.followed), 0))
    size = plan.platform.sample_size(settings)
    setting, what = f"{name}_audience_units", "sample fewer members"
    if setting not in Settings.model_fields:
        setting, what = "audience_sample_size", "sample fewer members, on every platform"
    if size > 0:

        def sampled(value: int) -> Plan:
            return again(settings.model_copy(update={setting: value}), plan.followed)

        best = _most(getattr(settings, setting) - 1, sampled)
        if best:
            options.append((what, f"ASSAY_{setting.upper()}={best[0]}", best[1], 0))
    best = _most(count - 1, lambda number: again(settings, plan.followed[:number]))
    if best and best[0]:
        options.append(("watch fewer accounts", f"{best[0]} of {count}", best[1], count - best[0]))
    fitting = [option for option in options if option[2].fits]
    fitting.sort(key=lambda option: (option[2].dollars_a_month, option[3], -option[2].samples.events["followers"]))
    return [
        {
            "platform": name,
            "change": what,
            "to": to,
            "units_at_most": math.ceil(made.units_at_most("day")) if made.budget is not None else None,
            "rate_used": f"{made.rate_used:.1%}",
            "dollars_a_month": round(made.dollars_a_month, 2) if made.platform.unit_dollars else None,
            "accounts": len(made.followed),
            "members_a_week": round(made.samples.events["followers"]),
        }
        for what, to, made, _ in fitting
    ]


def _most(highest: int, make: Callable[[int], Plan]) -> tuple[int, Plan] | None:
    """The highest number up to one with which a plan fits; None where it does not even with 0."""
    low, fitting = 0, make(0)
    if not fitting.fits:
        return None
    high = highest
    while low < high:
        middle = (low + high + 1) // 2
        made = make(middle)
        low, high, fitting = (middle, high, made) if made.fits else (low, middle - 1, fitting)
    return low, fitting
