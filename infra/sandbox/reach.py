"""Unique viewers: what lies behind views, known to the world alone.

Each post is seen by fewer people than it has views, because some watch again. Over several posts the regulars are the
same people, drawn from a limited pool, while the passers-by are new each time; so reach grows slower than its parts.
"""

from math import exp

from infra.sandbox import growth, posts
from infra.sandbox.cast import DAY, Account
from infra.sandbox.posts import Post
from infra.sandbox.world import suspended_since

WINDOWS = (7, 30, 90)
_WATCHING = 0.45
"""Share of followers that ever watch: the pool that regulars come from."""


def of_post(post: Post, t: float) -> int:
    """Unique viewers of one post at t."""
    return int(post.counters(t).views * post.repeat)


def of_window(account: Account, t: float, days: int, fakes: float) -> int:
    """Unique viewers of everything that the account published in the last `days` days, counted once."""
    pool = max(1.0, growth.followers(account, t, fakes) * _WATCHING)
    load = passers_by = 0.0
    for post in posts.newest(account, t + 1, t, fakes, t - days * DAY):
        viewers = of_post(post, t)
        share = account.regulars / (4 if post.is_viral else 1)
        load += viewers * share / pool
        passers_by += viewers * (1 - share)
    return int(pool * (1 - exp(-load)) + passers_by)


def engagement_rate(account: Account, t: float, days: int, fakes: float) -> float | None:
    """Mean of (likes + comments + shares + saves, those shown) / followers at publishing, over the window's posts."""
    if suspended_since(account, t) is not None:
        return None
    hidden = {"likes"} if "hidden_likes" in account.flags else set()
    shown = account.traits.counters & {"likes", "comments", "shares", "saves"} - hidden
    rates = []
    for post in posts.newest(account, t + 1, t, fakes, t - days * DAY):
        counters = post.counters(t)
        base = growth.followers(account, post.published_at, fakes)
        if base:
            rates.append(sum(getattr(counters, name) for name in shown) / base)
    return sum(rates) / len(rates) if rates and shown else None
