"""How an account's audience grows: who joined when, who left, and where bought blocks stand in the list.

Members are numbered in the order in which they joined. Those that leave are the oldest first, and, when a platform
purges, a run out of a bought block; so the list of members at any moment is a few runs of numbers, and the count
shown and the list served are the same thing.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from infra.sandbox.cast import DAY, EPOCH, Account
from infra.sandbox.draw import Floats, lognormal, uniforms

_CHUNK_DAYS = 1024
_RAMP = 6 * 3600.0
"""A purchase is delivered within six hours."""
_VIRAL_ODDS = 1 / 45
_VIRAL_AFTERGLOW = (4.0, 6.0, 2.5, 0.8)


@lru_cache(maxsize=4096)
def viral_days(account: Account, chunks: int) -> NDArray[np.bool_]:
    """For each day from EPOCH, whether the account's first post of that day goes viral."""
    days = np.arange(chunks * _CHUNK_DAYS)
    return uniforms(account.key ^ 0x51, days, 1)[:, 0] < _VIRAL_ODDS


@dataclass(frozen=True, slots=True)
class Curve:
    """Cumulated joins and leaves of an account, at the moments `at`."""

    at: Floats
    joined: Floats
    organic: Floats  # joined without having been bought
    left: Floats
    purchases: tuple[tuple[float, int, int], ...]  # (moment, first index, index after the last)
    purges: tuple[tuple[float, int, int], ...]


@lru_cache(maxsize=4096)
def curve(account: Account, chunks: int, fakes: float) -> Curve:
    """The account's history over `chunks` x 1024 days; longer ones agree with shorter ones where both reach."""
    count = chunks * _CHUNK_DAYS
    days = np.arange(count)
    noise = uniforms(account.key ^ 0x77, days, 2)
    rate = account.first_followers * account.join_rate / 365 * lognormal(noise[:, 0], 0.95, 0.45)
    viral = viral_days(account, chunks).astype(np.float64)
    boost = np.ones(count)
    for later, strength in enumerate(_VIRAL_AFTERGLOW):
        boost[later:] += strength * viral[: count - later]
    organic = np.concatenate(([0.0], np.cumsum(rate * boost)))
    leaving = account.first_followers * account.join_rate / 365 * account.leave_ratio
    left = np.concatenate(([0.0], np.cumsum(leaving * 2 * noise[:, 1])))
    at = EPOCH + DAY * np.arange(count + 1)

    bought: list[tuple[float, int]] = []
    if account.buys_every_days:
        period, first = account.buys_every_days * DAY, (account.key >> 20) % 1000 / 1000
        size = int(account.first_followers * account.buys_share * fakes)
        bought = [(EPOCH + period * (k + first), size) for k in range(int(count * DAY / period - first) + 1)]
    knots = np.unique(np.concatenate([at, *([[when, when + _RAMP] for when, _ in bought])]))
    grown = account.first_followers + np.interp(knots, at, organic)
    joined = grown.copy()
    for when, size in bought:
        joined += size * np.clip((knots - when) / _RAMP, 0, 1)

    def reached(when: float) -> int:
        return int(np.interp(when, knots, joined))

    purchases = tuple((when, reached(when), reached(when + _RAMP)) for when, _ in bought)
    purges = tuple(
        (when + 0.55 * account.buys_every_days * DAY, low + (high - low) // 10, low + (high - low) * 8 // 10)
        for when, low, high in purchases
    )
    return Curve(knots, joined, grown, np.interp(knots, at, left), purchases, purges)


def history(account: Account, t: float, fakes: float) -> Curve:
    """The account's history, long enough for the moment t."""
    return curve(account, max(1, ceil((t - EPOCH) / DAY / _CHUNK_DAYS)), fakes)


@dataclass(frozen=True, slots=True)
class Audience:
    """The members at one moment as runs of numbers, oldest first."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    before: NDArray[np.int64]  # members in the runs before each
    count: int

    def newest(self, rank: int, count: int) -> NDArray[np.int64]:
        """Up to `count` members from `rank` on (0 is the newest), newest first."""
        places = np.arange(self.count - 1 - rank, max(-1, self.count - 1 - rank - count), -1)
        return self.at(places)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The members at places counted from the oldest."""
        run = np.searchsorted(self.before, places, side="right") - 1
        return self.starts[run] + places - self.before[run]

    def rank_below(self, member: int) -> int:
        """The rank, from the newest, of the first member older than `member`."""
        run = int(np.searchsorted(self.starts, member, side="right")) - 1
        if run < 0:
            return self.count
        return self.count - int(self.before[run] + min(member, self.ends[run]) - self.starts[run])

    def everyone(self) -> NDArray[np.int64]:
        """All members, oldest first."""
        return self.at(np.arange(self.count))


@lru_cache(maxsize=8192)
def audience(account: Account, t: float, fakes: float) -> Audience:
    """Who follows the account at the moment t."""
    known = history(account, t, fakes)
    first = int(np.interp(t, known.at, known.left))
    last = int(np.interp(t, known.at, known.joined))
    runs, low = [], first
    for when, start, end in known.purges:
        if when > t:
            break
        if end <= low:
            continue
        if start > low:
            runs.append((low, start))
        low = max(low, end)
    runs.append((low, max(low, last)))
    starts = np.array([run[0] for run in runs])
    ends = np.array([run[1] for run in runs])
    sizes = ends - starts
    return Audience(starts, ends, np.concatenate(([0], np.cumsum(sizes)[:-1])), int(sizes.sum()))


def followers(account: Account, t: float, fakes: float) -> int:
    """The exact number of followers at the moment t."""
    return audience(account, t, fakes).count


def engaged(account: Account, moments: Floats, fakes: float) -> Floats:
    """How many followers were there to look at what is published at these moments: bought ones never do."""
    if not len(moments):
        return moments
    known = history(account, float(moments[-1]), fakes)
    real = account.first_followers * (1 - 0.9 * min(0.85, account.fake_target * fakes))
    return real + np.interp(moments, known.at, known.organic - known.left) - account.first_followers


def joined_at(account: Account, members: NDArray[np.int64], t: float, fakes: float) -> Floats:
    """When each member joined; those from before EPOCH are spread over the account's life until then."""
    known = history(account, t, fakes)
    since = np.interp(members, known.joined, known.at)
    share = np.clip(members / account.first_followers, 0, 1) ** 0.6
    return np.where(members < account.first_followers, account.created_at + (EPOCH - account.created_at) * share, since)
