"""Twitch's Helix API and its token endpoints, as far as creators' own data goes."""

import re
from collections.abc import Callable, Iterable

import numpy as np

from infra.sandbox import growth, people, posts
from infra.sandbox import twitch_shapes as shapes
from infra.sandbox.cast import Account
from infra.sandbox.ids import MEMBER
from infra.sandbox.oauth import CLIENT, Holder, OAuth, Rules
from infra.sandbox.posts import Post
from infra.sandbox.surface import Surface
from infra.sandbox.twitch_shapes import error
from infra.sandbox.wire import Answer, Limits, Refusal, Request, day, seal, unseal
from infra.sandbox.world import World, is_away

PLATFORM = "twitch"
SCOPE = "moderator:read:followers"
_POINTS, _WINDOW = 800, 60
_AT_MOST = 100


def _failure(code: str, description: str) -> Answer:
    """Twitch's words for the standard's error codes."""
    if code == "invalid_client":
        return shapes.auth_error(403, "invalid client secret")
    if code == "invalid_grant" and "revoked" in description:
        return shapes.auth_error(400, "Invalid refresh token")
    return shapes.auth_error(400, "Invalid authorization code" if code == "invalid_grant" else "missing grant type")


def _shape(found: dict[str, object], account_id: str) -> object:
    """Scopes as a list, and none for the app."""
    scopes = {"scope": str(found["scope"]).split()} if account_id else {}
    return found | {"token_type": "bearer"} | scopes


