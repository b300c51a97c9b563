"""What accounts publish, and how each post's counters run with its age."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import exp

import numpy as np
from numpy.typing import NDArray

from infra.sandbox import growth
from infra.sandbox.cast import DAY, EPOCH, Account
from infra.sandbox.draw import Floats, lognormal, mix, uniforms

NEVER = float("inf")
SAME = 0.0005
"""Moments closer than this are one: platforms tell milliseconds."""
_START_YEAR, _START_MONTH = 2025, 7
_MONTH_ROOM = 512
_A_DAY_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class Counters:
    """A post's true counters at a moment; views is 0 where the platform has none."""

    views: int
    likes: int
    comments: int
    shares: int
    saves: int
    quotes: int


@dataclass(frozen=True, slots=True)
class Post:
    """One post, with the ends that its counters run towards."""

    account: Account
    index: int
    key: int
    published_at: float
    deleted_at: float
    relation: str  # original | reply | quote
    format: str  # as `formats` has it
    is_viral: bool
    is_sponsored: bool
    is_declared: bool  # the platform's own paid-partnership flag
    comments_off: bool
    duration: int
    ends: tuple[float, ...]  # views, likes, comments, shares, saves, quotes
    speed: float
    purged_at: float
    purge: float
    repeat: float  # unique viewers for each view

    def __hash__(self) -> int:
        return self.key

    def share(self, t: float) -> float:
        """How much of its final views a post has at t, 0 to 1."""
        age = (t - self.published_at) / 3600 * self.speed
        if age <= 0:
            return 0.0
        return 1.0 - 0.55 * exp(-age / 7) - 0.31 * exp(-age / 55) - 0.14 * exp(-age / 700)

    def counters(self, t: float) -> Counters:
        """The counters at t. They saturate, fall once in some posts, and waver now and then."""
        shown = self.share(t)
        acted = min(1.0, 1.04 * self.share(t + (t - self.published_at) * 0.25))
        if t >= self.purged_at:
            shown, acted = shown * self.purge, acted * (1 - (1 - self.purge) * 0.6)
        if self.account.traits.wavers and mix(self.key ^ int(t // 600)) % 97 == 0:
            shown, acted = shown * 0.997, acted * 0.999
        views, likes, comments, shares, saves, quotes = self.ends
        return Counters(
            int(views * shown),
            int(likes * acted),
            0 if self.comments_off else int(comments * acted),
            int(shares * acted),
            int(saves * acted),
            int(quotes * acted),
        )

    def is_up(self, t: float) -> bool:
        """Whether the post is published and not yet deleted at t."""
        return self.published_at <= t < self.deleted_at

    def is_missed(self, t: float) -> bool:
        """Whether a batch look-up at t leaves the post out although it is up, as platforms do now and then."""
        return mix(self.key + int(t // 600)) % 1021 == 0


def month_of(t: float) -> int:
    """Months since July 2025; negative before it."""
    day = datetime.fromtimestamp(t, UTC)
    return (day.year - _START_YEAR) * 12 + day.month - _START_MONTH


def _month_start(month: int) -> tuple[float, int]:
    year, place = divmod(_START_MONTH - 1 + month, 12)
    start = datetime(_START_YEAR + year, place + 1, 1, tzinfo=UTC)
    return start.timestamp(), monthrange(start.year, start.month)[1]


@dataclass(frozen=True, slots=True)
class _Calendar:
    """When the posts of one month were published and will be deleted, and which is the first of a viral day."""

    published: Floats
    deleted: Floats
    is_viral: NDArray[np.bool_]


@lru_cache(maxsize=32768)
def _calendar(account: Account, month: int) -> _Calendar:
    start, days = _month_start(month)
    first_day = round((start - EPOCH) / DAY)
    u = uniforms(account.key ^ 0xDA7E ^ (month << 32), np.arange(days * _A_DAY_AT_MOST), 4)
    # Each of a day's eight chances is taken with the odds that give the account's rate.
    taken = u[:, 0] < account.posts_a_day / _A_DAY_AT_MOST
    slot = np.flatnonzero(taken)
    day = slot // _A_DAY_AT_MOST
    clock = 6 * 3600 + 16 * 3600 * u[slot, 1]
    published = np.floor((start + day * DAY + clock) * 1000) / 1000
    order = np.argsort(published, kind="stable")
    published, day, u = published[order], day[order], u[slot][order]
    lived = 600 - np.log1p(-u[:, 3]) * 9 * DAY
    deleted = np.where(u[:, 2] < 0.035, published + lived, NEVER)
    viral = growth.viral_days(account, (first_day + days) // 1024 + 1)[first_day + day]
    first_of_day = np.concatenate(([True], day[1:] != day[:-1])) if len(day) else np.zeros(0, dtype=bool)
    return _Calendar(published, deleted, viral & first_of_day)


@lru_cache(maxsize=16384)
def month_posts(account: Account, month: int, fakes: float) -> tuple[Post, ...]:
    """The posts of one month, oldest first."""
    if month < 0:
        return ()
    dates = _calendar(account, month)
    count = len(dates.published)
    index = np.arange(count) + month * _MONTH_ROOM
    u = uniforms(account.key ^ 0x9057, index, 24)
    size = growth.engaged(account, dates.published, fakes)
    viral = np.where(dates.is_viral, 9 + 25 * u[:, 0] ** 2, 1.0)
    reach = size * account.pull * lognormal(u[:, 1], 0.9, 0.5) * viral
    traits = account.traits
    table = traits.table(reach, u)
    sponsored = u[:, 12] < 0.08
    posts = []
    for n in range(count):
        post_format, relation, duration, ends = table[n]
        row = u[n].tolist()
        published = float(dates.published[n])
        posts.append(
            Post(
                account=account,
                index=int(index[n]),
                key=mix(account.key ^ int(index[n])),
                published_at=published,
                deleted_at=float(dates.deleted[n]),
                relation=relation,
                format=post_format,
                is_viral=bool(dates.is_viral[n]),
                is_sponsored=bool(sponsored[n]) and relation == "original",
                is_declared=row[13] < 0.7,
                comments_off="no_comments" in account.flags or row[14] < traits.comments_off,
                duration=duration,
                ends=ends,
                speed=(0.7 + 0.9 * row[15]) * traits.speed,
                purged_at=published + DAY * (0.5 + 12 * row[17]) if row[16] < 0.07 else NEVER,
                purge=0.92 + 0.07 * row[18],
                repeat=account.repeat + 0.06 * (row[19] - 0.5),
            )
        )
    return tuple(posts)


def find(account: Account, index: int, fakes: float) -> Post | None:
    """The post with this number, at whatever moment, or None."""
    month, place = divmod(index, _MONTH_ROOM)
    if month > 1200:
        return None
    posts = month_posts(account, month, fakes)
    return posts[place] if place < len(posts) else None


def newest(account: Account, before: float, t: float, fakes: float, since: float = EPOCH) -> Iterator[Post]:
    """Posts that are up at t, published before `before` (and at or before t) and not before `since`, newest first."""
    month = month_of(min(before, t))
    while month >= max(0, month_of(since)):
        for post in reversed(month_posts(account, month, fakes)):
            if post.published_at < since:
                return
            if post.published_at < before - SAME and post.is_up(t):
                yield post
        month -= 1


def after(account: Account, since: float, t: float, fakes: float) -> Iterator[Post]:
    """Posts that are up at t and were published after `since`, oldest first."""
    for month in range(max(0, month_of(max(since, EPOCH))), month_of(t) + 1):
        for post in month_posts(account, month, fakes):
            if post.published_at > since + SAME and post.is_up(t):
                yield post


def published_at(account: Account, moment: float, fakes: float) -> Post | None:
    """The post published at exactly this moment (to the millisecond), or None."""
    if moment < EPOCH:
        return None
    for post in month_posts(account, month_of(moment), fakes):
        if abs(post.published_at - moment) < SAME:
            return post
    return None


@lru_cache(maxsize=8192)
def count(account: Account, t: float) -> int:
    """How many posts the profile shows at t."""
    total = account.older_posts
    for month in range(month_of(t) + 1):
        dates = _calendar(account, month)
        total += int(((dates.published <= t) & (dates.deleted > t)).sum())
    return total


def streaming(account: Account, t: float, fakes: float) -> Post | None:
    """The archive of the stream that is on at t, or None: an archive is published as its stream begins."""
    for post in newest(account, t + 1, t, fakes, t - DAY):
        if post.format == "archive" and t < post.published_at + post.duration:
            return post
    return None


def viewers(post: Post, t: float) -> int:
    """How many watch a stream at t: most of them halfway."""
    share = (t - post.published_at) / max(1, post.duration)
    return int(post.ends[0] * 0.15 * (0.4 + 2.4 * share * (1 - share))) if 0 <= share <= 1 else 0


def upvote_ratio(post: Post, t: float) -> float:
    """Share of votes that are up, two digits: it wavers by a hundredth from hour to hour."""
    usual = 0.62 + 0.37 * ((mix(post.key ^ 0xA9) >> 11) * 2.0**-53)
    return round(min(1.0, usual + (mix(post.key ^ int(t // 3600)) % 3 - 1) / 100), 2)
