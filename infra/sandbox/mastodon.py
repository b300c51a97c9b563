"""Mastodon's REST API as far as public reads go, on several servers: accounts, statuses, followers, instance, WebFinger."""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice

import numpy as np

from infra.sandbox import comments, people, posts
from infra.sandbox.cast import CLOSED_SERVER, MEMBER, SERVERS, SPLIT_SERVER, Account
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wire import HTML, LOOPBACK, Answer, Headers, Refusal, Request, Windows, day, iso_millis
from infra.sandbox.world import World, suspended_since

PLATFORM = "mastodon"
_WINDOW, _PAGING_WINDOW, _LIMIT = 300, 900, 300
_CURSORS = ("max_id", "min_id", "since_id", "page")
_HOSTS = {*SERVERS, *SPLIT_SERVER, CLOSED_SERVER}
_NOT_FOUND = "Record not found"
_BATCH = 20
_ROUTES = (
    ("lookup", re.compile(r"/api/v1/accounts/lookup")),
    ("accounts", re.compile(r"/api/v1/accounts")),
    ("followers", re.compile(r"/api/v1/accounts/([^/]+)/followers")),
    ("account_statuses", re.compile(r"/api/v1/accounts/([^/]+)/statuses")),
    ("account", re.compile(r"/api/v1/accounts/([^/]+)")),
    ("statuses", re.compile(r"/api/v1/statuses")),
    ("status", re.compile(r"/api/v1/statuses/([^/]+)")),
    ("instance", re.compile(r"/api/v2/instance")),
    ("instance_v1", re.compile(r"/api/v1/instance/?")),
    ("webfinger", re.compile(r"/\.well-known/webfinger")),
    ("nodeinfo", re.compile(r"/\.well-known/nodeinfo")),
)


def error(status: int, message: str) -> Answer:
    """Mastodon's error body."""
    return Answer(status, {"error": message})


def status_id(post: Post) -> str:
    """A status's number: milliseconds of its moment, then its author's place, so that ids run with time."""
    return str(round(post.published_at * 1000) << 16 | post.account.number)


