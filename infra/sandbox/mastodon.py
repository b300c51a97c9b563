"""Mastodon's REST API as far as public reads go, on several servers: accounts, statuses, followers, WebFinger."""

import re
from collections.abc import Callable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from infra.sandbox import growth, people, posts
from infra.sandbox import mastodon_asked as asked
from infra.sandbox import mastodon_shapes as shapes
from infra.sandbox.cast import DAY, Account
from infra.sandbox.ids import MEMBER
from infra.sandbox.mastodon_shapes import error
from infra.sandbox.posts import SAME, Post
from infra.sandbox.surface import Surface
from infra.sandbox.traits import CLOSED_SERVER, SERVERS, SPLIT_SERVER
from infra.sandbox.wire import HTML, LOOPBACK, Answer, Headers, Limits, Refusal, Request, iso
from infra.sandbox.world import World, suspended_since

PLATFORM = "mastodon"
_WINDOW, _PAGING_WINDOW, _LIMIT = 300, 900, 300
_HOSTS = {*SERVERS, *SPLIT_SERVER, CLOSED_SERVER}
_PAGE_ROOM = 140
_ROUTES = (
    ("accounts/lookup", re.compile(r"/api/v1/accounts/lookup")),
    ("accounts", re.compile(r"/api/v1/accounts")),
    ("accounts/:id/followers", re.compile(r"/api/v1/accounts/([^/]+)/followers")),
    ("accounts/:id/statuses", re.compile(r"/api/v1/accounts/([^/]+)/statuses")),
    ("accounts/:id", re.compile(r"/api/v1/accounts/([^/]+)")),
    ("statuses", re.compile(r"/api/v1/statuses")),
    ("statuses/:id", re.compile(r"/api/v1/statuses/([^/]+)")),
    ("instance", re.compile(r"/api/v2/instance/?")),
    ("v1/instance", re.compile(r"/api/v1/instance/?")),
    ("webfinger", re.compile(r"/\.well-known/webfinger")),
)
_OPEN = ("instance", "v1/instance", "webfinger")
"""Calls that a closed server answers too."""


