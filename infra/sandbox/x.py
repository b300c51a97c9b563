"""X's API v2 and its token endpoints: accounts and followers here, posts in `x_posts.py`."""

from collections.abc import Callable, Iterable

import numpy as np

from infra.sandbox import growth, people, posts
from infra.sandbox import x_asked as asked
from infra.sandbox import x_shapes as shapes
from infra.sandbox.cast import Account
from infra.sandbox.ids import MEMBER
from infra.sandbox.oauth import Holder, OAuth, Rules
from infra.sandbox.wire import HTML, Answer, Headers, Limits, Refusal, Request, day, seal
from infra.sandbox.world import World, is_away
from infra.sandbox.x_posts import PLATFORM, Posts, is_suspended, with_meta
from infra.sandbox.x_shapes import Row, problem

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


def _failure(code: str, description: str) -> Answer:
    """X's words for the standard's error codes."""
    if code == "invalid_client":
        return Answer(401, {"error": "unauthorized_client", "error_description": "Missing valid authorization header"})
    if code == "invalid_grant":
        is_code = "code" in description
        told = f"Value passed for the {'authorization code' if is_code else 'token'} was invalid."
        return Answer(400, {"error": "invalid_request", "error_description": told})
    return Answer(400, {"error": code, "error_description": description})


class X(Posts):
    """The API over a world, with windows by call and credential."""

    POSTS = frozenset({"token", "revoke"})

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)

        def tokens(lifetime: int) -> OAuth:
            rules = Rules(scopes=SCOPES, pkce=True, rotates=True, access_seconds=lifetime, failure=_failure,
                          offline=lambda _, scopes: "offline.access" in scopes)  # fmt: skip
            return OAuth(rules, lambda: world.of_platform[PLATFORM][0].local_id)

        self.oauth, self._of_app = tokens(7_200), tokens(100 * 365 * 86_400)
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
                errors.append(shapes.missing("user", parameter, text, suspended=is_suspended(account)))
        return rows, errors

    def _of_names(self, names: list[str], parameter: str, request: Request) -> tuple[list[Row], list[Row]]:
        rows, errors = [], []
        for name in names:
            account = self.world.handled(PLATFORM, name.lower(), request.now)
            if account and not is_away(account, request.now):
                rows.append(self._row(account, request))
            else:
                errors.append(shapes.missing("user", parameter, name, suspended=is_suspended(account)))
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
        return with_meta(answer, {"result_count": len(rows)} | more | back)


def _headers(limit: int, left: int, ends: float) -> Headers:
    return (
        ("x-rate-limit-limit", str(limit)),
        ("x-rate-limit-remaining", str(max(0, left))),
        ("x-rate-limit-reset", str(int(ends))),
    )
