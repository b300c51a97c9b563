"""Bluesky's AppView as far as public reads go: handles, profiles, author feeds, posts and followers over XRPC."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from infra.sandbox import comments, people, posts
from infra.sandbox.cast import CREATOR, DAY, EPOCH, MEMBER, Account
from infra.sandbox.draw import base32, from_base32, mix
from infra.sandbox.people import Member
from infra.sandbox.posts import SAME, Post
from infra.sandbox.wire import Answer, Headers, Refusal, Request, Windows, iso, iso_millis, seconds
from infra.sandbox.world import World, suspended_since

PLATFORM = "bluesky"
_PREFIX = "/xrpc/"
_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"
_LIMIT, _WINDOW = 3000, 300
_FILTERS = ("posts_with_replies", "posts_no_replies", "posts_with_media", "posts_and_author_threads", "posts_with_video")
_PIN_AGE = 45 * DAY


def error(name: str, message: str, status: int = 400) -> Answer:
    """The XRPC error envelope."""
    return Answer(status, {"error": name, "message": message})


def record_key(t: float, clock: int) -> str:
    """A TID: 13 sortable letters of microseconds and a clock's number."""
    return base32(round(t * 1000) * 1000 << 10 | clock, 13, _SORTABLE)


def post_uri(post: Post) -> str:
    """The at-URI of a post."""
    return f"at://{post.account.local_id}/app.bsky.feed.post/{record_key(post.published_at, post.account.number & 1023)}"


