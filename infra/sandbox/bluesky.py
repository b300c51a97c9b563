"""Bluesky's AppView as far as public reads go: handles, profiles, author feeds, posts and followers over XRPC."""

from collections.abc import Callable

import numpy as np

from infra.sandbox import bluesky_shapes as shapes
from infra.sandbox import growth, people, posts
from infra.sandbox.bluesky_shapes import SORTABLE, error
from infra.sandbox.cast import DAY, Account
from infra.sandbox.draw import base32, from_base32, mix
from infra.sandbox.ids import MEMBER
from infra.sandbox.posts import SAME, Post
from infra.sandbox.surface import Surface
from infra.sandbox.wire import Answer, Headers, Limits, Refusal, Request, iso_millis, seconds
from infra.sandbox.world import World, suspended_since

PLATFORM = "bluesky"
_PREFIX = "/xrpc/"
_LIMIT, _WINDOW = 3000, 300
_FILTERS = (
    "posts_with_replies",
    "posts_no_replies",
    "posts_with_media",
    "posts_and_author_threads",
    "posts_with_video",
)
_MEDIA = ("posts_with_media", "posts_with_video")
_PIN_AGE = 45 * DAY
_FEED_ROOM = 140
"""Items drawn for a page of at most 100: a repost can stand before posts that are drawn earlier."""


