"""X's API v2 and its token endpoints, as far as accounts, their posts and their followers go."""

from collections.abc import Callable, Iterable

import numpy as np

from infra.sandbox import growth, people, posts
from infra.sandbox import x_asked as asked
from infra.sandbox import x_shapes as shapes
from infra.sandbox.cast import DAY, EPOCH, Account
from infra.sandbox.draw import mix
from infra.sandbox.ids import MEMBER
from infra.sandbox.oauth import Holder, OAuth, Rules
from infra.sandbox.posts import Post
from infra.sandbox.surface import Surface
from infra.sandbox.wire import HTML, Answer, Headers, Limits, Refusal, Request, day, seal, seconds
from infra.sandbox.world import World, is_away
from infra.sandbox.x_shapes import Row, invalid, problem

PLATFORM = "x"
BEARER = "sandbox"
"""The one bearer token of an app that never expires; others are minted."""
SCOPES = frozenset({"tweet.read", "users.read", "follows.read", "offline.access"})
_WINDOW = 900
_LIMITS = {  # calls in a window: of the app, of a user
    "users": (300, 900),
    "by": (300, 900),
    "username": (300, 900),
    "user": (300, 900),
    "me": (75, 75),
    "timeline": (10_000, 900),
    "followers": (300, 300),
    "lookup": (3_500, 5_000),
    "tweet": (450, 900),
}
_PRICES = {"timeline": 5, "lookup": 5, "tweet": 5}
"""Tenths of a cent for each row that is returned; a user costs 10. X bills each once a day, this counts every read."""
_FEED_ROOM = 140
"""Rows drawn for a page of at most 100: a repost can stand before posts that are drawn earlier."""


def _failure(code: str, description: str) -> Answer:
    """X's words for the standard's error codes."""
    if code == "invalid_client":
        return Answer(401, {"error": "unauthorized_client", "error_description": "Missing valid authorization header"})
    if code == "invalid_grant":
        is_code = "code" in description
        told = f"Value passed for the {'authorization code' if is_code else 'token'} was invalid."
        return Answer(400, {"error": "invalid_request", "error_description": told})
    return Answer(400, {"error": code, "error_description": description})