class Mastodon:
    """All servers' APIs over a world; the Host header says which one is meant."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._windows = Windows()
        self._calls: dict[str, Callable[[Request, str, str], Answer]] = {
            "lookup": self._lookup,
            "accounts": self._accounts,
            "followers": self._followers,
            "account_statuses": self._account_statuses,
            "account": self._account_call,
            "statuses": self._statuses,
            "status": self._status_call,
            "instance": self._instance,
            "instance_v1": self._instance_v1,
            "webfinger": self._webfinger,
            "nodeinfo": self._nodeinfo,
        }

    def endpoint(self, path: str) -> str | None:
        """A short name of the call that a path makes, or None."""
        return next((name for name, pattern in _ROUTES if pattern.fullmatch(path)), None)

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call, on the server that Host names (the first one for a loopback address)."""
        host = _server(request)
        if host not in _HOSTS:
            return Answer(404, b"<html><body><h1>No such server in this sandbox</h1></body></html>", content_type=HTML)
        if endpoint is None:
            return error(404, "Not Found")
        left, ends = self._count(request, host)
        if left < 0:
            return self._throttled(ends)
        subject = next(m for n, p in _ROUTES if n == endpoint and (m := p.fullmatch(request.path)))
        open_to_all = endpoint in ("webfinger", "nodeinfo", "instance", "instance_v1")
        if "authorization" in request.headers:
            answer = error(401, "The access token is invalid")
            answer.headers = (("www-authenticate", 'Bearer realm="Doorkeeper", error="invalid_token"'),)
        elif host == CLOSED_SERVER and not open_to_all:
            answer = error(401, "This API requires an authenticated user")
        else:
            try:
                answer = self._calls[endpoint](request, host, subject.group(1) if subject.groups() else "")
            except Refusal as refusal:
                answer = refusal.answer
        answer.headers = (*answer.headers, *_limits(left, ends))
        return answer

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault."""
        if kind in ("throttled", "quota"):
            return self._throttled((request.now // _WINDOW + 1) * _WINDOW)
        if kind == "bad_key":
            return error(401, "The access token is invalid")
        if kind == "unavailable":
            return error(503, "There was a temporary problem serving your request, please try again")
        return Answer(500, b"<!DOCTYPE html><html><body><h1>We're sorry, but something went wrong on our end.</h1></body></html>", content_type=HTML)

    def _count(self, request: Request, host: str) -> tuple[int, float]:
        """What is left in the most constrained of the server's windows for this client, and when that one ends."""
        spent, ends = self._windows.spend(request.now, _WINDOW, host, request.client)
        if any(f"{name}=" in request.query for name in _CURSORS):
            paged, paging_ends = self._windows.spend(request.now, _PAGING_WINDOW, host, request.client, "paging")
            if paged >= spent:
                return _LIMIT - paged, paging_ends
        return _LIMIT - spent, ends

    def _throttled(self, ends: float) -> Answer:
        answer = error(429, "Too many requests")
        answer.headers = _limits(0, ends)
        return answer

    # Who is meant

    def _by_id(self, text: str, host: str) -> tuple[Account, int | None] | None:
        """The account of an id on this server, with the member's index where it is a member of an audience."""
        found = self.world.find(PLATFORM, text)
        if found is None or found[0].host != host or "deleted" in found[0].flags:
            return None
        return found

    def _creator(self, text: str, host: str) -> Account:
        found = self._by_id(text, host)
        if found is None or found[1] is not None:
            raise Refusal(error(404, _NOT_FOUND))
        return found[0]

    # Calls

    def _lookup(self, request: Request, host: str, _: str) -> Answer:
        acct = (request.one("acct") or "").lower().removeprefix("@")
        name, _, domain = acct.partition("@")
        account = self.world.by_handle.get((PLATFORM, host, name))
        if account is None or "deleted" in account.flags or domain not in ("", host, _domain(account)):
            return error(404, _NOT_FOUND)
        return Answer(200, self._account(account, request.now))

    def _account_call(self, request: Request, host: str, text: str) -> Answer:
        found = self._by_id(text, host)
        if found is None:
            return error(404, _NOT_FOUND)
        if found[1] is None:
            return Answer(200, self._account(found[0], request.now))
        return Answer(200, self._members(found[0], np.array([found[1]]), request.now)[0])

    def _accounts(self, request: Request, host: str, _: str) -> Answer:
        rows = []
        for text in dict.fromkeys(request.many("id[]") or request.many("id")):
            found = self._by_id(text, host)
            if found and found[1] is None:
                rows.append(self._account(found[0], request.now))
            elif found:
                rows += self._members(found[0], np.array([found[1]]), request.now)
        return Answer(200, rows)

    def _followers(self, request: Request, host: str, text: str) -> Answer:
        account = self._creator(text, host)
        size = _size(request, 40, 80)
        if "hides_network" in account.flags or suspended_since(account, request.now) is not None:
            return Answer(200, [])
        present = people.audience(account, request.now, self.world.fakes)
        rank, row = 0, request.one("max_id")
        if row is not None:
            if not row.isdigit():
                return Answer(200, [])
            rank = present.rank_below(max(0, int(row) - _first_row(account)) // 3)
        index = present.newest(rank, size)
        links = _links(request, [_first_row(account) + 3 * int(i) for i in (index[0], index[-1])] if len(index) else [], full=len(index) == size)
        return Answer(200, self._members(account, index, request.now), links)

    def _account_statuses(self, request: Request, host: str, text: str) -> Answer:
        account = self._creator(text, host)
        size, now = _size(request, 20, 40), request.now
        if suspended_since(account, now) is not None:
            return Answer(200, [])
        if request.one("pinned") in ("true", "1"):
            pinned = islice(posts.newest(account, now - 2_592_000, now, self.world.fakes), 1)
            return Answer(200, [self._status(post, now) for post in pinned])
        newest, oldest, forward = request.one("max_id"), request.one("since_id"), request.one("min_id")
        if any(value is not None and not value.isdigit() for value in (newest, oldest, forward)):
            return Answer(200, [])
        chosen = (item for item in self._timeline(account, newest, forward, now) if _passes(item[1], item[2], request))
        if forward is not None:
            page = list(islice((item for item in chosen if item[0] > int(forward)), size))[::-1]
        else:
            page = list(islice((item for item in chosen if oldest is None or item[0] > int(oldest)), size))
        rows = [self._boost(account, number, post, now) if is_boost else self._status(post, now) for number, post, is_boost in page]
        return Answer(200, rows, _links(request, [page[0][0], page[-1][0]] if page else [], full=len(page) == size, forward="min_id"))

    def _timeline(self, account: Account, newest: str | None, forward: str | None, now: float) -> "list[tuple[int, Post, bool]]":
        """(id, post, whether boosted) of the account's statuses, from the newest back, or forward from an id."""
        before = now + 1 if newest is None else (int(newest) >> 16) / 1000
        before = min(before, now + 1)
        if forward is not None:
            found = posts.after(account, (int(forward) >> 16) / 1000 - 7200, now, self.world.fakes)
        else:
            found = posts.newest(account, before + 2 * posts.SAME, now, self.world.fakes)
        items: list[tuple[int, Post, bool]] = []
        for post in found:
            if len(items) > 140:
                break
            items.append((int(status_id(post)), post, False))
            at = post.published_at + 1800 + post.key % 1200
            if post.key % 8 == 0 and at <= now and (other := self._boosted(post, now)):
                items.append((round(at * 1000) << 16 | account.number, other, True))
        if newest is not None:
            items = [item for item in items if item[0] < int(newest)]
        return sorted(items, key=lambda item: item[0], reverse=forward is None)

    def _boosted(self, post: Post, now: float) -> Post | None:
        """The recent post of a neighbour that this one goes with."""
        neighbours = [a for a in self.world.of_platform[PLATFORM] if a.host == post.account.host and a is not post.account]
        other = neighbours[post.key % len(neighbours)] if neighbours else None
        if other is None:
            return None
        return next(posts.newest(other, post.published_at - 60, now, self.world.fakes, post.published_at - 1_728_000), None)

    def _status_call(self, request: Request, host: str, text: str) -> Answer:
        post = self.find_status(text, host, request.now)
        return Answer(200, self._status(post, request.now)) if post else error(404, _NOT_FOUND)

    def _statuses(self, request: Request, host: str, _: str) -> Answer:
        ids = list(dict.fromkeys(request.many("id[]") or request.many("id")))
        if len(ids) > _BATCH:
            return error(422, f"Too many ids: at most {_BATCH}")
        found = (self.find_status(text, host, request.now) for text in ids)
        return Answer(200, [self._status(post, request.now) for post in found if post])

    def find_status(self, text: str, host: str, t: float) -> Post | None:
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
        return Answer(
            200,
            {
                "domain": SPLIT_SERVER[0] if host in SPLIT_SERVER else host,
                "title": f"{host.partition('.')[0].title()} (assay's sandbox)",
                "version": "4.5.2",
                "source_url": "https://github.com/mastodon/mastodon",
                "description": "A stand-in: nobody here is real.",
                "usage": {"users": {"active_month": 4200}},
                "languages": ["en", "de"],
                "configuration": {"statuses": {"max_characters": 500}, "accounts": {"max_featured_tags": 10}},
                "registrations": {"enabled": False, "approval_required": False, "message": None},
                "api_versions": {"mastodon": 7},
                "contact": {"email": f"admin@{host}", "account": None},
                "rules": [],
            },
        )

    def _instance_v1(self, request: Request, host: str, _: str) -> Answer:
        return Answer(
            200,
            {
                "uri": host,
                "title": f"{host.partition('.')[0].title()} (assay's sandbox)",
                "short_description": "A stand-in: nobody here is real.",
                "description": "",
                "email": f"admin@{host}",
                "version": "4.5.2",
                "urls": {"streaming_api": f"wss://{host}"},
                "stats": {"user_count": 5000, "status_count": 100_000, "domain_count": 900},
                "languages": ["en"],
                "registrations": False,
                "approval_required": False,
                "invites_enabled": False,
                "rules": [],
            },
        )

    def _nodeinfo(self, request: Request, host: str, _: str) -> Answer:
        return Answer(200, {"links": []})

    def _webfinger(self, request: Request, host: str, _: str) -> Answer:
        resource = (request.one("resource") or "").lower()
        if not resource:
            return error(400, "Bad request")
        account = self.world.by_account_id.get((PLATFORM, resource.removeprefix("acct:")))
        if account is None or "deleted" in account.flags or host not in (account.host, _domain(account)):
            return Answer(404, b"", content_type="text/plain")
        page, link = f"https://{account.host}/@{account.handle}", f"https://{account.host}/users/{account.handle}"
        answer = Answer(
            200,
            {
                "subject": f"acct:{account.account_id}",
                "aliases": [page, link],
                "links": [
                    {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": page},
                    {"rel": "self", "type": "application/activity+json", "href": link},
                ],
            },
        )
        answer.content_type = "application/jrd+json; charset=utf-8"
        return answer

    # Shapes

    def _account(self, account: Account, t: float) -> dict[str, object]:
        row = dict(_shell(account))
        if suspended_since(account, t) is not None:
            blank = {"display_name": "", "note": "", "avatar": _missing(account.host), "avatar_static": _missing(account.host), "fields": []}
            return row | blank | {"followers_count": 0, "following_count": 0, "statuses_count": 0, "last_status_at": None, "suspended": True}
        latest = next(posts.newest(account, t + 1, t, self.world.fakes), None)
        return row | {
            "followers_count": -1 if "hides_counts" in account.flags else self.world.followers(account, t),
            "following_count": 40 + account.key % 700,
            "statuses_count": posts.count(account, t),
            "last_status_at": day(latest.published_at) if latest else None,
        }

    def _members(self, account: Account, index: np.ndarray, t: float) -> list[dict[str, object]]:
        return [self._member(account, member, t) for member in people.members(account, index, t, self.world.fakes)]

    def _member(self, account: Account, member: Member, t: float) -> dict[str, object]:
        host = member.server or account.host
        acct = f"{member.handle}@{host}" if member.server else member.handle
        url = f"https://{host}/@{member.handle}"
        picture = f"https://{account.host}/avatars/{member.index}.png" if member.has_picture else _missing(account.host)
        # Of a remote member the server knows only what has passed by it.
        known = 1.0 if not member.server else member.draw * 0.4
        row: dict[str, object] = {
            "id": self.world.codecs.mastodon_id(MEMBER, account.number, member.index),
            "username": member.handle,
            "acct": acct,
            "display_name": member.name,
            "locked": member.is_private,
            "bot": False,
            "discoverable": None if member.server else True,
            "indexable": False,
            "group": False,
            "created_at": day(member.created_at) + "T00:00:00.000Z",
            "note": f"<p>{member.bio}</p>" if member.bio else "",
            "url": url,
            "uri": f"https://{host}/users/{member.handle}",
            "avatar": picture,
            "avatar_static": picture,
            "header": f"https://{account.host}/headers/original/missing.png",
            "header_static": f"https://{account.host}/headers/original/missing.png",
            "followers_count": int(member.followers * known),
            "following_count": int(member.following * known),
            "statuses_count": int(member.posts * known),
            "last_status_at": day(t - 86_400 * (1 + member.draw * 90)) if member.posts else None,
            "hide_collections": None,
            "emojis": [],
            "fields": [{"name": "web", "value": f'<a href="https://links.example/{member.index}">links</a>', "verified_at": None}] if member.has_link else [],
        }
        if not member.server:
            row |= {"noindex": False, "roles": []}
        return row

    def _status(self, post: Post, t: float) -> dict[str, object]:
        counters = post.counters(t)
        return _fixed(post) | {
            "replies_count": counters.comments,
            "reblogs_count": counters.shares,
            "favourites_count": counters.likes,
            "quotes_count": counters.quotes,
            "account": self._account(post.account, t),
        }

    def _boost(self, account: Account, number: int, post: Post, t: float) -> dict[str, object]:
        inner, at = self._status(post, t), (number >> 16) / 1000
        url = f"https://{account.host}/users/{account.handle}/statuses/{number}/activity"
        return inner | {
            "id": str(number),
            "created_at": iso_millis(at),
            "uri": url,
            "url": url,
            "account": self._account(account, t),
            "reblog": inner,
            "media_attachments": [],
            "tags": [],
        }


@lru_cache(maxsize=16384)
def _fixed(post: Post) -> dict[str, object]:
    """What of a status never changes."""
    account, number = post.account, status_id(post)
    text, tags, link = comments.note(post)
    base = f"https://{account.host}"
    content = f"<p>{text}"
    for tag in tags:
        content += f' <a href="{base}/tags/{tag}" class="mention hashtag" rel="tag">#<span>{tag}</span></a>'
    if link:
        content += f' <a href="{link}" rel="nofollow noopener" target="_blank">{link.removeprefix("https://")}</a>'
    media = []
    if post.format in ("image", "video"):
        kind = post.format
        media.append({"id": str(int(number) + 1), "type": kind, "url": f"{base}/media/{number}", "preview_url": f"{base}/media/{number}?small", "remote_url": None, "meta": {}, "description": None, "blurhash": None})
        if kind == "video":
            media[0]["meta"] = {"original": {"duration": float(post.duration)}}
    card = None
    if post.format == "link":
        card = {"url": link, "title": comments.title(post), "description": "", "type": "link", "image": None}
    above = post.relation == "reply"
    return {
        "id": number,
        "created_at": iso_millis(post.published_at),
        "in_reply_to_id": str(int(number) - (900_000 << 16)) if above else None,
        "in_reply_to_account_id": str(10**17 + post.key % 10**9) if above else None,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "unlisted" if post.key % 13 == 0 else "public",
        "language": account.language,
        "uri": f"{base}/users/{account.handle}/statuses/{number}",
        "url": f"{base}/@{account.handle}/{number}",
        "edited_at": None,
        "content": content + "</p>",
        "reblog": None,
        "quote": {"state": "accepted", "quoted_status": None} if post.relation == "quote" else None,
        "application": None,
        "media_attachments": media,
        "mentions": [{"id": str(10**17 + post.key % 10**9), "username": "someone", "url": f"{base}/@someone", "acct": "someone"}] if above else [],
        "tags": [{"name": tag, "url": f"{base}/tags/{tag}"} for tag in tags],
        "emojis": [],
        "card": card,
        "poll": None,
    }


@lru_cache(maxsize=1024)
def _shell(account: Account) -> dict[str, object]:
    base = f"https://{account.host}"
    picture = f"{base}/avatars/{account.number}.png"
    return {
        "id": account.local_id,
        "username": account.handle,
        "acct": account.handle,
        "display_name": account.creator_name,
        "locked": False,
        "bot": False,
        "discoverable": True,
        "indexable": True,
        "group": False,
        "created_at": day(account.created_at) + "T00:00:00.000Z",
        "note": f"<p>{account.creator_name}. Notes on {account.topic}.</p>",
        "url": f"{base}/@{account.handle}",
        "uri": f"{base}/users/{account.handle}",
        "avatar": picture,
        "avatar_static": picture,
        "header": f"{base}/headers/original/missing.png",
        "header_static": f"{base}/headers/original/missing.png",
        "hide_collections": "hides_network" in account.flags,
        "noindex": False,
        "emojis": [],
        "roles": [],
        "fields": [{"name": "web", "value": f'<a href="https://{account.topic}.example">site</a>', "verified_at": None}],
    }


def _server(request: Request) -> str:
    name = request.host.rpartition(":")[0] or request.host
    return SERVERS[0] if name in LOOPBACK else name.lower()


def _domain(account: Account) -> str:
    return account.account_id.rpartition("@")[2]


def _missing(host: str) -> str:
    return f"https://{host}/avatars/original/missing.png"


def _first_row(account: Account) -> int:
    """Follow rows are numbered by the server, not by anything a client knows."""
    return 1_000_000 + account.key % 5_000_000


def _passes(post: Post, is_boost: bool, request: Request) -> bool:
    def on(name: str) -> bool:
        return request.one(name) in ("true", "1", "True")

    if is_boost:
        return not on("exclude_reblogs") and not on("only_media")
    if on("only_media") and post.format not in ("image", "video"):
        return False
    return not (on("exclude_replies") and post.relation == "reply")


def _size(request: Request, usual: int, most: int) -> int:
    text = request.one("limit") or str(usual)
    return min(most, max(1, int(text))) if text.isdigit() else usual


def _links(request: Request, ends: list[int], *, full: bool, forward: str = "since_id") -> Headers:
    """The Link header: rel=next only where the page was full, so a full last page is followed by an empty one."""
    if not ends:
        return ()
    kept = "".join(f"{name}={value}&" for name, value in request.pairs if name not in _CURSORS)
    start = f"{request.base}{request.path}?{kept}"
    links = [f'<{start}max_id={ends[1]}>; rel="next"'] if full else []
    links.append(f'<{start}{forward}={ends[0]}>; rel="prev"')
    return (("link", ", ".join(links)),)


def _limits(left: int, ends: float) -> Headers:
    reset = iso_millis(ends)[:-5] + ".000000Z"
    return (("x-ratelimit-limit", str(_LIMIT)), ("x-ratelimit-remaining", str(max(0, left))), ("x-ratelimit-reset", reset))
