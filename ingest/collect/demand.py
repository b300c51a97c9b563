"""What a watch list asks of a platform: calls, units and events of a cycle, a first sight, a week's samples. Pure.

Nothing here says what a platform's calls are: they are built by the platform's own functions, as the collector builds
them, for stand-ins of the accounts, and counted. What no function tells is expected of the ladder (`readings.py`).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from ingest.collect.call import Call
from ingest.collect.cycle import PAGES
from ingest.collect.ladder import HORIZON
from ingest.collect.platform import Account, Platform
from ingest.collect.readings import DAY, aged, counter_reads, post_reads
from ingest.collect.session import CHUNK
from ingest.settings import Settings

CYCLES_A_DAY = 24
"""`dags/collect.py` runs hourly."""
SELDOM = 0.001
"""Chance that is not followed further."""
MANY = 60.0
"""From so many expected things on, their number is taken as it is, and below it as chance has it."""


@dataclass
class Demand:
    """Calls, units and events: expected numbers, so that some are fractions."""

    calls: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """By host and endpoint."""
    units: float = 0.0
    events: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By topic."""

    def add(self, other: "Demand", times: float = 1.0) -> None:
        """Take in so many times another demand."""
        for asked, count in other.calls.items():
            self.calls[asked] += count * times
        for topic, count in other.events.items():
            self.events[topic] += count * times
        self.units += other.units * times

    @property
    def all_calls(self) -> float:
        """Calls to all hosts."""
        return sum(self.calls.values())


@dataclass(frozen=True)
class Follow:
    """A line of the watch list as a plan follows it."""

    name: str
    """The account as the platform normalises it."""
    account: Account | None
    """What stands for it; None where nothing is asked for such a name, as nobody is found by it."""
    posts_a_day: float


def expected(mean: float, demand: Callable[[int], Demand]) -> Demand:
    """The demand of a number of things of which only the mean is known: as chance has it, they come independently."""
    total = Demand()
    if mean >= MANY:
        total.add(demand(int(mean)), 1 - mean % 1)
        total.add(demand(int(mean) + 1), mean % 1)
        return total
    chance = math.exp(-mean)
    for number in range(1, int(mean + 8 * math.sqrt(mean)) + 6):
        chance *= mean / number
        total.add(demand(number), chance)
    return total


