"""A budget of units of a day, and of a month, in the platform's zone, shared by all workers of one credential.

One object in the lake for each window holds how many units are reserved. Workers reserve a lease before they spend and
return what they did not use, both by compare-and-swap: a worker that dies keeps its lease reserved, so a crash
over-counts and never under-counts. The arithmetic is pure; `Ledger` is its edge.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from ingest.collect.outcome import Exhausted
from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import instant
from ingest.land.store import Put, Store

PACIFIC = ZoneInfo("America/Los_Angeles")
SWAPS = 40
"""Attempts at one compare-and-swap; each lost attempt means that another worker's succeeded."""
LEASE, LEASES = 100, 100
"""Units that are leased at once, at least; and how many leases a large budget is divided into.

Each lease costs two requests to the store, and what a dead worker had leased is lost to its window.
"""
Span = Literal["day", "month"]


def window(moment: datetime, zone: ZoneInfo = PACIFIC, span: Span = "day") -> date:
    """The day that the moment falls in, or the first day of its month."""
    day = moment.astimezone(zone).date()
    return day.replace(day=1) if span == "month" else day


def next_reset(moment: datetime, zone: ZoneInfo = PACIFIC, span: Span = "day") -> datetime:
    """The next midnight after the moment, or that of the next month, in UTC; a Pacific day has 23, 24 or 25 hours."""
    begin = window(moment, zone, span)
    after = begin + timedelta(days=1) if span == "day" else (begin + timedelta(days=31)).replace(day=1)
    return datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True)
class Account:
    """What one window's object says."""

    limit: int
    reserved: int = 0

    @property
    def left(self) -> int:
        """Units that nobody has reserved."""
        return max(0, self.limit - self.reserved)

    def lease(self, wanted: int) -> tuple["Account", int]:
        """The account after a lease, and the units granted: at most what is left."""
        granted = min(max(0, wanted), self.left)
        return replace(self, reserved=self.reserved + granted), granted

    def give_back(self, units: int) -> "Account":
        """The account after units of a lease came back unused."""
        return replace(self, reserved=max(0, self.reserved - max(0, units)))

    def spent_up(self) -> "Account":
        """The account after the platform itself said that nothing is left."""
        return replace(self, reserved=max(self.reserved, self.limit))


class Ledger:
    """One worker's view of the shared budgets. Not for several threads; several workers each have their own."""

    def __init__(
        self, store: Store, platform: str, credential: str, limit: int, zone: ZoneInfo = PACIFIC, *,
        monthly: int | None = None,
    ) -> None:  # fmt: skip
        """`limit` is the units of a day in `zone`, `monthly` those of a calendar month; None where none is set."""
        limits: dict[Span, int | None] = {"day": limit, "month": monthly}
        self._books = [
            _Book(store, platform, credential, units, zone=zone, span=span)
            for span, units in limits.items()
            if units is not None
        ]
        self.spent = 0
        """Units this worker spent, over all windows."""

    @property
    def left(self) -> int | None:
        """Units that nobody had reserved when the ledger was last read or written, in the window that has fewest."""
        return min((book.left for book in self._books if book.left is not None), default=None)

    def reserve(self, units: int, at: datetime) -> int:
        """Have at least `units` leased in the windows of `at`, as far as the budgets go.

        Returns how many units this worker may spend yet, leased or not.
        """
        return min(book.reserve(units, at) for book in self._books)

    def spend(self, units: int, at: datetime, lease: int = LEASE) -> None:
        """Take units for one call; where they must be leased first, at least `lease` are, or a share of the budget.

        Raises Exhausted with the reset when a window's budget does not hold them.
        """
        for book in self._books:
            book.cover(units, at, lease)
        for book in self._books:
            book.take(units)
        self.spent += units

    def refund(self, units: int, at: datetime) -> None:
        """Take back units that a call, spent for at a moment, did not cost after all.

        After the end of that window, or once its budget is known to be spent, they stay reserved: that over-counts.
        """
        self.spent -= units
        for book in self._books:
            book.refund(units, at)

    def settle(self) -> None:
        """Return what was leased and not spent."""
        for book in self._books:
            book.settle()

    def mark_spent(self) -> None:
        """Write down that the platform says the day's budget is spent, whatever we counted."""
        self._books[0].mark_spent()