class X(Surface):
    """The API over a world, with windows by call and credential."""

    POSTS = frozenset({"token", "revoke"})

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)

        def tokens(lifetime: int) -> OAuth:
            rules = Rules(scopes=SCOPES, pkce=True, rotates=True, access_seconds=lifetime, failure=_failure,
                          offline=lambda _, scopes: "offline.access" in scopes)  # fmt: skip
            return OAuth(rules, lambda: world.of_platform[PLATFORM][0].local_id)

        self.oauth, self._of_app = tokens(7_200), tokens(100 * 365 * 86_400)
        self.speaks = frozenset({"post.fields", "tweet.fields"})
        """The vocabularies that are understood; one alone refuses the other."""
        self._auth: dict[str, Callable[[Request], Answer]] = {
            "authorize": self.oauth.authorize,
            "token": self._token,
            "revoke": self.oauth.revoke,
        }
        self._calls: dict[str, Callable[[Request, Holder], Answer]] = {
            "users": self._users,
            "by": self._by,
            "username": self._username,
            "user": self._user,
            "me": self._me,
            "timeline": self._timeline,
            "followers": self._followers,
            "lookup": self._lookup,
            "tweet": self._tweet,
        }

    def endpoint(self, path: str) -> str | None:
        """The call that a path names, or None."""
        return asked.PATHS.get(path) or next(
            (name for name, form in asked.PATTERNS.items() if form.fullmatch(path)), None
        )

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call. Every row that is returned is billed; refusals cost nothing."""
        if endpoint is None:
            return Answer(404, b"<!DOCTYPE html><title>Page not found / X</title>", content_type=HTML)
        if endpoint in self._auth:
            return self._auth[endpoint](request)
        holder = self._holder(request)
        whose = holder.account_id or "app"
        spent, ends = self.windows.spend(request.now, _WINDOW, endpoint, whose)
        limit = _LIMITS[endpoint][holder.kind == "user"]
        headers = _headers(limit, limit - spent, ends)
        if spent > limit:
            return problem(429, headers=headers)
        try:
            answer = self._calls[endpoint](request, holder)
        except Refusal as refusal:
            answer = refusal.answer
        rows = answer.body.get("data") if isinstance(answer.body, dict) else None
        units = _PRICES.get(endpoint, 10) * (len(rows) if isinstance(rows, list) else int(bool(rows)))
        self.spent.add(whose, "reads", day(request.now), units)
        answer.headers = headers
        return answer

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault."""
        if kind == "throttled":
            return problem(429, headers=_headers(300, 0, (request.now // _WINDOW + 1) * _WINDOW))
        if kind == "quota":
            detail = "Your enrolled account [1] does not have any credits to fulfill this request."
            return problem(402, detail, "credits", account_id=1)
        if kind == "bad_key":
            return problem(401)
        return problem(503 if kind == "unavailable" else 500)

    # Tokens

    def _token(self, request: Request) -> Answer:
        if request.form.get("grant_type") != "client_credentials":
            return self.oauth.token(request)
        answer = self._of_app.token(request)
        if answer.status == 200 and isinstance(answer.body, dict):
            answer.body = {"token_type": "bearer", "access_token": answer.body["access_token"]}
        return answer

    def _holder(self, request: Request) -> Holder:
        """Whose token it is. Refusal without one, or with a bad one."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and token == BEARER:
            return Holder("app", "", frozenset())
        holder = self.oauth.holder(token, request.now)
        if scheme != "Bearer" or not isinstance(holder, Holder):
            raise Refusal(problem(401))
        return holder

    # Users

    def _row(self, account: Account, request: Request) -> Row:
        now = request.now
        return shapes.creator(account, now, self.world.followers(account, now), posts.count(account, now))

    def _members(self, ids: Iterable[str], t: float) -> dict[str, Row]:
        """Users who follow creators; a few have closed their accounts since."""
        wanted: dict[int, dict[int, str]] = {}
        for text in ids:
            found = self.world.find(PLATFORM, text)
            if found and found[1] is not None:
                wanted.setdefault(found[0].number, {})[found[1]] = text
        return {
            texts[one.number]: shapes.member(texts[one.number], one)
            for number, texts in wanted.items()
            for one in people.members(self.world.accounts[number], np.array(list(texts)), t, self.world.fakes)
            if one.joined_at <= t and one.draw > 0.008
        }

    def _creator(self, text: str) -> Account | None:
        found = self.world.find(PLATFORM, text)
        return found[0] if found and found[1] is None else None

    def _of_ids(self, ids: list[str], parameter: str, request: Request) -> tuple[list[Row], list[Row]]:
        """Rows and errors; an id that is asked for twice is told twice."""
        members, rows, errors = self._members(ids, request.now), [], []
        for text in ids:
            account = self._creator(text)
            if text in members:
                rows.append(members[text])
            elif account and not is_away(account, request.now):
                rows.append(self._row(account, request))
            else:
                errors.append(shapes.missing("user", parameter, text, suspended=_is_suspended(account)))
        return rows, errors

    def _of_names(self, names: list[str], parameter: str, request: Request) -> tuple[list[Row], list[Row]]:
        rows, errors = [], []
        for name in names:
            account = self.world.handled(PLATFORM, name.lower(), request.now)
            if account and not is_away(account, request.now):
                rows.append(self._row(account, request))
            else:
                errors.append(shapes.missing("user", parameter, name, suspended=_is_suspended(account)))
        return rows, errors

    def _users(self, request: Request, _: Holder) -> Answer:
        return self._told(request, *self._of_ids(asked.batch(request, "ids", r"[0-9]{1,19}"), "ids", request))

    def _by(self, request: Request, _: Holder) -> Answer:
        return self._told(
            request, *self._of_names(asked.batch(request, "usernames", r"\w{1,15}"), "usernames", request)
        )

    def _username(self, request: Request, _: Holder) -> Answer:
        return self._told(request, *self._of_names([asked.subject(request)], "username", request), alone=True)

    def _user(self, request: Request, _: Holder) -> Answer:
        return self._told(request, *self._of_ids([asked.subject(request)], "id", request), alone=True)

    def _me(self, request: Request, holder: Holder) -> Answer:
        if holder.kind == "app":
            detail = "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint."
            raise Refusal(problem(403, detail, "unsupported-authentication"))
        return self._told(request, *self._of_ids([holder.account_id], "id", request), alone=True)

    def _told(self, request: Request, rows: list[Row], errors: list[Row], *, alone: bool = False) -> Answer:
        """Users with the fields that were asked for; no `data` where nobody is there."""
        fields = asked.fields(request, "user.fields", asked.USER_FIELDS) | {"id", "name", "username"}
        told = [{name: value for name, value in row.items() if name in fields} for row in rows]
        body = {"data": told[0] if alone else told} if told else {}
        return Answer(200, body | ({"errors": errors} if errors else {}))

    def _followers(self, request: Request, holder: Holder) -> Answer:
        size = asked.size(request, 1, 1000, 100)
        account = self._shown(request, holder)
        listed = growth.audience(account, request.now, self.world.fakes)
        rank = listed.rank_below(asked.position(request, account)) if request.one("pagination_token") else 0
        index = listed.newest(rank, size)
        ids = self.world.ids[PLATFORM]
        # Closed accounts count, and are left out of the pages, which are shorter for it.
        rows = [
            shapes.member(ids.account(MEMBER, account.number, one.number), one)
            for one in people.members(account, index, request.now, self.world.fakes)
            if one.draw > 0.004
        ]
        answer = self._told(request, rows, [])
        more = {"next_token": seal(account.local_id, int(index[-1]))} if rank + size < listed.count else {}
        back = {"previous_token": seal(account.local_id, "back")} if rank else {}
        return _with_meta(answer, {"result_count": len(rows)} | more | back)

    # Posts

    def _shown(self, request: Request, holder: Holder) -> Account:
        """The account of a path, if its lists are shown. Refusal: status 200 with nothing but errors."""
        text = asked.subject(request)
        account = self._creator(text)
        if account is None or is_away(account, request.now):
            raise Refusal(
                Answer(200, {"errors": [shapes.missing("user", "id", text, suspended=_is_suspended(account))]})
            )
        if "protected" in account.flags and holder.account_id != text:
            raise Refusal(Answer(200, {"errors": [shapes.protected(text)]}))
        return account

    def _timeline(self, request: Request, holder: Holder) -> Answer:
        size, now = asked.size(request, 5, 100, 10), request.now
        account = self._shown(request, holder)
        exclude = {name for value in request.many("exclude") for name in value.split(",")}
        before = asked.position(request, account) / 1000 if request.one("pagination_token") else now + 1
        before = min(before, seconds(end) if (end := request.one("end_time")) else before)
        since = seconds(start) if (start := request.one("start_time")) else 0.0
        found = self._feed(account, before, since, exclude, request)
        page = found[:size]
        answer = self._posts(request, holder, [one for _, one in page], [])
        meta: Row = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": _id_of(answer, 0), "oldest_id": _id_of(answer, -1)}
        if len(found) > size:
            meta["next_token"] = seal(account.local_id, round(page[-1][0] * 1000))
        if request.one("pagination_token"):
            meta["previous_token"] = seal(account.local_id, "back")
        return _with_meta(answer, meta)

    def _feed(
        self, account: Account, before: float, since: float, exclude: set[str], request: Request
    ) -> list[tuple[float, Post | Row]]:
        """More than a page of a timeline, newest first: posts, and rows of reposts."""
        found: list[tuple[float, Post | Row]] = []
        for post in posts.newest(account, before, request.now, self.world.fakes, max(since, EPOCH)):
            if len(found) > _FEED_ROOM:
                break
            if post.relation != "reply" or "replies" not in exclude:
                found.append((post.published_at, post))
            at = post.published_at + 1800 + post.key % 1200  # of the repost that some posts occasion
            if post.key % 9 == 0 and at < before - posts.SAME and at <= request.now and "retweets" not in exclude:
                other = self._reposted(post, request.now)
                if other:
                    row_id = self.world.ids[PLATFORM].post(account.number, 0, at)
                    original = self._full(other, request.now)
                    found.append((at, shapes.repost(account, at, row_id, original, other.account.handle)))
        return sorted(found, key=lambda one: -one[0])

    def _reposted(self, post: Post, now: float) -> Post | None:
        """Another's recent post."""
        until = post.published_at - 60
        return next(posts.newest(self._stranger(post), until, now, self.world.fakes, until - 20 * DAY), None)

    def _stranger(self, post: Post) -> Account:
        others = [one for one in self.world.of_platform[PLATFORM] if one is not post.account]
        return others[mix(post.key) % len(others)]

    def _full(self, post: Post, t: float, *, is_owner: bool = False) -> Row:
        stranger = self._stranger(post)
        other_id = self.world.ids[PLATFORM].post(stranger.number, 0, post.published_at - 3600)
        return shapes.post(post, self.post_id(post), t, (stranger, other_id), is_owner=is_owner)

    def _post(self, text: str, t: float) -> Post | None:
        post = self.world.post(PLATFORM, text, t)
        return post if post and not is_away(post.account, t) and "protected" not in post.account.flags else None

    def _lookup(self, request: Request, holder: Holder) -> Answer:
        found: list[Post | Row] = []
        errors = []
        for text in asked.batch(request, "ids", r"[0-9]{1,19}"):
            post = self._post(text, request.now)
            if post is None:
                errors.append(shapes.missing("tweet", "ids", text))
            elif not post.is_missed(request.now):
                found.append(post)
        return self._posts(request, holder, found, errors)

    def _tweet(self, request: Request, holder: Holder) -> Answer:
        text = asked.subject(request)
        post = self._post(text, request.now)
        if post is None:
            return Answer(200, {"errors": [shapes.missing("tweet", "id", text)]})
        answer = self._posts(request, holder, [post], [])
        body = answer.body if isinstance(answer.body, dict) else {}
        return Answer(200, body | {"data": body["data"][0]} if body.get("data") else body)

    def _posts(self, request: Request, holder: Holder, found: list[Post | Row], errors: list[Row]) -> Answer:
        """Posts with the fields and media that were asked for, in the vocabulary that they were asked for in."""
        name = next((one for one in ("post.fields", "tweet.fields") if request.one(one) is not None), "")
        if name and name not in self.speaks:
            message = (
                f"The query parameter [{name}] is not one of [id,max_results,pagination_token,start_time,expansions]"
            )
            raise Refusal(invalid(name, request.one(name) or "", message))
        old = name == "tweet.fields" or "post.fields" not in self.speaks
        known = (asked.POST_FIELDS - {"note_post"}) | asked.BY_NAME if old else asked.POST_FIELDS
        fields = asked.fields(request, name, known) | {"id", "text", "edit_history_post_ids", "edit_history_tweet_ids"}
        expansions = {one for value in request.many("expansions") for one in value.split(",")}
        fields |= {field for expansion, field in asked.EXPANDED.items() if expansion in expansions}
        rows, media = [], []
        for one in found:
            row, post = (one, None) if isinstance(one, dict) else (self._owned(one, holder, request.now), one)
            if "non_public_metrics" in fields and "non_public_metrics" not in row:
                errors.append(shapes.private_field(row["id"]))
                continue
            if old:
                row = shapes.in_tweets(row)
            rows.append({field: value for field, value in row.items() if field in fields})
            if post and "attachments.media_keys" in expansions:
                media.append(shapes.media(post, row["id"], request.now))
        wanted = asked.fields(request, "media.fields", None) | {"media_key", "type"}
        included = [{field: value for field, value in one.items() if field in wanted} for one in media if one]
        body: Row = {"data": rows} if rows else {}
        body |= {"includes": {"media": included}} if included else {}
        return Answer(200, body | ({"errors": errors} if errors else {}))

    def _owned(self, post: Post, holder: Holder, t: float) -> Row:
        is_owner = holder.account_id == post.account.local_id and t - post.published_at < 30 * DAY
        return self._full(post, t, is_owner=is_owner)


def _with_meta(answer: Answer, meta: Row) -> Answer:
    body = answer.body if isinstance(answer.body, dict) else {}
    return Answer(answer.status, body | {"meta": meta})


def _id_of(answer: Answer, place: int) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    rows = body.get("data") or [{}]
    return str(rows[place].get("id", ""))


def _is_suspended(account: Account | None) -> bool:
    return account is not None and "suspended" in account.flags


def _headers(limit: int, left: int, ends: float) -> Headers:
    return (
        ("x-rate-limit-limit", str(limit)),
        ("x-rate-limit-remaining", str(max(0, left))),
        ("x-rate-limit-reset", str(int(ends))),
    )