class Counting:
    """Counts what one platform is asked by these settings; `granted` are the accounts whose owners granted access."""

    def __init__(self, platform: Platform, settings: Settings, granted: Iterable[str], now: datetime) -> None:
        self._platform, self._settings, self._granted, self._now = platform, settings, frozenset(granted), now

    def follow(self, name: str, posts_a_day: float, account_id: str | None = None) -> Follow:
        """A normalised name with what stands for its account, known by an id or else by the name."""
        asked = [call for call in self._platform.resolve([name]) if self._is_made(call)]
        if not asked:
            return Follow(name, None, posts_a_day)
        return Follow(name, Account(account_id or name, frozenset({name}), asked[0].base, name), posts_a_day)

    def is_found_by_grant(self, account_id: str) -> bool:
        """Whether an account is found by its id under its own grant alone: a line of the watch list then has the id."""
        return any(call.grant is not None for call in self._platform.resolve([account_id]))

    def cycle(self, followed: Sequence[Follow]) -> Demand:
        """One hourly run, some weeks after the first."""
        total = self._found(followed)
        beyond: dict[str, list[tuple[Account, float, timedelta]]] = {}
        for account, posts_a_day, number in self._alike(followed):
            one, due = Demand(), post_reads(posts_a_day) / CYCLES_A_DAY
            since = self._listed(account, posts_a_day, one)
            self._insights(account, due, one)
            one.events["posts"] += due
            total.add(one, number)
            beyond.setdefault(self._asked_with(account), []).append((account, posts_a_day * number, since))
        for group in beyond.values():
            self._looked_up(group, total)
        total.events["notices"] += 1
        return total

    def first(self, followed: Sequence[Follow]) -> Demand:
        """The first run of all: listings back to the horizon, and every post of them read."""
        total, named = self._found(followed), 0.0
        for account, posts_a_day, number in self._alike(followed):
            one, listing, posts = Demand(), self._platform.listing(account, False), posts_a_day * (HORIZON / DAY)
            page = self._platform.page(listing)
            a_page = posts_a_day * (min(page.reaches, HORIZON) / DAY) // page.rows + 1
            self._ask([listing], one, (HORIZON // page.reaches + 1) * a_page)
            self._insights(account, posts, one)
            one.events["posts"] += posts
            total.add(one, number)
            named += 0 if page.whole else posts * number
        anybody = next((one.account for one in followed if one.account), None)
        if named and anybody:
            self._in_batches(self._platform.lookup, named, partial(self._posts, anybody), total)
        total.events["notices"] += 1
        return total

    def samples(self, followed: Sequence[Follow]) -> Demand:
        """One run that samples all audiences, each as large as settings allow."""
        size = self._platform.sample_size(self._settings)
        if size < 1:
            return Demand()
        total = self._found(followed)
        for account, _, number in self._alike(followed):
            one = Demand()
            self._sample(account, size, one)
            total.add(one, number)
        total.events["notices"] += 1
        return total

    def _alike(self, followed: Sequence[Follow]) -> list[tuple[Account, float, int]]:
        """Accounts of which as much is asked: one of them, its posts a day, and how many they are."""
        found: dict[tuple[str, float, str], tuple[Account, int]] = {}
        for one in followed:
            if one.account:
                account_id = one.account.account_id
                key = one.account.base, one.posts_a_day, account_id if account_id in self._granted else ""
                found[key] = one.account, found.get(key, (one.account, 0))[1] + 1
        return [(account, posts_a_day, number) for (_, posts_a_day, _), (account, number) in found.items()]

    def _is_made(self, call: Call) -> bool:
        """Whether a call is made at all, and not refused by ourselves for want of a grant or an approval."""
        if call.grant is not None:
            return call.grant in self._granted
        app = self._platform.app
        return not (app and app.needs and not getattr(self._settings, app.needs))

    def _ask(self, calls: Iterable[Call], total: Demand, times: float = 1.0) -> int:
        """Count calls; how many of them are made."""
        made = [call for call in calls if self._is_made(call)]
        for call in made:
            total.calls[call.host, call.endpoint.name if call.endpoint else call.path] += times
            total.units += self._platform.price(call, None) * times
        return len(made)

    def _found(self, followed: Sequence[Follow]) -> Demand:
        """What it takes to find the accounts and to read their profiles."""
        total = Demand()
        for start in range(0, len(followed), CHUNK):
            chunk = followed[start : start + CHUNK]
            accounts = [one.account for one in chunk if one.account]
            details = self._platform.details(accounts) if self._platform.details else []
            self._ask(self._platform.resolve([one.name for one in chunk]), total)
            self._ask(details, total)
            total.events["accounts"] += len(accounts) * (
                1 + len({call.endpoint and call.endpoint.name for call in details})
            )
        return total

    def _listed(self, account: Account, posts_a_day: float, total: Demand) -> timedelta:
        """One account's listing in a cycle; the age from which on it does not show whole what is due."""
        listing = self._platform.listing(account, True)
        page = self._platform.page(listing)
        shown = min(page.reaches, HORIZON, page.rows / posts_a_day * DAY) if posts_a_day else HORIZON
        self._ask([listing], total)
        if not self._platform.relists:
            return shown if page.whole else timedelta()
        for number in range(1, PAGES):  # one page more, as long as something that is due may be on it
            chance = 1 - math.exp(-post_reads(posts_a_day, shown * number) / CYCLES_A_DAY)
            if chance < SELDOM:
                break
            self._ask([listing], total, chance)
        return HORIZON

    def _insights(self, account: Account, posts: float, total: Demand) -> None:
        """What an account's grant lets us read beside, of the posts that a run reads."""
        if account.account_id not in self._granted:
            return

        def ask(number: int) -> Demand:
            one, ids = Demand(), self._posts(account, number)
            if self._ask(self._platform.consented(account, ids, self._now), one):
                one.events["posts"] += number
            return one

        total.add(expected(posts, ask))
        if self._platform.consented(account, self._posts(account, 1), self._now):
            self._prove(1 - math.exp(-posts), total)

    def _prove(self, chance: float, total: Demand) -> None:
        """Before the first call under a grant, a run asks whose it is."""
        oauth = self._platform.oauth
        if oauth and oauth.whoami:
            total.calls[Call(None, oauth.whoami).host, "whoami"] += chance
            total.units += oauth.whoami_cost * chance

    def _posts(self, account: Account, number: int, since: timedelta = timedelta()) -> list[str]:
        """Ids that posts of an account could have, of ages as the ladder reads them."""
        ages = (aged((place + 0.5) / number, since) for place in range(number))
        return [self._platform.made_up(account, self._now - age, place) for place, age in enumerate(ages)]

    def _asked_with(self, account: Account) -> str:
        """Accounts of the same host share look-ups, those apart that are asked under grants of their own."""
        alone = self._platform.lookup_of is not None and account.account_id in self._granted
        return account.account_id if alone else account.base

    def _looked_up(self, group: Sequence[tuple[Account, float, timedelta]], total: Demand) -> None:
        """Look-ups of posts in batches: of each account the posts a day of an age from some moment on."""
        platform, owner, since = self._platform, group[0][0], min(since for _, _, since in group)
        reads = sum(post_reads(posts, begin) for _, posts, begin in group) / CYCLES_A_DAY
        counted = (
            sum(counter_reads(posts, begin) for _, posts, begin in group) / CYCLES_A_DAY if platform.recount else 0.0
        )

        def whole(ids: Sequence[str]) -> list[Call]:
            of = platform.lookup_of
            return of(dict.fromkeys(ids, owner.account_id)) if of else platform.lookup(ids)

        made_up = partial(self._posts, owner, since=since)
        self._in_batches(whole, reads - counted, made_up, total)
        if platform.recount:
            self._in_batches(platform.recount, counted, made_up, total)

    def _in_batches(
        self, calls: Callable[[list[str]], list[Call]], posts: float, made_up: Callable[[int], list[str]], total: Demand
    ) -> None:  # fmt: skip
        """Look-ups of an expected number of posts, a chunk after another as the collector asks for them."""

        def chunk(number: int) -> Demand:
            one = Demand()
            self._ask(calls(made_up(number)), one)
            return one

        total.add(chunk(CHUNK), posts // CHUNK)
        total.add(expected(posts % CHUNK, chunk))

    def _sample(self, account: Account, size: int, total: Demand) -> None:
        """One account's sample, and where it is drawn from posts one of followers too, if a grant opens their list."""
        platform = self._platform
        if not platform.audience_posts:
            self._along(platform.audience(account, []), account, size, total)
            return
        self._ask([platform.listing(account, True)], total)
        lists = platform.audience(account, self._posts(account, platform.audience_posts))
        if self._ask(lists, total):
            self._members(account, size, total)
            self._prove(lists[0].grant is not None, total)
        if account.account_id in self._granted:
            self._along(platform.granted_audience(account), account, size, total)

    def _along(self, lists: Iterable[Call], account: Account, size: int, total: Demand) -> None:
        """As many members of lists as a sample has, page after page."""
        got = 0
        for first in lists:
            while got < size:
                call = self._platform.at_most(first, size - got)
                if not self._ask([call], total):
                    break
                got += max(1, self._platform.page(call).rows)
            self._prove(got > 0 and first.grant is not None, total)
        if got:
            self._members(account, size, total)

    def _members(self, account: Account, size: int, total: Demand) -> None:
        """A sample's members, and the look-ups of their profiles."""
        members = [self._platform.made_up(account, self._now, number) for number in range(size)]
        self._ask(self._platform.profiles(members), total)
        total.events["followers"] += size
