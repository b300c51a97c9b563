"""What Google's APIs tell a channel's owner: consent, whose a token is, subscribers, and reports by video."""

from collections.abc import Callable

from infra.sandbox import growth, people
from infra.sandbox import youtube_errors as errors
from infra.sandbox import youtube_shapes as shapes
from infra.sandbox.cast import DAY, Account
from infra.sandbox.ids import MEMBER
from infra.sandbox.oauth import Holder, OAuth, Rules
from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, Refusal, Request, day
from infra.sandbox.world import World

PATHS = {"/o/oauth2/v2/auth": "authorize", "/token": "token", "/revoke": "revoke", "/v2/reports": "reports"}
READ = "https://www.googleapis.com/auth/youtube.readonly"
ANALYTICS = "https://www.googleapis.com/auth/yt-analytics.readonly"
LAG = 2 * DAY
"""How much older the figures of reports are."""
RECENT = 1000
"""Subscribers that the list of the newest goes back to."""
Find = Callable[[str, float], Post | None]


def average_seconds(post: Post) -> int:
    """How long a view lasts in the mean: between a quarter and two thirds of the video."""
    return round(post.duration * (0.25 + 0.4 * (post.key % 1000) / 1000))


def minutes_watched(post: Post, t: float) -> int:
    """Minutes that a video was watched until t."""
    return post.counters(t).views * average_seconds(post) // 60


METRICS: dict[str, Callable[[Post, float], int]] = {
    "views": lambda post, t: post.counters(t).views,
    "estimatedMinutesWatched": minutes_watched,
    "averageViewDuration": lambda post, _: average_seconds(post),
    "likes": lambda post, t: post.counters(t).likes,
    "dislikes": lambda post, t: post.counters(t).likes // 40,
    "comments": lambda post, t: post.counters(t).comments,
    "shares": lambda post, t: post.counters(t).shares,
}


class Owner:
    """The owners' side of the surface."""

    def __init__(
        self, world: World, find: Find, channel: Callable[[str], Account | None], first: Callable[[], str]
    ) -> None:  # fmt: skip
        """`find` gives a video that is up, `channel` an account by id, `first` the one that consents by default."""
        self._world, self._find, self._channel = world, find, channel
        rules = Rules(
            scopes=frozenset({READ, ANALYTICS}),
            offline=lambda request, _: request.one("access_type") == "offline",
            prefix="ya29.",
        )
        self.oauth = OAuth(rules, first)

    def answer(self, endpoint: str, request: Request) -> Answer:
        """Answer one of the calls of `PATHS`."""
        if endpoint == "authorize":
            return self.oauth.authorize(request)
        if endpoint in ("token", "revoke"):
            return self.oauth.token(request) if endpoint == "token" else self.oauth.revoke(request)
        return self._report(request, self.holder(request, ANALYTICS))

    def holder(self, request: Request, scope: str) -> Account:
        """The channel whose owner asks. Refusal: no token, an old one, one without the scope."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        found = self.oauth.holder(token, request.now)
        account = self._channel(found.account_id) if isinstance(found, Holder) else None
        if not isinstance(found, Holder) or account is None:
            message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            raise Refusal(errors.error(401, "authError", message, "global", status="UNAUTHENTICATED"))
        if scope not in found.scopes:
            message = "Request had insufficient authentication scopes."
            raise Refusal(errors.error(403, "insufficientPermissions", message, "global", status="PERMISSION_DENIED"))
        return account

    def subscribers(
        self, request: Request, parts: set[str], start: int, size: int
    ) -> tuple[list[shapes.Resource], bool]:
        """Subscriptions to the owner's channel from a rank on, newest first, and whether more follow.

        Those who keep theirs private are left out, so that a page may hold fewer than `size`. The list without an
        order (`mySubscribers`) goes on to the end.
        """
        account = self.holder(request, READ)
        audience = growth.audience(account, request.now, self._world.fakes)
        end = min(audience.count, RECENT) if request.one("myRecentSubscribers") == "true" else audience.count
        index = audience.newest(start, max(0, min(size, end - start)))
        ids = self._world.ids["youtube"]
        rows = [
            shapes.subscription(account, ids.account(MEMBER, account.number, member.number), member, parts)
            for member in people.members(account, index, request.now, self._world.fakes)
            if not member.is_private
        ]
        return rows, start + size < end

    def _report(self, request: Request, account: Account) -> Answer:
        """Totals by video, of those asked for."""
        ids, start, end = request.one("ids") or "", request.one("startDate"), request.one("endDate")
        if ids not in ("channel==MINE", f"channel=={account.local_id}"):
            return errors.error(403, "forbidden", "Forbidden", "global", status="PERMISSION_DENIED")
        names = (request.one("metrics") or "").split(",")
        videos = (request.one("filters") or "").partition("video==")[2].split(",")
        unknown = [name for name in names if name not in METRICS]
        if not start or not end or unknown or request.one("dimensions") != "video" or len(videos) > 500:
            message = f"The query is not supported. Check the documentation for supported queries. {' '.join(unknown)}"
            return errors.error(400, "badRequest", message.strip(), "global", status="INVALID_ARGUMENT")
        until = request.now - LAG
        found = ((text, self._find(text, request.now)) for text in videos)
        rows: list[list[object]] = [
            [text, *(METRICS[name](post, until) for name in names)]
            for text, post in found
            if post and post.account is account and post.published_at < until and start <= day(until) <= end
        ]
        if request.one("sort") == "-views" and "views" in names:
            rows.sort(key=lambda row: -int(str(row[1 + names.index("views")])))
        columns = [{"name": "video", "columnType": "DIMENSION", "dataType": "STRING"}]
        columns += [{"name": name, "columnType": "METRIC", "dataType": "INTEGER"} for name in names]
        body: shapes.Resource = {"kind": "youtubeAnalytics#resultTable", "columnHeaders": columns}
        rows = rows[: int(request.one("maxResults") or 200)]
        return Answer(200, body | {"rows": rows} if rows else body)  # no figures: no `rows` at all