class Bluesky(Surface):
    """The AppView over a world."""

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)
        self._calls: dict[str, Callable[[Request], Answer]] = {
            "com.atproto.identity.resolveHandle": self._resolve_handle,
            "app.bsky.actor.getProfile": self._get_profile,
            "app.bsky.actor.getProfiles": self._get_profiles,
            "app.bsky.feed.getAuthorFeed": self._get_author_feed,
            "app.bsky.feed.getPosts": self._get_posts,
            "app.bsky.graph.getFollowers": self._get_followers,
        }

    def endpoint(self, path: str) -> str | None:
        """The method's NSID, or None."""
        name = path.removeprefix(_PREFIX)
        return name if path.startswith(_PREFIX) and name in self._calls else None

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call."""
        spent, ends = self.windows.spend(request.now, _WINDOW, request.client)
        if spent > _LIMIT:
            return _throttled(ends, request.now)
        try:
            if endpoint is None:
                answer = error("MethodNotImplemented", "Method Not Implemented", 501)
            else:
                answer = self._calls[endpoint](request)
        except Refusal as refusal:
            answer = refusal.answer
        answer.headers = _limits(_LIMIT - spent, ends)
        return answer

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault."""
        if kind in ("throttled", "quota"):
            return _throttled((request.now // _WINDOW + 1) * _WINDOW, request.now)
        if kind == "bad_key":
            return error("InvalidToken", "Token could not be verified", 401)
        if kind == "unavailable":
            return error("NotEnoughResources", "Not Enough Resources", 503)
        return error("InternalServerError", "Internal Server Error", 500)

    def post_id(self, post: Post) -> str:
        """A post's at-URI."""
        return shapes.post_uri(post)

    # Who is meant

    def _creator(self, actor: str) -> Account | None:
        if actor.startswith("did:"):
            found = self.world.find(PLATFORM, actor)
            return found[0] if found and found[1] is None else None
        return self.world.by_handle.get((PLATFORM, "", actor.lower()))

    def _present(self, actor: str, t: float) -> Account | None:
        """The creator, if the account is neither suspended nor deactivated at t."""
        account = self._creator(actor)
        if account is None or "deactivated" in account.flags or suspended_since(account, t) is not None:
            return None
        return account

    def _members(self, actors: list[str], t: float) -> dict[str, shapes.View]:
        """Full profiles of the members among the actors; some have closed their account since."""
        wanted: dict[int, dict[int, str]] = {}
        for actor in actors:
            found = self.world.find(PLATFORM, actor) if actor.startswith("did:") else None
            if found and found[1] is not None:
                wanted.setdefault(found[0].number, {})[found[1]] = actor
        views = {}
        for number, dids in wanted.items():
            index = np.array(list(dids))
            for member in people.members(self.world.accounts[number], index, t, self.world.fakes):
                if member.joined_at <= t and member.draw > 0.008:
                    views[dids[member.number]] = shapes.member_profile(dids[member.number], member)
        return views

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
            found = self._members([actor], request.now)
            return Answer(200, found[actor]) if found else error("InvalidRequest", "Profile not found")
        if suspended_since(account, request.now) is not None:
            return error("AccountTakedown", "Account has been suspended")
        if "deactivated" in account.flags:
            return error("AccountDeactivated", "Account is deactivated")
        return Answer(200, self._profile(account, request.now))

    def _profile(self, account: Account, t: float) -> shapes.View:
        return shapes.profile(account, self.world.followers(account, t), posts.count(account, t))

    def _get_profiles(self, request: Request) -> Answer:
        actors = _batch(request, "actors")
        views = self._members(actors, request.now)
        for actor in actors:
            if account := self._present(actor, request.now):
                views[actor] = self._profile(account, request.now)
        return Answer(200, {"profiles": [views[actor] for actor in actors if actor in views]})

    def _get_followers(self, request: Request) -> Answer:
        actor = _required(request, "actor")
        account = self._present(actor, request.now)
        if account is None:
            return error("InvalidRequest", f"Actor not found: {actor}")
        size, cursor = _size(request), request.one("cursor")
        listed = growth.audience(account, request.now, self.world.fakes)
        rank = 0
        if cursor:
            if "::" in cursor:  # a stale form: an empty page, no error
                return Answer(200, {"subject": shapes.basic(account), "followers": []})
            last = from_base32(cursor, SORTABLE)
            if last is None:
                return error("InvalidRequest", "Malformed cursor")
            rank = listed.rank_below(last >> 20)
        index = listed.newest(rank, size)
        # A few are filtered out after the page was fetched, so pages may be shorter than asked for.
        views = [
            shapes.follower(self.world.ids[PLATFORM].account(MEMBER, account.number, member.number), member)
            for member in people.members(account, index, request.now, self.world.fakes)
            if member.draw > 0.004
        ]
        body: shapes.View = {"subject": shapes.basic(account), "followers": views}
        if rank + size < listed.count:
            body["cursor"] = base32(int(index[-1]) << 20 | account.number, 13, SORTABLE)
        return Answer(200, body)

    def _get_author_feed(self, request: Request) -> Answer:
        account = self._present(_required(request, "actor"), request.now)
        if account is None:
            return error("InvalidRequest", "Profile not found")
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
        feed: list[shapes.View] = []
        if request.one("includePins") == "true" and not cursor:
            pinned = next(posts.newest(account, now - _PIN_AGE, now, self.world.fakes), None)
            if pinned:
                reason = {"$type": "app.bsky.feed.defs#reasonPin"}
                feed.append({"post": shapes.post_view(pinned, now), "reason": reason})
        items = self._items(account, before, now, chosen)
        page = items[: size - len(feed)]
        for at, post, is_repost in page:
            item: shapes.View = {"post": shapes.post_view(post, now)}
            if is_repost:
                by = {"by": shapes.basic(account), "indexedAt": iso_millis(at)}
                item["reason"] = {"$type": "app.bsky.feed.defs#reasonRepost"} | by
            feed.append(item)
        body: shapes.View = {"feed": feed}
        if len(items) > len(page):
            body["cursor"] = iso_millis(page[-1][0] if page else before)
        return Answer(200, body)

    def _items(self, account: Account, before: float, now: float, chosen: str) -> list[tuple[float, Post, bool]]:
        """More than a page of the feed from `before` back: (moment, post, whether it is a repost), newest first."""
        items: list[tuple[float, Post, bool]] = []
        for post in posts.newest(account, before, now, self.world.fakes):
            if len(items) > _FEED_ROOM:
                break
            if _passes(post, chosen):
                items.append((post.published_at, post, False))
            at = post.published_at + 1800 + post.key % 1200  # of the repost that some posts occasion
            if post.key % 9 == 0 and at < before - SAME and at <= now and chosen not in _MEDIA:
                other = self._reposted(account, post, now)
                if other:
                    items.append((at, other, True))
        return sorted(items, key=lambda item: -item[0])

    def _reposted(self, account: Account, post: Post, now: float) -> Post | None:
        """Another's recent post, or one of the account's own."""
        others = self.world.of_platform[PLATFORM]
        other = account if post.key % 5 == 0 else others[mix(post.key) % len(others)]
        until = post.published_at - 60
        return next(posts.newest(other, until, now, self.world.fakes, until - 20 * DAY), None)

    def _get_posts(self, request: Request) -> Answer:
        found = (self._post(uri, request.now) for uri in _batch(request, "uris"))
        views = [shapes.post_view(post, request.now) for post in found if post and not post.is_missed(request.now)]
        return Answer(200, {"posts": views})

    def _post(self, uri: str, t: float) -> Post | None:
        """The post of an at-URI, if it and its author are up at t."""
        parts = uri.removeprefix("at://").split("/")
        if len(parts) != 3 or parts[1] != "app.bsky.feed.post" or len(parts[2]) != 13:
            return None
        account, value = self._present(parts[0], t), from_base32(parts[2], SORTABLE)
        if account is None or value is None or (value >> 10) / 1e6 > t:
            return None
        post = posts.published_at(account, (value >> 10) / 1e6, self.world.fakes)
        return post if post and post.is_up(t) else None


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


def _batch(request: Request, name: str) -> list[str]:
    """The values of an array parameter: its key repeated, at most 25 times."""
    values = list(dict.fromkeys(request.many(name)))
    if not values:
        raise Refusal(error("InvalidRequest", f'Error: Params must have the property "{name}"'))
    if len(values) > 25:
        raise Refusal(error("InvalidRequest", f"Error: {name} must not have more than 25 elements"))
    return values


def _size(request: Request) -> int:
    text = request.one("limit") or "50"
    if not text.isdigit():
        raise Refusal(error("InvalidRequest", "Error: limit must be an integer"))
    if not 1 <= int(text) <= 100:
        bound = "greater than 100" if int(text) else "less than 1"
        raise Refusal(error("InvalidRequest", f"Error: limit can not be {bound}"))
    return int(text)


def _throttled(ends: float, now: float) -> Answer:
    answer = error("RateLimitExceeded", "Rate Limit Exceeded", 429)
    answer.headers = (*_limits(0, ends), ("retry-after", str(int(ends - now) + 1)))
    return answer


def _limits(left: int, ends: float) -> Headers:
    return (
        ("ratelimit-limit", str(_LIMIT)),
        ("ratelimit-remaining", str(max(0, left))),
        ("ratelimit-reset", str(int(ends))),
        ("ratelimit-policy", f"{_LIMIT};w={_WINDOW}"),
    )