class _Book:
    """One kind of window: its object of now, and what is leased of it."""

    def __init__(
        self, store: Store, platform: str, credential: str, limit: int, *, zone: ZoneInfo, span: Span
    ) -> None:  # fmt: skip
        self._store, self._platform, self._limit, self._zone, self._span = store, platform, limit, zone, span
        self._prefix = f"state/quota/{platform}/{hashlib.sha256(credential.encode()).hexdigest()[:16]}"
        self._window: date | None = None
        self._leased = 0
        self.left: int | None = None

    def reserve(self, units: int, at: datetime) -> int:
        """Have at least `units` leased, as far as the budget goes; how many there are to spend."""
        if self._window != window(at, self._zone, self._span):
            self.settle()
            self._window, self.left = window(at, self._zone, self._span), None
        if self._leased < units or self.left is None:
            wanted = max(0, units - self._leased)
            granted = 0

            def lease(account: Account) -> Account:
                nonlocal granted
                account, granted = account.lease(wanted)
                return account

            self._swap(lease)
            self._leased += granted
        return self._leased + (self.left or 0)

    def cover(self, units: int, at: datetime, lease: int) -> None:
        """Have the units of one call leased, and more to come. Raises Exhausted when the budget does not hold them."""
        if self._window != window(at, self._zone, self._span) or self._leased < units:
            self.reserve(max(units, lease, self._limit // LEASES), at)
        if self._leased < units:
            raise self._exhausted(at)

    def take(self, units: int) -> None:
        """Spend units that are leased."""
        self._leased -= units

    def refund(self, units: int, at: datetime) -> None:
        """Take back units that were spent at a moment, if its window is still the one at hand."""
        if self._window == window(at, self._zone, self._span):
            self._leased += units

    def settle(self) -> None:
        """Return what was leased and not spent."""
        if self._window is not None and self._leased:
            unused, self._leased = self._leased, 0
            self._swap(lambda account: account.give_back(unused))

    def mark_spent(self) -> None:
        """Write down that the platform says the window's budget is spent, whatever we counted."""
        if self._window is not None:
            self._leased = 0
            self._swap(Account.spent_up)
            self._window = None

    @property
    def _name(self) -> str:
        """The window's: `2026-09-02`, or `2026-09` for a month."""
        return str(self._window)[: 10 if self._span == "day" else 7]

    def _exhausted(self, at: datetime) -> Exhausted:
        """The failure that says so."""
        reset = next_reset(at, self._zone, self._span)
        setting = f"ASSAY_{self._platform.upper()}_{'DAILY' if self._span == 'day' else 'MONTHLY'}_UNITS"
        return Exhausted(
            f"the {self._limit} units of {self._name} ({self._zone}) are spent or reserved, until "
            f"{instant(reset)}. Wait until then, raise the platform's quota and {setting}, or watch fewer accounts",
            reset,
        )

    def _swap(self, change: Callable[[Account], Account]) -> None:
        """Change the window's object, however many others do. Raises DependencyFailed when they never let us."""
        key = f"{self._prefix}/{self._name}.json"

        def write(body: bytes | None) -> bytes | None:
            before = Account(self._limit, 0 if body is None else _reserved(key, body))
            after = change(before)
            self.left = after.left
            if after == before and body is not None:
                return None
            return json.dumps({"limit": after.limit, "reserved": after.reserved}).encode()

        swap(self._store, key, write)


def swap(store: Store, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
    """Change an object, however many others do: `change` takes its body and gives the new one, or None to leave it.

    Raises DependencyFailed when the others never let us.
    """
    for _ in range(SWAPS):
        found = store.get(key)
        body = change(found.body if found else None)
        if body is None:
            return
        put = store.put(key, body, if_absent=found is None, if_match=found.etag if found else None)
        if put is Put.WRITTEN:
            return
        time.sleep(random.uniform(0.001, 0.05))  # noqa: S311  # jitter, not a secret
    raise DependencyFailed(f"{key} changed under every one of {SWAPS} attempts. Run again")


def _reserved(key: str, body: bytes) -> int:
    try:
        reserved = json.loads(body)["reserved"]
    except (ValueError, KeyError, TypeError):
        raise Misconfigured(f"{key} is no quota ledger. Look at it, and delete it if nobody knows better") from None
    if not isinstance(reserved, int) or reserved < 0:
        raise Misconfigured(
            f"{key}: reserved is {reserved!r}, no number of units. Look at it, and delete it if nobody knows better"
        )
    return reserved
