"""Which posts are due: the younger a post, the more often it is read. Pure.

Hourly in the first 24 hours, every 6 hours to day 7, daily to day 30, weekly to day 90, then never again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

HORIZON = timedelta(days=90)
"""How long a post is followed, and how far back the first sight of an account lists."""
STEPS = (
    (timedelta(hours=24), timedelta(hours=1)),
    (timedelta(days=7), timedelta(hours=6)),
    (timedelta(days=30), timedelta(days=1)),
    (HORIZON, timedelta(days=7)),
)
FRESH = STEPS[0][0]
WEEK = timedelta(days=7)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
SLACK = timedelta(minutes=10)
"""A schedule's runs begin some minutes early or late; an hourly run must not find a post 59 minutes old and skip it."""


class Known(msgspec.Struct, frozen=True):
    """A post that was seen before: an entry of `state/known_posts/<platform>.parquet`."""

    post_id: str
    account_id: str
    published_at: datetime
    last_seen_at: datetime
    state: str = "visible"


def interval(age: timedelta) -> timedelta | None:
    """How often a post of this age is read; None when it is not read any more."""
    for until, every in STEPS:
        if age < until:
            return every
    return None


def is_due(published_at: datetime, last_seen_at: datetime | None, now: datetime) -> bool:
    """Whether the post is to be read now. One that was never read is, as long as it is followed at all."""
    every = interval(now - published_at)
    if every is None:
        return False
    return last_seen_at is None or now - last_seen_at >= every - SLACK


def due(known: Iterable[Known], now: datetime) -> list[Known]:
    """The known posts to be read now, in the order given.

    One that is gone for certain is not looked for again; should it come back, its account's listing shows it.
    """
    return [post for post in known if post.state != "gone" and is_due(post.published_at, post.last_seen_at, now)]


def urgency(known: Iterable[Known], now: datetime) -> tuple[bool, datetime]:
    """Where an account with these posts stands, or a post alone, when not all can be read; the lowest comes first.

    First those never seen and those with fresh posts that are due, then the others; among each the longest unread.
    """
    posts = list(known)
    if not posts:
        return False, LONG_AGO
    is_fresh = any(now - post.published_at < FRESH for post in due(posts, now))
    return not is_fresh, max(post.last_seen_at for post in posts)


def needs_counters_alone(post: Known, now: datetime) -> bool:
    """Whether it is enough to count a known post anew: it is read whole all its first day, and then once a week.

    So what an author changes is seen within a week, and within the month after which some platforms want it refreshed.
    """
    age, then = now - post.published_at, post.last_seen_at - post.published_at
    was_read = post.state == "visible" and then > timedelta()
    return was_read and age >= timedelta(days=1) and age // WEEK == then // WEEK


def list_back_to(known: Iterable[Known], now: datetime) -> datetime:
    """How far back an account's listing must go so that no new post is missed.

    To the newest post that is known (anything new is newer), and at the first sight of an account to the horizon.
    """
    return max((post.published_at for post in known if post.published_at <= now), default=now - HORIZON)
