"""Instagram's Graph API: others' accounts in the name of one of ours, and what owners are told by their own token."""

import json
import re
from collections.abc import Callable

import numpy as np

from infra.sandbox import comments, people, posts
from infra.sandbox import instagram_fields as fields
from infra.sandbox import instagram_shapes as shapes
from infra.sandbox.cast import Account
from infra.sandbox.ids import MEMBER
from infra.sandbox.instagram_asked import fields_asked, page_size, position, with_next
from infra.sandbox.instagram_shapes import Row, error
from infra.sandbox.oauth import CLIENT, Holder, OAuth, Rules
from infra.sandbox.posts import Post
from infra.sandbox.surface import Surface
from infra.sandbox.wire import Answer, Headers, Limits, Refusal, Request, day, seal
from infra.sandbox.world import World, is_away

PLATFORM = "instagram"
OURS = "17841400000000001"
"""The professional account in whose name others are discovered; its token is the word `sandbox`."""
BASIC, INSIGHTS, COMMENTS = (f"instagram_business_{name}" for name in ("basic", "manage_insights", "manage_comments"))
_NOT_SHOWN = frozenset({"age_gated"})
_PERSONAL = frozenset({"personal"})
_HOUR, _DAY = 3600, 86_400
_OF_APP, _OF_ACCOUNT = 200, 48_000
"""Calls that an app may make in an hour, and in the name of an account in a day."""
_YOUNG = 3600
"""Insights of a post younger than this many seconds are not there yet."""
_PATH = re.compile(r"/v\d+\.\d+/(\w+)(?:/(media|insights|comments))?/?")
_AUTH = {
    "/oauth/authorize": "authorize",
    "/oauth/access_token": "oauth/access_token",
    "/access_token": "access_token",
    "/refresh_access_token": "refresh_access_token",
}
_ABSENT = "Unsupported get request. Object with ID '{}' does not exist, cannot be loaded due to missing permissions"


def _failure(code: str, description: str) -> Answer:
    """Two envelopes: that of the Graph API for tokens, and an older one for codes."""
    if "access token" in description:
        return error(400, 190, "Error validating access token: the session has been invalidated.", 460)
    said = "Error validating client secret." if code == "invalid_client" else "This authorization code was not found"
    return Answer(400, {"error_type": "OAuthException", "code": 400, "error_message": said})


def _shape(found: dict[str, object], account_id: str) -> object:
    """A short-lived token says whose it is and for what, a long-lived one how long it lives."""
    if "scope" not in found:
        return found
    scopes = str(found["scope"]).split(",")
    return {"access_token": found["access_token"], "user_id": account_id, "permissions": scopes}