class Bluesky:
    """The AppView over a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._windows = Windows()
        self._calls: dict[str, Callable[[Request], Answer]] = {
            "com.atproto.identity.resolveHandle": self._resolve_handle,
            "app.bsky.actor.getProfile": self._get_profile,
            "app.bsky.actor.getProfiles": self._get_profiles,
            "app.bsky.feed.getAuthorFeed": self._get_author_feed,
            "app.bsky.feed.getPosts": self._get_posts,
            "app.bsky.graph.getFollowers": self._get_followers,
        }

    def endpoint(self, path: str) -> str | None:
        """The method's short name, or None."""
        name = path.removeprefix(_PREFIX)
        return name.rpartition(".")[2] if path.startswith(_PREFIX) and name in self._calls else None

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call."""
        spent, ends = self._windows.spend(request.now, _WINDOW, request.client)
        if spent > _LIMIT:
            return self._throttled(ends, request.now)
        if endpoint is None:
            answer = error("MethodNotImplemented", "Method Not Implemented", 501)
        else:
            try:
                answer = self._calls[request.path.removeprefix(_PREFIX)](request)
            except Refusal as refusal:
                answer = refusal.answer
        answer.headers = _limits(_LIMIT - spent, ends)
        return answer

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault."""
        if kind in ("throttled", "quota"):
            return self._throttled((request.now // _WINDOW + 1) * _WINDOW, request.now)
        if kind == "bad_key":
            return error("InvalidToken", "Token could not be verified", 401)
        if kind == "unavailable":
            return error("NotEnoughResources", "Not Enough Resources", 503)
        return error("InternalServerError", "Internal Server Error", 500)

    def _throttled(self, ends: float, now: float) -> Answer:
        answer = error("RateLimitExceeded", "Rate Limit Exceeded", 429)
        answer.headers = (*_limits(0, ends), ("retry-after", str(int(ends - now) + 1)))
        return answer

    # Who is meant

    def _creator(self, actor: str) -> Account | None:
        if actor.startswith("did:"):
            found = self.world.find(PLATFORM, actor)
            return found[0] if found and found[1] is None else None
        return self.world.by_handle.get((PLATFORM, "", actor.lower().removeprefix("@")))

    def _known(self, request: Request, not_found: str) -> Account:
        """The creator that the parameter `actor` names and that is there."""
        actor = _required(request, "actor")
        account = self._creator(actor)
        if account is None or "deactivated" in account.flags or suspended_since(account, request.now) is not None:
            raise Refusal(error("InvalidRequest", not_found.format(actor=actor)))
        return account

    # Calls

    def _resolve_handle(self, request: Request) -> Answer:
        account = self._creator(_required(request, "handle"))
        if account is None:
            return error("InvalidRequest", "Unable to resolve handle")
        return Answer(200, {"did": account.local_id})

    def _get_profile(self, request: Request) -> Answer:
        actor = _required(request, "actor")
        account = self._creator(actor)
        if account is None:
            found = self._members([actor], request.now) if actor.startswith("did:") else []
            return Answer(200, found[0]) if found else error("InvalidRequest", "Profile not found")
        if suspended_since(account, request.now) is not None:
            return error("AccountTakedown", "Account has been suspended")
        if "deactivated" in account.flags:
            return error("AccountDeactivated", "Account is deactivated")
        return Answer(200, self._profile(account, request.now))

    def _get_profiles(self, request: Request) -> Answer:
        actors = list(dict.fromkeys(request.many("actors")))
        if not actors or len(actors) > 25:
            return error("InvalidRequest", "Error: actors must not have more than 25 elements" if actors else 'Error: Params must have the property "actors"')
        rows: dict[str, dict[str, object]] = {str(row["did"]): row for row in self._members(actors, request.now)}
        for actor in actors:
            account = self._creator(actor)
            if account and "deactivated" not in account.flags and suspended_since(account, request.now) is None:
                rows[actor] = self._profile(account, request.now)
        return Answer(200, {"profiles": [rows[actor] for actor in actors if actor in rows]})

    def _profile(self, account: Account, t: float) -> dict[str, object]:
        return _basic(account) | {
            "description": f"{account.creator_name}. Notes on {account.topic}.",
            "banner": f"https://cdn.bsky.example/img/banner/{account.number}.jpg",
            "followersCount": self.world.followers(account, t),
            "followsCount": 60 + account.key % 900,
            "postsCount": posts.count(account, t),
            "associated": {"lists": 0, "feedgens": 0, "starterPacks": 0, "labeler": False},
            "indexedAt": iso_millis(account.created_at + DAY),
            "verification": {"verifications": [], "verifiedStatus": "none", "trustedVerifierStatus": "none"},
        }

    def _members(self, actors: list[str], t: float) -> list[dict[str, object]]:
        """Full profiles of the members among the actors; some have closed their account since."""
        wanted: dict[int, list[int]] = {}
        for actor in actors:
            found = self.world.find(PLATFORM, actor) if actor.startswith("did:") else None
            if found and found[1] is not None:
                wanted.setdefault(found[0].number, []).append(found[1])
        rows = []
        for number, indices in wanted.items():
            account = self.world.accounts[number]
            for member in people.members(account, np.array(indices), t, self.world.fakes):
                if member.joined_at <= t and member.draw > 0.008:
                    rows.append(
                        self._member(account, member)
                        | {"followersCount": member.followers, "followsCount": member.following, "postsCount": member.posts}
                    )
        return rows

    def _member(self, account: Account, member: Member) -> dict[str, object]:
        did = self.world.codecs.did(MEMBER, account.number, member.index)
        row: dict[str, object] = {
            "did": did,
            "handle": f"{member.handle}.bsky.example",
            "displayName": member.name,
            "createdAt": iso_millis(member.created_at),
            "indexedAt": iso_millis(member.created_at + 60),
            "labels": [],
        }
        if member.has_picture:
            row["avatar"] = f"https://cdn.bsky.example/img/avatar/plain/{did}@jpeg"
        if member.bio:
            row["description"] = member.bio + (" https://links.example/me" if member.has_link else "")
        return row

    def _get_followers(self, request: Request) -> Answer:
        account = self._known(request, "Actor not found: {actor}")
        size, cursor = _size(request), request.one("cursor")
        present = people.audience(account, request.now, self.world.fakes)
        rank = 0
        if cursor:
            if "::" in cursor:
                return Answer(200, {"subject": _basic(account), "followers": []})
            last = from_base32(cursor, _SORTABLE)
            if last is None:
                return error("InvalidRequest", "Malformed cursor")
            rank = present.rank_below(last >> 20)
        index = present.newest(rank, size)
        # A few are filtered out after the page was fetched, so pages may be shorter than asked for.
        rows = [
            self._member(account, member)
            for member in people.members(account, index, request.now, self.world.fakes)
            if member.draw > 0.004
        ]
        body: dict[str, object] = {"subject": _basic(account), "followers": rows}
        if rank + size < present.count:
            body["cursor"] = base32(int(index[-1]) << 20 | account.number, 13, _SORTABLE)
        return Answer(200, body)

    def _get_author_feed(self, request: Request) -> Answer:
        account = self._known(request, "Profile not found")
        size, chosen = _size(request), request.one("filter") or _FILTERS[0]
        if chosen not in _FILTERS:
            return error("InvalidRequest", f"Error: filter must be one of {', '.join(_FILTERS)}")
        now, cursor = request.now, request.one("cursor")
        before = now + 1
        if cursor:
            try:
                before = seconds(cursor)
            except ValueError:
                return Answer(200, {"feed": []}) if "::" in cursor else error("InvalidRequest", "Malformed cursor")
        feed: list[dict[str, object]] = []
        if request.one("includePins") == "true" and not cursor:
            pinned = next(posts.newest(account, now - _PIN_AGE, now, self.world.fakes), None)
            if pinned:
                feed.append({"post": self._post(pinned, now), "reason": {"$type": "app.bsky.feed.defs#reasonPin"}})
        more = False
        for at, post, is_repost in self._feed(account, before, now, chosen):
            if len(feed) == size:
                more = True
                break
            item: dict[str, object] = {"post": self._post(post, now)}
            if is_repost:
                item["reason"] = {"$type": "app.bsky.feed.defs#reasonRepost", "by": _basic(account), "indexedAt": iso_millis(at)}
            feed.append(item)
            before = at
        return Answer(200, {"feed": feed} | ({"cursor": iso_millis(before)} if more else {}))

    def _feed(self, account: Account, before: float, now: float, chosen: str) -> "list[tuple[float, Post, bool]]":
        """Items of the feed from `before` back, enough for a page: (moment, post, whether it is a repost)."""
        items: list[tuple[float, Post, bool]] = []
        # A repost follows its occasion within the hour, so the items are in order once an hour's older posts are seen.
        for post in posts.newest(account, before, now, self.world.fakes):
            if len(items) > 140:
                break
            if _passes(post, chosen):
                items.append((post.published_at, post, False))
            at = post.published_at + 1800 + post.key % 1200  # the repost that some posts occasion
            if post.key % 9 == 0 and chosen != "posts_with_media" and chosen != "posts_with_video":
                other = self._reposted(account, post, now)
                if other and at < before - SAME and at <= now:
                    items.append((at, other, True))
        items.sort(key=lambda item: -item[0])
        return items

    def _reposted(self, account: Account, post: Post, now: float) -> Post | None:
        """Another's recent post, or one of the account's own."""
        others = self.world.of_platform[PLATFORM]
        other = account if post.key % 5 == 0 else others[mix(post.key) % len(others)]
        return next(posts.newest(other, post.published_at - 60, now, self.world.fakes, post.published_at - 20 * DAY), None)

    def _get_posts(self, request: Request) -> Answer:
        uris = list(dict.fromkeys(request.many("uris")))
        if not uris or len(uris) > 25:
            return error("InvalidRequest", "Error: uris must not have more than 25 elements" if uris else 'Error: Params must have the property "uris"')
        found = (self.find_post(uri, request.now) for uri in uris)
        return Answer(200, {"posts": [self._post(post, request.now) for post in found if post]})

    def find_post(self, uri: str, t: float) -> Post | None:
        """The post of an at-URI, if it and its author are up at t."""
        parts = uri.removeprefix("at://").split("/")
        account = self._creator(parts[0]) if len(parts) == 3 and parts[1] == "app.bsky.feed.post" else None
        if account is None or "deactivated" in account.flags or suspended_since(account, t) is not None:
            return None
        value = from_base32(parts[2], _SORTABLE) if len(parts[2]) == 13 else None
        if value is None or (value >> 10) / 1e6 > t:
            return None
        post = posts.published_at(account, (value >> 10) / 1e6, self.world.fakes)
        return post if post and post.is_up(t) else None

    def _post(self, post: Post, t: float) -> dict[str, object]:
        counters = post.counters(t)
        return _fixed(post) | {
            "bookmarkCount": counters.saves,
            "replyCount": counters.comments,
            "repostCount": counters.shares,
            "likeCount": counters.likes,
            "quoteCount": counters.quotes,
        }


@lru_cache(maxsize=16384)
def _fixed(post: Post) -> dict[str, object]:
    """What of a post never changes."""
    uri = post_uri(post)
    text, tags, link = comments.note(post)
    facets = []
    for tag in tags:
        text += " "
        start = len(text.encode())
        text += f"#{tag}"
        facets.append(_facet(start, text, {"$type": "app.bsky.richtext.facet#tag", "tag": tag}))
    if link:
        text += " "
        start = len(text.encode())
        text += link.removeprefix("https://")
        facets.append(_facet(start, text, {"$type": "app.bsky.richtext.facet#link", "uri": link}))
    # Clients' clocks are off at times: some posts claim a moment later than the one at which they were first seen.
    claimed = post.published_at + (2.5 if post.key % 11 == 0 else 0)
    seen = post.published_at if claimed > post.published_at else post.published_at + 0.7
    record: dict[str, object] = {"$type": "app.bsky.feed.post", "text": text, "createdAt": iso_millis(claimed), "langs": [post.account.language]}
    if facets:
        record["facets"] = facets
    if post.relation == "reply":
        above = {"uri": f"at://did:plc:{'z' * 24}/app.bsky.feed.post/{record_key(post.published_at - 900, 1)}", "cid": _cid(post.key ^ 1)}
        record["reply"] = {"root": above, "parent": above}
    view: dict[str, object] = {
        "uri": uri,
        "cid": _cid(post.key),
        "author": _basic(post.account),
        "record": record,
        "indexedAt": iso_millis(seen),
        "labels": [],
    }
    record_embed, view_embed = _embeds(post, link)
    if record_embed:
        record["embed"], view["embed"] = record_embed, view_embed
    return view


def _facet(start: int, text: str, feature: dict[str, object]) -> dict[str, object]:
    return {"index": {"byteStart": start, "byteEnd": len(text.encode())}, "features": [feature]}


def _embeds(post: Post, link: str | None) -> tuple[dict[str, object] | None, dict[str, object] | None]:
    """A post's embed, as recorded and as shown."""
    blob = {"$type": "blob", "ref": {"$link": _cid(post.key ^ 2)}, "mimeType": "image/jpeg", "size": 90_000}
    if post.relation == "quote":
        quoted = {"uri": f"at://did:plc:{'z' * 24}/app.bsky.feed.post/{record_key(post.published_at - 3600, 2)}", "cid": _cid(post.key ^ 3)}
        gone = {"$type": "app.bsky.embed.record#viewNotFound", "uri": quoted["uri"], "notFound": True}
        return {"$type": "app.bsky.embed.record", "record": quoted}, {"$type": "app.bsky.embed.record#view", "record": gone}
    if post.format == "image":
        picture = f"https://cdn.bsky.example/img/{post.key:x}@jpeg"
        shown = {"thumb": picture, "fullsize": picture, "alt": ""}
        return (
            {"$type": "app.bsky.embed.images", "images": [{"alt": "", "image": blob}]},
            {"$type": "app.bsky.embed.images#view", "images": [shown] * (1 + post.key % 3)},
        )
    if post.format == "video":
        return (
            {"$type": "app.bsky.embed.video", "video": blob | {"mimeType": "video/mp4"}},
            {"$type": "app.bsky.embed.video#view", "cid": _cid(post.key ^ 4), "playlist": f"https://video.bsky.example/{post.key:x}/playlist.m3u8"},
        )
    if post.format == "link":
        card = {"uri": link, "title": comments.title(post), "description": ""}
        return {"$type": "app.bsky.embed.external", "external": card}, {"$type": "app.bsky.embed.external#view", "external": card}
    return None, None


def _cid(value: int) -> str:
    return "bafyrei" + base32(mix(value) << 196 | mix(value ^ 9) << 128 | mix(value ^ 8) << 64 | value, 52, "abcdefghijklmnopqrstuvwxyz234567")


def _basic(account: Account) -> dict[str, object]:
    return {
        "did": account.local_id,
        "handle": account.handle,
        "displayName": account.creator_name,
        "avatar": f"https://cdn.bsky.example/img/avatar/{account.number}.jpg",
        "createdAt": iso_millis(account.created_at),
        "labels": [],
    }


def _passes(post: Post, chosen: str) -> bool:
    if chosen == "posts_with_media":
        return post.format in ("image", "video")
    if chosen == "posts_with_video":
        return post.format == "video"
    return chosen == "posts_with_replies" or post.relation != "reply"


def _required(request: Request, name: str) -> str:
    value = request.one(name)
    if not value:
        raise Refusal(error("InvalidRequest", f'Error: Params must have the property "{name}"'))
    return value


def _size(request: Request) -> int:
    text = request.one("limit") or "50"
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise Refusal(error("InvalidRequest", "Error: limit can not be greater than 100" if text.isdigit() else "Error: limit must be an integer"))
    return int(text)


def _limits(left: int, ends: float) -> Headers:
    return (
        ("ratelimit-limit", str(_LIMIT)),
        ("ratelimit-remaining", str(max(0, left))),
        ("ratelimit-reset", str(int(ends))),
        ("ratelimit-policy", f"{_LIMIT};w={_WINDOW}"),
    )