class Mastodon(Surface):
    """All servers' APIs over a world; the Host header says which one is meant."""

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)
        self._calls: dict[str, Callable[[Request, str, str], Answer]] = {
            "accounts/lookup": self._lookup,
            "accounts": self._accounts,
            "accounts/:id/followers": self._followers,
            "accounts/:id/statuses": self._account_statuses,
            "accounts/:id": self._account_by_id,
            "statuses": self._statuses,
            "statuses/:id": self._status_by_id,
            "instance": self._instance,
            "v1/instance": self._instance_v1,
            "webfinger": self._webfinger,
        }

    def endpoint(self, path: str) -> str | None:
        """A short name of the call that a path makes, or None."""
        return next((name for name, pattern in _ROUTES if pattern.fullmatch(path)), None)

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call, on the server that Host names (the first one for a loopback address)."""
        host = _server(request)
        if host not in _HOSTS:
            page = b"<html><body><h1>This sandbox has no such server</h1></body></html>"
            return Answer(404, page, content_type=HTML)
        left, ends = self._spend(request, host)
        if left < 0:
            return _throttled(ends)
        try:
            answer = self._called(endpoint, request, host)
        except Refusal as refusal:
            answer = refusal.answer
        answer.headers = (*answer.headers, *_limits(left, ends))
        return answer

    def _called(self, endpoint: str | None, request: Request, host: str) -> Answer:
        if endpoint is None:
            return error(404, "Not Found")
        if "authorization" in request.headers:  # the sandbox hands out no tokens
            return error(401, "The access token is invalid")
        if host == CLOSED_SERVER and endpoint not in _OPEN:
            return error(401, "This API requires an authenticated user")
        matched = dict(_ROUTES)[endpoint].fullmatch(request.path)
        return self._calls[endpoint](request, host, matched.group(1) if matched and matched.re.groups else "")

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault."""
        if kind in ("throttled", "quota"):
            return _throttled((request.now // _WINDOW + 1) * _WINDOW)
        if kind == "bad_key":
            return error(401, "The access token is invalid")
        if kind == "unavailable":
            return error(503, "There was a temporary problem serving your request, please try again")
        page = b"<!DOCTYPE html><html><body><h1>We're sorry, but something went wrong on our end.</h1></body></html>"
        return Answer(500, page, content_type=HTML)

    def _spend(self, request: Request, host: str) -> tuple[int, float]:
        """What is left in the most constrained of the server's windows for this client, and when that one ends."""
        spent, ends = self.windows.spend(request.now, _WINDOW, host, request.client)
        if any(f"{name}=" in request.query for name in asked.CURSORS):
            paged, paging_ends = self.windows.spend(request.now, _PAGING_WINDOW, host, request.client, "paging")
            if paged >= spent:
                return _LIMIT - paged, paging_ends
        return _LIMIT - spent, ends

    def post_id(self, post: Post) -> str:
        """A status's id with its server, as events have it."""
        return f"{shapes.status_id(post)}@{post.account.domain}"

    # Who is meant

    def _find(self, text: str, host: str) -> tuple[Account, int | None] | None:
        """The account of an id on this server, with the member's index where it is a member of an audience."""
        found = self.world.find(PLATFORM, text)
        return found if found and found[0].host == host and "deleted" not in found[0].flags else None

    def _creator(self, text: str, host: str) -> Account:
        found = self._find(text, host)
        if found is None or found[1] is not None:
            raise Refusal(error(404, "Record not found"))
        return found[0]

    def _account(self, account: Account, t: float) -> shapes.Entity:
        if suspended_since(account, t) is not None:
            return shapes.suspended(account)
        latest = next(posts.newest(account, t + 1, t, self.world.fakes), None)
        return shapes.creator(account, self.world.followers(account, t), posts.count(account, t), latest)

    def _members(self, account: Account, index: NDArray[np.int64], t: float) -> list[shapes.Entity]:
        ids, number = self.world.ids[PLATFORM], account.number
        return [
            shapes.follower(account, ids.account(MEMBER, number, member.number), member, t)
            for member in people.members(account, index, t, self.world.fakes)
        ]

    def _entities(self, ids: list[str], host: str, t: float) -> list[shapes.Entity]:
        entities = []
        for account, member in filter(None, (self._find(text, host) for text in ids)):
            if member is None:
                entities.append(self._account(account, t))
            else:
                entities += self._members(account, np.array([member]), t)
        return entities

    # Calls

    def _lookup(self, request: Request, host: str, _: str) -> Answer:
        name, _, domain = (request.one("acct") or "").lower().removeprefix("@").partition("@")
        account = self.world.by_handle.get((PLATFORM, host, name))
        if account is None or "deleted" in account.flags or domain not in ("", host, account.domain):
            return error(404, "Record not found")
        return Answer(200, self._account(account, request.now))

    def _account_by_id(self, request: Request, host: str, text: str) -> Answer:
        found = self._entities([text], host, request.now)
        return Answer(200, found[0]) if found else error(404, "Record not found")

    def _accounts(self, request: Request, host: str, _: str) -> Answer:
        return Answer(200, self._entities(asked.batch(request, "accounts"), host, request.now))

    def _followers(self, request: Request, host: str, text: str) -> Answer:
        account, size = self._creator(text, host), asked.size(request, 40, 80)
        if "hides_network" in account.flags or suspended_since(account, request.now) is not None:
            return Answer(200, [])
        listed = growth.audience(account, request.now, self.world.fakes)
        rank, row = 0, request.one("max_id")
        if row is not None:
            rank = listed.rank_below(max(0, (int(row) if row.isdigit() else 0) - _first_row(account)) // 3)
        index = listed.newest(rank, size)
        ends = [_first_row(account) + 3 * int(index[place]) for place in (0, -1)] if len(index) else []
        links = asked.links(request, ends, full=len(index) == size)
        return Answer(200, self._members(account, index, request.now), links)

    def _account_statuses(self, request: Request, host: str, text: str) -> Answer:
        account, size, now = self._creator(text, host), asked.size(request, 20, 40), request.now
        if suspended_since(account, now) is not None:
            return Answer(200, [])
        if asked.is_on(request, "pinned"):
            pinned = islice(posts.newest(account, now - 30 * DAY, now, self.world.fakes), 1)
            return Answer(200, [shapes.status(post, self._account(account, now), now) for post in pinned])
        newest, since, forward = (asked.number(request, name) for name in ("max_id", "since_id", "min_id"))
        above = max(since or 0, forward or 0)
        rows = self._timeline(account, newest, forward, now)
        page = [row for row in rows if row[0] > above and asked.passes(row[1], row[2], request)][:size]
        if forward is not None:
            page.reverse()
        author = self._account(account, now)
        entities = []
        for number, post, is_boost in page:
            if is_boost:
                boosted = shapes.status(post, self._account(post.account, now), now)
                entities.append(shapes.boost(number, account, author, boosted))
            else:
                entities.append(shapes.status(post, author, now))
        ends = [page[0][0], page[-1][0]] if page else []
        return Answer(200, entities, asked.links(request, ends, full=len(page) == size, forward="min_id"))

    def _timeline(
        self, account: Account, newest: int | None, forward: int | None, now: float
    ) -> list[tuple[int, Post, bool]]:
        """More than a page of (id, post, whether boosted): from the newest back, or forward from an id."""
        before = now + 1 if newest is None else min(now + 1, (newest >> 16) / 1000 + 2 * SAME)
        if forward is None:
            found = posts.newest(account, before, now, self.world.fakes)
        else:
            found = posts.after(account, (forward >> 16) / 1000 - 2 * 3600, now, self.world.fakes)
        rows: list[tuple[int, Post, bool]] = []
        for post in found:
            if len(rows) > _PAGE_ROOM:
                break
            rows.append((int(shapes.status_id(post)), post, False))
            at = post.published_at + 1800 + post.key % 1200  # of the boost that some posts occasion
            if post.key % 8 == 0 and at <= now and (other := self._boosted(post, now)):
                rows.append((round(at * 1000) << 16 | account.number, other, True))
        if newest is not None:
            rows = [row for row in rows if row[0] < newest]
        return sorted(rows, key=lambda row: row[0], reverse=forward is None)

    def _boosted(self, post: Post, now: float) -> Post | None:
        """The recent post of a neighbour on the server that this one goes with."""
        neighbours = [a for a in self.world.of_platform[PLATFORM] if a.host == post.account.host]
        until = post.published_at - 60
        return next(
            posts.newest(neighbours[post.key % len(neighbours)], until, now, self.world.fakes, until - 20 * DAY), None
        )

    def _status_by_id(self, request: Request, host: str, text: str) -> Answer:
        post = self._status(text, host, request.now)
        if post is None:
            return error(404, "Record not found")
        return Answer(200, shapes.status(post, self._account(post.account, request.now), request.now))

    def _statuses(self, request: Request, host: str, _: str) -> Answer:
        now = request.now
        found = (self._status(text, host, now) for text in asked.batch(request, "statuses"))
        return Answer(200, [shapes.status(post, self._account(post.account, now), now) for post in found if post])

    def _status(self, text: str, host: str, t: float) -> Post | None:
        """The status of an id on this server, if it and its author are up at t."""
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            return None
        number, moment = int(text) & 0xFFFF, (int(text) >> 16) / 1000
        if number >= len(self.world.accounts) or moment > t:
            return None
        account = self.world.accounts[number]
        if account.host != host or "deleted" in account.flags or suspended_since(account, t) is not None:
            return None
        post = posts.published_at(account, moment, self.world.fakes)
        return post if post and post.is_up(t) else None

    def _instance(self, request: Request, host: str, _: str) -> Answer:
        return Answer(200, shapes.instance(host, SPLIT_SERVER[0] if host in SPLIT_SERVER else host))

    def _instance_v1(self, request: Request, host: str, _: str) -> Answer:
        return Answer(200, shapes.instance_v1(host))

    def _webfinger(self, request: Request, host: str, _: str) -> Answer:
        resource = (request.one("resource") or "").lower()
        account = self.world.by_account_id.get((PLATFORM, resource.removeprefix("acct:")))
        if account is None or "deleted" in account.flags or host not in (account.host, account.domain):
            return Answer(404 if resource else 400, b"", content_type="text/plain")
        return Answer(200, shapes.webfinger(account), content_type="application/jrd+json; charset=utf-8")


def _server(request: Request) -> str:
    name = request.host_name
    return SERVERS[0] if name in LOOPBACK else name


def _first_row(account: Account) -> int:
    """Follow rows are numbered by the server, not by anything that a client knows."""
    return 1_000_000 + account.key % 5_000_000


def _throttled(ends: float) -> Answer:
    answer = error(429, "Too many requests")
    answer.headers = _limits(0, ends)
    return answer


def _limits(left: int, ends: float) -> Headers:
    return (
        ("x-ratelimit-limit", str(_LIMIT)),
        ("x-ratelimit-remaining", str(max(0, left))),
        ("x-ratelimit-reset", iso(ends)[:-1] + ".000000Z"),
    )