class Twitch(Surface):
    """The API over a world, with points by client (and user) and minute."""

    POSTS = frozenset({"token", "revoke"})

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)

        def tokens(lifetime: int) -> OAuth:
            rules = Rules(scopes=frozenset({SCOPE}), access_seconds=lifetime, shape=_shape, failure=_failure)
            return OAuth(rules, lambda: world.of_platform[PLATFORM][0].local_id)

        self.oauth, self._of_app = tokens(14_000), tokens(5_011_271)
        self._auth: dict[str, Callable[[Request], Answer]] = {
            "authorize": self.oauth.authorize,
            "token": self._token,
            "revoke": self.oauth.revoke,
            "validate": self._validate,
        }
        self._calls: dict[str, Callable[[Request, Holder], Answer]] = {
            "users": self._users,
            "channels": self._channels,
            "channels/followers": self._followers,
            "videos": self._videos,
            "streams": self._streams,
        }

    def endpoint(self, path: str) -> str | None:
        """The resource or the token endpoint that a path names, or None."""
        for prefix, known in (("/oauth2/", self._auth), ("/helix/", self._calls)):
            if path.startswith(prefix) and path.removeprefix(prefix) in known:
                return path.removeprefix(prefix)
        return None

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call; one with a good token costs a point, whatever comes of it."""
        if endpoint is None:
            is_retired = request.path == "/helix/users/follows"
            return error(410, "This API is not available.") if is_retired else error(404, "")
        if endpoint in self._auth:
            return self._auth[endpoint](request)
        holder = self._holder(request)
        spent, ends = self.windows.spend(request.now, _WINDOW, CLIENT, holder.account_id)
        headers = _limits(_POINTS - spent, ends)
        if spent > _POINTS:
            return error(429, "Too Many Requests", headers)
        self.spent.add(CLIENT, "points", day(request.now))
        try:
            answer = self._calls[endpoint](request, holder)
        except Refusal as refusal:
            return refusal.answer  # without headers: most refusals carry none
        answer.headers = headers
        return answer

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault. There is no quota but the minute's."""
        if kind in ("throttled", "quota"):
            return error(429, "Too Many Requests", _limits(0, (request.now // _WINDOW + 1) * _WINDOW))
        if kind == "bad_key":
            return error(401, "Invalid OAuth token")
        return error(503, "") if kind == "unavailable" else error(500, "")

    # Tokens

    def _token(self, request: Request) -> Answer:
        asked = request.form or dict(request.pairs)
        if asked.get("client_id", CLIENT) != CLIENT:
            return shapes.auth_error(400, "invalid client")
        if asked.get("grant_type") == "refresh_token" and not asked.get("refresh_token"):
            return shapes.auth_error(400, "missing refresh token")
        if asked.get("grant_type") == "client_credentials":
            return self._of_app.token(request)
        answer = self.oauth.token(request)
        if answer.status == 200:  # a renewal gives the same refresh token again
            answer.body = {"refresh_token": asked.get("refresh_token")} | _body(answer)
        return answer

    def _validate(self, request: Request) -> Answer:
        token = re.sub("^(OAuth|Bearer) ", "", request.headers.get("authorization", ""))
        holder = self.oauth.holder(token, request.now)
        if not isinstance(holder, Holder):
            return shapes.auth_error(401, "invalid access token" if token else "missing authorization token")
        parts = unseal(token, 5) or unseal(token, 3) or []
        left = int(float(parts[3 if holder.kind == "user" else 2]) - request.now)
        told: dict[str, object] = {"client_id": CLIENT, "scopes": sorted(holder.scopes) or None, "expires_in": left}
        account = self._creator(holder.account_id, request.now)
        return Answer(200, told | ({"login": account.handle, "user_id": account.local_id} if account else {}))

    def _holder(self, request: Request) -> Holder:
        """Whose token it is. Refusal: without one, with a bad one, or with another client's id."""
        client, token = request.headers.get("client-id"), request.headers.get("authorization", "")
        if not token:
            raise Refusal(error(401, "OAuth token is missing"))
        holder = self.oauth.holder(token.removeprefix("Bearer "), request.now)
        if client is None:
            raise Refusal(error(401, "Client ID is missing"))
        if not isinstance(holder, Holder):
            raise Refusal(error(401, "Invalid OAuth token"))
        if client != CLIENT:
            raise Refusal(error(401, "Client ID and OAuth token do not match"))
        return holder

    # Who is meant

    def _creator(self, text: str, t: float) -> Account | None:
        """The creator of an id, unless banned or deleted."""
        found = self.world.find(PLATFORM, text)
        return found[0] if found and found[1] is None and not is_away(found[0], t) else None

    def _present(self, ids: Iterable[str], t: float) -> list[Account]:
        return [account for text in ids if (account := self._creator(text, t))]

    def _members(self, ids: Iterable[str], t: float) -> list[shapes.Row]:
        """Users who follow creators; a few have closed their accounts since."""
        wanted: dict[int, dict[int, str]] = {}
        for text in ids:
            found = self.world.find(PLATFORM, text)
            if found and found[1] is not None:
                wanted.setdefault(found[0].number, {})[found[1]] = text
        return [
            shapes.member(texts[one.number], one)
            for number, texts in wanted.items()
            for one in people.members(self.world.accounts[number], np.array(list(texts)), t, self.world.fakes)
            if one.joined_at <= t and one.draw > 0.008
        ]

    # Calls

    def _users(self, request: Request, holder: Holder) -> Answer:
        ids, logins = _batch(request, "id"), [login.lower() for login in _batch(request, "login", r"\w{1,25}")]
        if len(ids) + len(logins) > _AT_MOST:
            raise Refusal(error(400, "Too many id and login parameters"))
        if not ids and not logins:
            if holder.kind == "app":
                raise Refusal(error(400, "Must provide an ID, Login or OAuth Token"))
            ids = [holder.account_id]
        named = [self.world.handled(PLATFORM, login, request.now) for login in logins]
        found = self._present(ids, request.now) + [one for one in named if one and not is_away(one, request.now)]
        rows = [shapes.creator(account, request.now) for account in dict.fromkeys(found)]
        return Answer(200, {"data": rows + self._members(ids, request.now)})

    def _channels(self, request: Request, _: Holder) -> Answer:
        ids = _required(request, "broadcaster_id")
        rows = [shapes.channel(account, request.now) for account in self._present(ids, request.now)]
        return Answer(200, {"data": sorted(rows, key=lambda row: str(row["broadcaster_id"]))})  # not as asked for

    def _followers(self, request: Request, holder: Holder) -> Answer:
        subject = _required(request, "broadcaster_id")[0]
        account = self._creator(subject, request.now)
        if account is None:
            return shapes.page([], total=0)
        listed = growth.audience(account, request.now, self.world.fakes)
        if holder.kind == "app":
            return shapes.page([], total=listed.count)
        if SCOPE not in holder.scopes:
            raise Refusal(Answer(401, {"data": []} | _body(error(401, f"missing scope {SCOPE}"))))
        if holder.account_id != subject:
            message = "The ID in broadcaster_id must match the user ID found in the request's OAuth token."
            raise Refusal(error(401, message))
        size, rank = _size(request), 0
        if after := request.one("after"):
            rank = listed.rank_below(_position(after, subject))
        index = listed.newest(rank, size)
        ids = self.world.ids[PLATFORM]
        # Closed accounts count towards the total and are left out of the list.
        rows = [
            shapes.follower(ids.account(MEMBER, account.number, one.number), one)
            for one in people.members(account, index, request.now, self.world.fakes)
            if one.draw > 0.004
        ]
        more = rank + size < listed.count
        return shapes.page(rows, seal(subject, int(index[-1])) if more else None, total=listed.count)

    def _videos(self, request: Request, _: Holder) -> Answer:
        ids, user = _batch(request, "id"), request.one("user_id")
        if bool(ids) == (user is not None):
            raise Refusal(error(400, "Must provide exactly one of id, user_id or game_id"))
        if ids:
            found = [post for text in ids if (post := self._video(text, request.now))]
            rows = [self._row(post, request.now) for post in found if not post.is_missed(request.now)]
            return shapes.page(rows) if found else error(404, "")
        subject = _required(request, "user_id")[0]
        account, size = self._creator(subject, request.now), _size(request)
        if (request.one("sort") or "time") != "time":
            raise Refusal(error(400, 'The parameter "sort" was malformed: this stand-in sorts by time alone'))
        before = request.now + 1
        if after := request.one("after"):
            before = _position(after, subject) / 1000
        chosen = request.one("type") or "all"
        page: list[Post] = []
        for post in posts.newest(account, before, request.now, self.world.fakes) if account else ():
            if chosen in ("all", post.format):
                page.append(post)
            if len(page) > size:
                break
        more = len(page) > size
        cursor = seal(subject, round(page[size - 1].published_at * 1000)) if more else None
        return shapes.page([self._row(post, request.now) for post in page[:size]], cursor)

    def _video(self, text: str, t: float) -> Post | None:
        post = self.world.post(PLATFORM, text, t)
        return post if post and not is_away(post.account, t) else None

    def _row(self, post: Post, t: float) -> shapes.Row:
        return shapes.video(post, self.post_id(post), t)

    def _streams(self, request: Request, _: Holder) -> Answer:
        now, ids, size = request.now, _batch(request, "user_id"), _size(request)
        logins = _batch(request, "user_login", r"\w{1,25}")
        named = [self.world.handled(PLATFORM, login.lower(), now) for login in logins]
        everyone = [one for one in self.world.of_platform[PLATFORM] if not (ids or logins)]
        chosen = dict.fromkeys([*self._present(ids, now), *(one for one in (*named, *everyone) if one)])
        on_air = [posts.streaming(account, now, self.world.fakes) for account in chosen if not is_away(account, now)]
        live = sorted((post for post in on_air if post), key=lambda post: -posts.viewers(post, now))
        start = _position(after, "streams") if (after := request.one("after")) else 0
        page = live[start : start + size]
        # A cursor stands on every page that has rows; the page after the last one is empty.
        return shapes.page([shapes.stream(post, now) for post in page], seal("streams", start + size) if page else None)


def _body(answer: Answer) -> dict[str, object]:
    return answer.body if isinstance(answer.body, dict) else {}


def _batch(request: Request, name: str, form: str = "[0-9]{1,19}") -> list[str]:
    """The values of a parameter that is sent again and again; one that cannot be such refuses them all."""
    values = list(dict.fromkeys(request.many(name)))
    if len(values) > _AT_MOST:
        message = f'The parameter "{name}" was malformed: the value must contain at most {_AT_MOST} items'
        raise Refusal(error(400, message))
    if not all(re.fullmatch(form, value, re.ASCII) for value in values):
        raise Refusal(error(400, "Invalid login names, emails or IDs in request"))
    return values


def _required(request: Request, name: str) -> list[str]:
    values = _batch(request, name)
    if not values:
        raise Refusal(error(400, f'Missing required parameter "{name}"'))
    return values


def _size(request: Request) -> int:
    written = request.one("first") or "20"
    if not written.isdigit() or not 1 <= int(written) <= _AT_MOST:
        message = 'The parameter "first" was malformed: the value must be greater than or equal to 1, and at most 100'
        raise Refusal(error(400, message))
    return int(written)


def _position(cursor: str, subject: str) -> int:
    """Where a page begins; cursors are tied to what was asked for."""
    parts = unseal(cursor, 2)
    if parts is None or parts[0] != subject or not parts[1].isdigit():
        raise Refusal(error(400, 'The parameter "after" was malformed: the value is not a valid cursor'))
    return int(parts[1])


def _limits(left: int, ends: float) -> tuple[tuple[str, str], ...]:
    return (
        ("ratelimit-limit", str(_POINTS)),
        ("ratelimit-remaining", str(max(0, left))),
        ("ratelimit-reset", str(int(ends))),
    )
