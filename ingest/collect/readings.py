"""How often the ladder reads an account's posts in the steady state, and of which ages those are. Pure.

Posts appear evenly there, so that an account with p posts a day has p posts of each day's age.
"""

from datetime import timedelta

from ingest.collect.ladder import HORIZON, STEPS, WEEK

DAY = timedelta(days=1)


def post_reads(posts_a_day: float, since: timedelta = timedelta(), until: timedelta = HORIZON) -> float:
    """Readings in a day of an account's posts of these ages."""
    reads, begin = 0.0, timedelta()
    for end, every in STEPS:
        reads += max(timedelta(), min(end, until) - max(begin, since)) / every
        begin = end
    return posts_a_day * reads


def counter_reads(posts_a_day: float, since: timedelta = timedelta()) -> float:
    """Of these readings of posts older than `since`, those of which counters are enough, where a platform has such."""
    reads, begin = 0.0, timedelta()
    for end, every in STEPS:
        if begin >= DAY:  # of a post's readings in a week one is whole
            reads += max(timedelta(), end - max(begin, since)) / every * max(0.0, 1 - every / WEEK)
        begin = end
    return posts_a_day * reads


def aged(share: float, since: timedelta = timedelta()) -> timedelta:
    """The age that this share of the readings of posts older than `since` is below."""
    left, begin = share * post_reads(1.0, since), since
    for end, every in STEPS:
        inside = max(timedelta(), end - begin) / every
        if inside >= left:
            return begin + left * every
        left, begin = left - inside, max(begin, end)
    return HORIZON
