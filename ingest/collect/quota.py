"""A budget of units that begins anew at midnight in the platform's zone, shared by all workers of one credential.

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
from zoneinfo import ZoneInfo

from ingest.collect.outcome import Exhausted
from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import instant
from ingest.land.store import Put, Store

PACIFIC = ZoneInfo("America/Los_Angeles")
SWAPS = 40
"""Attempts at one compare-and-swap; each lost attempt means that another worker's succeeded."""


def window(moment: datetime, zone: ZoneInfo = PACIFIC) -> date:
    """The day that the moment falls in."""
    return moment.astimezone(zone).date()


def next_reset(moment: datetime, zone: ZoneInfo = PACIFIC) -> datetime:
    """The next midnight after the moment, in UTC; a Pacific day has 23, 24 or 25 hours."""
    tomorrow = window(moment, zone) + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).astimezone(UTC)


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
    """One worker's view of the shared budget. Not for use from several threads; several workers each have their own."""

    def __init__(
        self, store: Store, platform: str, credential: str, limit: int, zone: ZoneInfo = PACIFIC
    ) -> None:  # fmt: skip
        """`limit` is the units of a day in `zone`."""
        self._store, self._platform, self._limit, self._zone = store, platform, limit, zone
        self._prefix = f"state/quota/{platform}/{hashlib.sha256(credential.encode()).hexdigest()[:16]}"
        self._window: date | None = None
        self._leased = 0
        self.spent = 0
        """Units this worker spent, over all windows."""
        self.left: int | None = None
        """Units that nobody had reserved when the ledger was last read or written."""

    def reserve(self, units: int, at: datetime) -> None:
        """Have at least `units` leased in the window of `at`, as far as the budget goes."""
        if self._window != window(at, self._zone):
            self.settle()
            self._window = window(at, self._zone)
        if self._leased < units:
            wanted = units - self._leased
            granted = 0

            def lease(account: Account) -> Account:
                nonlocal granted
                account, granted = account.lease(wanted)
                return account

            self._swap(lease)
            self._leased += granted

    def spend(self, units: int, at: datetime, lease: int = 100) -> None:
        """Take units for one call, leasing more where needed.

        Raises Exhausted with the reset when the window's budget does not hold them.
        """
        if self._window != window(at, self._zone) or self._leased < units:
            self.reserve(max(units, lease), at)
        if self._leased < units:
            raise self.exhausted(at)
        self._leased -= units
        self.spent += units

    def refund(self, units: int, at: datetime) -> None:
        """Take back units that a call, spent for at a moment, did not cost after all.

        After the end of that day, or once its budget is known to be spent, they stay reserved: that over-counts.
        """
        self.spent -= units
        if self._window == window(at, self._zone):
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

    def exhausted(self, at: datetime) -> Exhausted:
        """The failure that says so."""
        reset = next_reset(at, self._zone)
        return Exhausted(
            f"the {self._limit} units of {window(at, self._zone)} ({self._zone}) are spent or reserved, until "
            f"{instant(reset)}. Wait until then, raise the platform's quota and "
            f"ASSAY_{self._platform.upper()}_DAILY_UNITS, or watch fewer accounts",
            reset,
        )

    def _swap(self, change: Callable[[Account], Account]) -> None:
        """Change the window's object, however many others do. Raises DependencyFailed when they never let us."""
        key = f"{self._prefix}/{self._window}.json"
        for _ in range(SWAPS):
            found = self._store.get(key)
            before = Account(self._limit) if found is None else Account(self._limit, _reserved(key, found.body))
            after = change(before)
            self.left = after.left
            if after == before and found is not None:
                return
            body = json.dumps({"limit": after.limit, "reserved": after.reserved}).encode()
            put = self._store.put(key, body, if_absent=found is None, if_match=found.etag if found else None)
            if put is Put.WRITTEN:
                return
            time.sleep(random.uniform(0.001, 0.05))  # noqa: S311  # jitter, not a secret
        raise DependencyFailed(f"{key}: the quota ledger changed under every one of {SWAPS} attempts. Run again")


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
