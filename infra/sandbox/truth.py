"""What the world knows and no platform tells: served under /_truth, for demos and tests to compare estimates with."""

from collections import Counter
from collections.abc import Mapping

from infra.sandbox import formats, people, posts, reach
from infra.sandbox.cast import DAY, Account
from infra.sandbox.posts import NEVER, Post
from infra.sandbox.surface import Surface
from infra.sandbox.wire import Answer, Request, iso_millis, seconds
from infra.sandbox.world import GONE, World, suspended_since

_POST_DAYS = 90


class Truth:
    """Answers about the world, and about what was asked of the sandbox."""

    def __init__(self, world: World, surfaces: Mapping[str, Surface]) -> None:
        self.world, self.surfaces = world, surfaces
        self.requests: Counter[tuple[str, str, int]] = Counter()

    def answer(self, request: Request) -> Answer:
        """GET /_truth/accounts, /_truth/posts, /_truth/people or /_truth/requests."""
        at = request.one("at")
        try:
            t = seconds(at.replace(" ", "+")) if at else request.now
        except ValueError:
            return Answer(400, {"error": f"at={at}: not an RFC 3339 moment"})
        if request.path == "/_truth/accounts":
            served = [a for a in self.world.accounts if a.platform in self.surfaces]
            chosen = served if request.one("all") else [a for a in served if a.is_watched]
            platform = request.one("platform")
            return Answer(200, [self.account(a, t) for a in chosen if platform in (None, a.platform)])
        if request.path == "/_truth/posts":
            return self._posts(request, t)
        if request.path == "/_truth/requests":
            rows = [
                {"platform": platform, "endpoint": endpoint, "status": status, "count": count}
                for (platform, endpoint, status), count in sorted(self.requests.items())
            ]
            units = [
                {"platform": name} | row for name, surface in self.surfaces.items() for row in surface.spent.rows()
            ]
            return Answer(200, {"requests": rows, "units": units})
        return Answer(404, {"error": "not found"})

    def account(self, account: Account, t: float) -> dict[str, object]:
        """All that is true of an account at t."""
        share, size = people.fake_share(account, t, self.world.fakes)
        away = suspended_since(account, t)
        gone = bool(account.flags & GONE)
        windows = reach.WINDOWS
        return {
            "creator_id": account.creator_id,
            "creator_name": account.creator_name,
            "platform": account.platform,
            "account_id": account.account_id,
            "account": account.account,
            "handle": account.handle_at(t),
            "followers": self.world.followers(account, t),
            "fake_share": share,
            "audience_relation": account.traits.audience,
            "audience_size": size,
            "buys_followers": account.buys_every_days > 0,
            "suspended": away is not None,
            "suspended_since": None if away is None else iso_millis(away),
            "deleted": gone,
            "reach": {str(d): reach.of_window(account, t, d, self.world.fakes) for d in windows}
            if account.traits.knows_reach
            else None,
            "engagement_rate_by_followers": {
                str(d): reach.engagement_rate(account, t, d, self.world.fakes) for d in windows
            },
            "is_watched": account.is_watched,
            "flags": sorted(account.flags),
        }

    def _posts(self, request: Request, t: float) -> Answer:
        account = self.world.by_account_id.get((request.one("platform") or "", request.one("account_id") or ""))
        if account is None:
            return Answer(404, {"error": "no such platform and account_id"})
        days = int(request.one("days") or _POST_DAYS)
        months = range(max(0, posts.month_of(t - days * DAY)), posts.month_of(t) + 1)
        found = (post for month in months for post in posts.month_posts(account, month, self.world.fakes))
        return Answer(200, [self._post(post, t) for post in found if t - days * DAY <= post.published_at <= t])

    def post_id(self, post: Post) -> str:
        """A post's id as assay's events have it."""
        return self.surfaces[post.account.platform].post_id(post)

    def _post(self, post: Post, t: float) -> dict[str, object]:
        counters = post.counters(t)
        shown = post.account.traits.counters
        true: dict[str, object] = {
            "views": counters.views,
            "impressions": counters.views,
            "likes": counters.likes,
            "score": counters.likes,
            "comments": counters.comments,
            "shares": counters.shares,
            "saves": counters.saves,
            "quotes": counters.quotes,
        }
        return {
            "post_id": self.post_id(post),
            "published_at": iso_millis(post.published_at),
            "state": "visible" if post.is_up(t) else "gone",
            "deleted_at": iso_millis(post.deleted_at) if post.deleted_at != NEVER and post.deleted_at <= t else None,
            "relation": post.relation,
            "format": formats.IN_EVENTS.get(post.format, post.format),
            "is_viral": post.is_viral,
            "is_sponsored": post.is_sponsored,
            "reach": reach.of_post(post, t) if post.account.traits.knows_reach else None,
        } | {name: value if name in shown else None for name, value in true.items()}
