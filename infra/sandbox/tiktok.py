"""TikTok's Display, Research and Accounts APIs and its token endpoints, as far as creators' own data goes."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np

from infra.sandbox import growth, people, posts
from infra.sandbox import tiktok_shapes as shapes
from infra.sandbox.cast import DAY, Account
from infra.sandbox.oauth import CLIENT, Holder, OAuth, Rules
from infra.sandbox.posts import Post
from infra.sandbox.surface import Surface
from infra.sandbox.tiktok_search import Search
from infra.sandbox.wire import Answer, Limits, Refusal, Request, day
from infra.sandbox.world import World, is_away

PLATFORM = "tiktok"
SCOPES = {
    "user.info.basic": "open_id union_id avatar_url avatar_large_url display_name",
    "user.info.profile": "bio_description profile_deep_link is_verified username",
    "user.info.stats": "follower_count following_count likes_count video_count",
    "video.list": "",
}
"""Scopes, and the fields of a user that each one shows."""
_VIDEO_FIELDS = """
id create_time cover_image_url share_url video_description duration height width title embed_html embed_link
like_count comment_count share_count view_count is_aigc
"""
VIDEO_FIELDS = set(_VIDEO_FIELDS.split())
_A_MINUTE, _A_DAY, _LISTS_A_DAY = 600, 1_000, 20_000
_FOLLOWERS_SHOWN = 5_000
"""However many followers there are, a list ends about here."""
_AUTH = {
    "/v2/auth/authorize/": "authorize",
    "/v2/oauth/token/": "token",
    "/v2/oauth/revoke/": "revoke",
    "/open_api/v1.3/tt_user/oauth2/token/": "business/token",
}


class TikTok(Surface):
    """The API over a world, with requests a minute by call, and a day's budget of research."""

    POSTS = frozenset(
        {"token", "revoke", "business/token", "video/list", "video/query"}
        | {f"research/{call}" for call in ("user/info", "video/query", "user/followers")}
    )

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)

        def tokens(**more: Any) -> OAuth:
            rules = Rules(id_name="client_key", separator=",", failure=shapes.oauth_error, **more)
            return OAuth(rules, lambda: world.of_platform[PLATFORM][0].local_id)

        self.oauth = tokens(
            scopes=frozenset(SCOPES),
            prefix="act.",
            rotates=True,
            access_seconds=86_400,
            refresh_seconds=31_536_000,
            shape=lambda found, account: found | {"open_id": account},
        )
        self._of_app = tokens(prefix="clt.", access_seconds=7_200)
        self._search = Search(world)
        self._calls: dict[str, Callable[[Request, Holder], Answer]] = {
            "user/info": self._user,
            "video/list": self._videos,
            "video/query": self._query,
            "research/user/info": self._researched,
            "research/video/query": self._found,
            "research/user/followers": self._followers,
            "business/get": self._profile,
            "business/video/list": self._business_videos,
        }

    def endpoint(self, path: str) -> str | None:
        """The call that a path makes, or None. Every path ends in a slash."""
        if path in _AUTH:
            return _AUTH[path]
        name = re.sub(r"^/(v2|open_api/v\d+\.\d+)/", "", path).removesuffix("/")
        return name if path.endswith("/") and name in self._calls else None

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call. Research bills each one of a good token, whatever comes of it."""
        if endpoint is None:
            return Answer(404, b"404 page not found", content_type="text/plain")
        if endpoint in _AUTH.values():
            return self._authorise(endpoint, request)
        if endpoint.startswith("business/"):
            return self._calls[endpoint](request, self._business_holder(request))
        holder = self._holder(request, "app" if endpoint.startswith("research/") else "user")
        over = self._overspent(endpoint, request)
        return self.fault(over, request) if over else self._calls[endpoint](request, holder)

    def _overspent(self, endpoint: str, request: Request) -> str | None:
        """Count a call; which limit it is over."""
        if self.windows.spend(request.now, 60, CLIENT, endpoint)[0] > _A_MINUTE:
            return "throttled"
        today = day(request.now)
        if endpoint == "research/user/followers":
            self.spent.add(CLIENT, "followers", today, 0)
            return "quota" if self.windows.spend(request.now, DAY, CLIENT, "lists")[0] > _LISTS_A_DAY else None
        if endpoint.startswith("research/"):
            self.spent.add(CLIENT, "research", today)
            return "quota" if self.spent.units(CLIENT, "research", today) > _A_DAY else None
        return None

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault. No header says how long to wait."""
        status, code, message = {
            "throttled": (429, "rate_limit_exceeded", "Too many requests."),
            "quota": (429, "daily_quota_limit_exceeded", "Daily quota limit exceeded."),
            "bad_key": (401, "access_token_invalid", "The access token is invalid or not found in the request."),
        }.get(kind, (500, "internal_error", "Something went wrong. Please try again later."))
        return shapes.error(503 if kind == "unavailable" else status, code, message, request.now)

    # Tokens

    def _authorise(self, endpoint: str, request: Request) -> Answer:
        if endpoint == "authorize":
            return self.oauth.authorize(request)
        if endpoint == "business/token":
            return self._business_token(request)
        if endpoint == "token" and request.form.get("grant_type") == "client_credentials":
            return self._of_app.token(request)
        return self.oauth.token(request) if endpoint == "token" else self.oauth.revoke(request)

    def _business_token(self, request: Request) -> Answer:
        """The same page's code, given as JSON under other names."""
        asked = {name: str(value) for name, value in request.document.items()}
        form = asked | {"client_key": asked.get("client_id", ""), "code": asked.get("auth_code", "")}
        given = Request("POST", request.path, "", {}, "", request.now, urlencode(form).encode())
        found = self.oauth.token(given).body
        if not isinstance(found, dict) or "access_token" not in found:
            return shapes.business_error(40002, "Invalid auth_code.")
        return shapes.business_ok(found)

    def _holder(self, request: Request, kind: str) -> Holder:
        """Whose token it is. Refusal: without one, with a bad one, or with one of another kind."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        holder = (self._of_app if token.startswith("clt.") else self.oauth).holder(token, request.now)
        if not isinstance(holder, Holder):
            raise Refusal(self.fault("bad_key", request))
        if holder.kind != kind:
            raise self._no_scope(request)
        return holder

    def _business_holder(self, request: Request) -> Holder:
        holder = self.oauth.holder(request.headers.get("access-token", ""), request.now)
        if not isinstance(holder, Holder):
            raise Refusal(shapes.business_error(40105, "Access token is incorrect or has been revoked."))
        if request.one("business_id") != holder.account_id:
            raise Refusal(shapes.business_error(40001, "You do not have permission to this business account."))
        return holder

    def _no_scope(self, request: Request) -> Refusal:
        message = "The user did not authorize the scope required for completing this request."
        return Refusal(shapes.error(401, "scope_not_authorized", message, request.now))

    # What a creator's grant shows

    def _creator(self, holder: Holder, request: Request) -> Account:
        found = self.world.find(PLATFORM, holder.account_id)
        if found is None or is_away(found[0], request.now):
            raise Refusal(self.fault("bad_key", request))
        return found[0]

    def _user(self, request: Request, holder: Holder) -> Answer:
        scope_of = {field: scope for scope, fields in SCOPES.items() for field in fields.split()}
        wanted = _fields(request, set(scope_of))
        if not {scope_of[field] for field in wanted} <= holder.scopes:
            raise self._no_scope(request)
        account = self._creator(holder, request)
        user = shapes.owned(account, self.world.followers(account, request.now), request.now)
        return shapes.ok({"user": {field: user[field] for field in wanted}}, request.now)

    def _videos(self, request: Request, holder: Holder) -> Answer:
        wanted, account = self._listed(request, holder)
        size, cursor = _whole(request, "max_count", 10, 20), _whole(request, "cursor", 0, 2**53)
        before = cursor / 1000 if cursor else request.now + 1
        page = self._page(account, before, size, request.now)
        rows = [_only(shapes.video(post, self.post_id(post), request.now), wanted) for post in page[:size]]
        last = round(page[:size][-1].published_at * 1000) if rows else cursor
        return shapes.ok({"videos": rows, "cursor": last, "has_more": len(page) > size}, request.now)

    def _page(self, account: Account, before: float, size: int, t: float) -> list[Post]:
        """A page of an account's posts, and one more where there is one."""
        page: list[Post] = []
        for post in posts.newest(account, before, t, self.world.fakes):
            page.append(post)
            if len(page) > size:
                break
        return page

    def _query(self, request: Request, holder: Holder) -> Answer:
        wanted, account = self._listed(request, holder)
        filters = request.document.get("filters")
        ids = filters.get("video_ids") if isinstance(filters, dict) else None
        if not isinstance(ids, list) or not 1 <= len(ids) <= 20:
            raise _invalid("The filters.video_ids must hold 1 to 20 ids.", request)
        rows = [
            _only(shapes.video(post, str(text), request.now), wanted)
            for text in dict.fromkeys(ids)
            if (post := self.world.post(PLATFORM, str(text), request.now))
            and post.account is account
            and not post.is_missed(request.now)
        ]
        return shapes.ok({"videos": rows}, request.now)

    def _listed(self, request: Request, holder: Holder) -> tuple[list[str], Account]:
        if "video.list" not in holder.scopes:
            raise self._no_scope(request)
        return _fields(request, VIDEO_FIELDS), self._creator(holder, request)

    # What research shows

    def _public(self, request: Request) -> Account:
        """The public account of a user name. Private, deleted, renamed and unknown ones are told apart by nothing."""
        name = str(request.document.get("username", ""))
        account = self.world.handled(PLATFORM, name.lower(), request.now)
        if account is None or is_away(account, request.now) or "private" in account.flags:
            raise _invalid("cannot find the user", request)
        return account

    def _researched(self, request: Request, _: Holder) -> Answer:
        account = self._public(request)
        user = shapes.researched(account, self.world.followers(account, request.now), request.now)
        return shapes.ok(_only(user, _fields(request, {*user, "bio_url"})), request.now)

    def _found(self, request: Request, _: Holder) -> Answer:
        return self._search.answer(request, self.post_id)

    def _followers(self, request: Request, _: Holder) -> Answer:
        """Those who followed at a second or before it, newest first: whoever shares the last second comes again."""
        account, size = self._public(request), _whole(request, "max_count", 20, 100)
        cursor = _whole(request, "cursor", 0, 2**53) or int(request.now)
        listed = growth.audience(account, request.now, self.world.fakes)
        rank = self._rank(account, listed, cursor, request.now)
        index = listed.newest(rank, size)
        found = people.members(account, index, request.now, self.world.fakes)
        last = int(found[-1].joined_at) if found else cursor
        more = rank + size < min(listed.count, _FOLLOWERS_SHOWN)
        return shapes.ok(
            {"user_followers": [shapes.follower(one) for one in found], "cursor": last, "has_more": more}, request.now
        )

    def _rank(self, account: Account, listed: growth.Audience, cursor: int, t: float) -> int:
        """The rank, from the newest, of the first member who had followed by a second."""
        low, high = 0, listed.count
        while low < high:
            middle = (low + high) // 2
            joined = growth.joined_at(account, np.asarray(listed.newest(middle, 1)), t, self.world.fakes)
            low, high = (low, middle) if int(joined[0]) <= cursor else (middle + 1, high)
        return low

    # The Accounts API

    def _profile(self, request: Request, holder: Holder) -> Answer:
        account = self._creator(holder, request)
        user = shapes.business_profile(account, self.world.followers(account, request.now), request.now)
        return shapes.business_ok(_only(user, _listed_fields(request, user)))

    def _business_videos(self, request: Request, holder: Holder) -> Answer:
        account, size = self._creator(holder, request), int(request.one("max_count") or 10)
        cursor = int(request.one("cursor") or 0)
        page = self._page(account, cursor / 1000 if cursor else request.now + 1, size, request.now)
        rows = [shapes.business_video(post, self.post_id(post), request.now) for post in page[:size]]
        last = round(page[:size][-1].published_at * 1000) if rows else cursor
        shown = [_only(row, _listed_fields(request, row)) for row in rows]
        return shapes.business_ok({"videos": shown, "cursor": last, "has_more": len(page) > size})


def _invalid(message: str, request: Request) -> Refusal:
    return Refusal(shapes.error(400, "invalid_params", message, request.now))


def _fields(request: Request, known: set[str]) -> list[str]:
    """The fields asked for in the query. Refusal: none, or one that there is not."""
    wanted = [field for field in (request.one("fields") or "").split(",") if field]
    if unknown := [field for field in wanted if field not in known]:
        raise _invalid(f"Invalid fields: {','.join(unknown)}", request)
    if not wanted:
        raise _invalid("Fields is required", request)
    return wanted


def _listed_fields(request: Request, row: shapes.Row) -> list[str]:
    """The Accounts API's fields: a JSON list in the query, with what is always told."""
    try:
        wanted = json.loads(request.one("fields") or "[]")
    except ValueError:
        raise Refusal(shapes.business_error(40002, "fields: not a valid list.")) from None
    return [name for name in row if name in wanted or name in ("username", "item_id")]


def _only(row: shapes.Row, fields: Sequence[str]) -> shapes.Row:
    return {field: row[field] for field in fields if field in row}


def _whole(request: Request, name: str, default: int, most: int) -> int:
    value = request.document.get(name, default)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise _invalid("Invalid count or cursor", request)
    return value or default