class Instagram(Surface):
    """The API over a world. An hour counts the app's discoveries, a day the calls in an owner's name."""

    POSTS = frozenset({"oauth/access_token"})

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)
        exchanges = dict.fromkeys(("ig_exchange_token", "ig_refresh_token"), "access_token")
        rules = Rules(
            scopes=frozenset({BASIC, INSIGHTS, COMMENTS}),
            separator=",",
            offline=lambda _, __: False,
            exchanges=exchanges,
            prefix="IGAA",
            shape=_shape,
            failure=_failure,
        )
        self.oauth = OAuth(rules, lambda: world.of_platform[PLATFORM][0].local_id)
        self._edges: dict[str, Callable[[Request, Holder, Post], Answer]] = {
            "insights": self._insights,
            "comments": self._comments,
        }

    def endpoint(self, path: str) -> str | None:
        """`node`, the name of an edge, or a token endpoint's; None for anything else."""
        found = _PATH.fullmatch(path)
        return found[2] or "node" if found else _AUTH.get(path)

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call."""
        found = _PATH.fullmatch(request.path)
        if endpoint == "authorize":
            return self.oauth.authorize(request)
        if endpoint in _AUTH.values():
            return self.oauth.token(request)
        if found is None:
            return error(404, 2500, f"Unknown path components: {request.path}")
        holder, node = self._holder(request), found[1]
        usage = self._counted(holder, request.now)
        try:
            answer = self._answer(holder, node, endpoint or "", request)
        except Refusal as refusal:
            answer = refusal.answer
        return Answer(answer.status, answer.body, (*answer.headers, *usage))

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault: throttling comes with status 400 or 403, and says no moment."""
        if kind == "quota":
            usage = {"call_count": 100, "total_cputime": 12, "total_time": 20, "estimated_time_to_regain_access": 17}
            headers = (("x-business-use-case-usage", json.dumps({OURS: [{"type": "instagram"} | usage]})),)
            return error(400, 80002, "(#80002) There have been too many calls to this account.", headers=headers)
        if kind == "throttled":
            return _over(101)
        if kind == "bad_key":
            return error(400, 190, "Error validating access token: Session has expired.", 463)
        if kind == "unavailable":
            return error(503, 2, "Service temporarily unavailable", transient=True)
        return error(500, 1, "An unknown error occurred", 99, transient=True)

    # Who asks

    def _holder(self, request: Request) -> Holder:
        """Whose token it is, from the header or the query. The app's own account holds the word `sandbox`."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ") or request.one("access_token") or ""
        if token == CLIENT:
            return Holder("app", OURS, frozenset())
        holder = self.oauth.holder(token, request.now)
        if isinstance(holder, Holder):
            return holder
        if not token:
            raise Refusal(error(400, 2500, "An active access token must be used to query information."))
        subcode = {"expired": 463, "revoked": 458}.get(holder)
        raise Refusal(error(400, 190, "Error validating access token.", subcode))

    def _counted(self, holder: Holder, now: float) -> Headers:
        """Count a call; what the headers say of it. Refusal: more than the limit."""
        if holder.kind == "app":
            spent, _ = self.windows.spend(now, _HOUR, CLIENT)
            if spent > _OF_APP:
                raise Refusal(_over(100 * spent // _OF_APP))
            self.spent.add(CLIENT, "discovery", day(now))
            return _app_usage(100 * spent // _OF_APP)
        spent, ends = self.windows.spend(now, _DAY, holder.account_id)
        minutes = int(ends - now) // 60 + 1 if spent > _OF_ACCOUNT else 0
        told = {"type": "instagram", "call_count": 100 * spent // _OF_ACCOUNT, "total_cputime": 1, "total_time": 1}
        rows = [told | {"estimated_time_to_regain_access": minutes}]
        headers = (("x-business-use-case-usage", json.dumps({holder.account_id: rows})),)
        if minutes:
            message = "(#80002) There have been too many calls to this Instagram account."
            raise Refusal(error(400, 80002, message, headers=headers))
        self.spent.add(holder.account_id, "instagram", day(now))
        return headers

    # What is asked

    def _answer(self, holder: Holder, node: str, edge: str, request: Request) -> Answer:
        mine = holder.account_id
        post = self._post(node, request.now)
        if node in ("me", mine, CLIENT) and edge in ("node", "media"):
            return self._account(holder, edge, request)
        if post is None or post.account.local_id != mine or edge == "media":
            raise Refusal(error(400, 100, _ABSENT.format(node), 33))
        if edge == "node":
            asked = [one.name for one in fields_asked(request)]
            return Answer(200, shapes.chosen(shapes.media(post, node, request.now), asked))
        return self._edges[edge](request, holder, post)

    def _account(self, holder: Holder, edge: str, request: Request) -> Answer:
        """One's own account: with the app's token it is the way to others'."""
        asked = fields_asked(request)
        if holder.kind == "app":
            found: Row = {"id": OURS, "user_id": OURS, "username": "northwind.sbx"}
            whole = shapes.chosen(found, (one.name for one in asked))
            discovery = next((one for one in asked if one.name == "business_discovery"), None)
            shown = self._discovered(discovery, request.now) if discovery else None
            return Answer(200, ({"business_discovery": shown} if shown else {}) | whole)
        account = self._creator(holder.account_id, request.now)
        if account is None:
            raise Refusal(error(400, 190, "Error validating access token.", 458))
        if edge == "media":
            size = page_size(request.one("limit") or "25")
            page = self._media(account, request.one("after"), size, asked, request.now)
            return Answer(200, with_next(page, request, size))
        row = shapes.profile(account, self.world.followers(account, request.now), request.now)
        row |= {"user_id": account.local_id, "account_type": "MEDIA_CREATOR"}
        return Answer(200, shapes.chosen(row, (one.name for one in asked)))

    def _discovered(self, asked: fields.Field, t: float) -> Row | None:
        """Another's professional account with its media; None for one that is not shown to everybody.

        Refusal: nobody's handle, or a personal account's, which are told apart by nothing.
        """
        account = self.world.handled(PLATFORM, asked.options.get("username", "").lower(), t)
        if account is None or is_away(account, t) or account.flags & _PERSONAL:
            raise Refusal(error(400, 110, "Invalid user id", 2207013))
        if account.flags & _NOT_SHOWN:
            return None
        row = shapes.profile(account, self.world.followers(account, t), t)
        unknown = [one.name for one in asked.inner if one.name not in row and one.name != "media"]
        if unknown:
            message = f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type (ShadowIGUser)"
            raise Refusal(error(400, 100, message))
        found = shapes.chosen(row, (one.name for one in asked.inner))
        media = next((one for one in asked.inner if one.name == "media"), None)
        if media:
            size = page_size(media.options.get("limit", "25"))
            page = self._media(account, media.options.get("after"), size, media.inner, t)
            if page["data"]:
                found["media"] = page  # an account without posts has no such key
        return found

    def _media(self, account: Account, after: str | None, size: int, asked: tuple[fields.Field, ...], t: float) -> Row:
        """A page of an account's posts, newest first. Only one with a page after it has the cursor `after`."""
        before = t + 1
        if after:
            before = position(after, account.local_id) / 1000
        page: list[Post] = []
        for post in posts.newest(account, before, t, self.world.fakes):
            page.append(post)
            if len(page) > size:
                break
        names = [one.name for one in asked]
        rows = [shapes.chosen(shapes.media(post, self.post_id(post), t), names) for post in page[:size]]
        cursors = {"before": seal(account.local_id, round(before * 1000))} if after else {}
        if len(page) > size:
            cursors["after"] = seal(account.local_id, round(page[size - 1].published_at * 1000))
        return {"data": rows} | ({"paging": {"cursors": cursors}} if cursors else {})

    def _insights(self, request: Request, holder: Holder, post: Post) -> Answer:
        _require(holder, INSIGHTS)
        written = request.one("metric") or ""
        names = [name for name in re.split(r"[,\s\"\[\]]+", written) if name]
        known = shapes.metrics(post)
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            message = (
                f"(#100) The Media Insights API does not support the {unknown[0]} metric for this media product type."
                if unknown
                else "(#100) The parameter metric is required"
            )
            return error(400, 100, message)
        if post.published_at < shapes.converted_at(post.account):
            return error(400, 100, "Invalid parameter", 2108006)
        t, post_id = request.now, self.post_id(post)
        is_there = t - post.published_at >= _YOUNG
        rows = [shapes.insight(name, post_id, known[name](post, t)) for name in names] if is_there else []
        return Answer(200, {"data": rows})

    def _comments(self, request: Request, holder: Holder, post: Post) -> Answer:
        _require(holder, COMMENTS)
        t, size = request.now, page_size(request.one("limit") or "25")
        after = request.one("after")
        start = position(after, self.post_id(post)) if after else 0
        threads = comments.of_post(post, int(t), "time")
        page = threads.page(start, size)
        index = np.array([row.member for row in page], dtype=np.int64)
        authors = people.members(post.account, index, t, self.world.fakes)
        ids, number = self.world.ids[PLATFORM], post.account.number
        names = [one.name for one in fields_asked(request)] or ["timestamp", "text"]
        rows = [
            shapes.chosen(shapes.comment(row, ids.account(MEMBER, number, member.number), member), names)
            for row, member in zip(page, authors, strict=True)
        ]
        if not rows:
            return Answer(200, {"data": []})
        following = seal(self.post_id(post), start + size)  # an `after` stands on the last page too
        found: Row = {"data": rows, "paging": {"cursors": {"before": seal("b", start), "after": following}}}
        return Answer(200, with_next(found, request, size) if start + size < len(threads.number) else found)

    def _creator(self, text: str, t: float) -> Account | None:
        found = self.world.find(PLATFORM, text)
        return found[0] if found and found[1] is None and not is_away(found[0], t) else None

    def _post(self, text: str, t: float) -> Post | None:
        post = self.world.post(PLATFORM, text, t)
        return post if post and not is_away(post.account, t) else None


def _app_usage(percent: int) -> Headers:
    usage = {"call_count": percent, "total_cputime": percent // 8, "total_time": percent // 5}
    return (("x-app-usage", json.dumps(usage)),)


def _over(percent: int) -> Answer:
    message = "(#4) Application request limit reached"
    return error(403, 4, message, transient=True, headers=_app_usage(percent))


def _require(holder: Holder, scope: str) -> None:
    if scope not in holder.scopes:
        raise Refusal(error(400, 10, "(#10) Application does not have permission for this action"))
