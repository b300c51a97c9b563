"""YouTube Data API v3, as far as public data goes: channels, playlists, videos, their statistics and comments.

What owners are told is in `youtube_owner.py`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from infra.sandbox import comments, people, posts
from infra.sandbox import youtube_errors as errors
from infra.sandbox import youtube_shapes as shapes
from infra.sandbox.cast import Account
from infra.sandbox.ids import MEMBER
from infra.sandbox.posts import Post
from infra.sandbox.surface import Surface
from infra.sandbox.wire import HTML, Answer, Limits, Refusal, Request, seal, unseal
from infra.sandbox.world import World
from infra.sandbox.youtube_owner import PATHS, READ, Owner

PLATFORM = "youtube"
KEY = "sandbox"
_PREFIX = "/youtube/v3/"
_PACIFIC = ZoneInfo("America/Los_Angeles")
_CHANNEL_PARTS = {
    "id",
    "snippet",
    "statistics",
    "contentDetails",
    "status",
    "brandingSettings",
    "topicDetails",
    "localizations",
}
_VIDEO_PARTS = {
    "id",
    "snippet",
    "statistics",
    "contentDetails",
    "status",
    "liveStreamingDetails",
    "paidProductPlacementDetails",
    "topicDetails",
}


def pacific_day(now: float) -> str:
    """The day of the quota: it begins at midnight Pacific time."""
    return datetime.fromtimestamp(now, UTC).astimezone(_PACIFIC).date().isoformat()


class YouTube(Surface):
    """The API over a world, with the ledger of units spent by key, bucket and Pacific day."""

    POSTS = frozenset({"token", "revoke"})

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)
        self.owner = Owner(world, self._video, self._channel, self._first)
        self._calls: dict[str, Callable[[Request], Answer]] = {
            "channels": self._channels,
            "playlistItems": self._playlist_items,
            "videos": self._videos,
            "videos:batchGetStats": self._batch_get_stats,
            "commentThreads": self._comment_threads,
            "subscriptions": self._subscriptions,
        }

    def endpoint(self, path: str) -> str | None:
        """The resource that a path names, or None."""
        if path in PATHS:
            return PATHS[path]
        name = path.removeprefix(_PREFIX)
        return name if path.startswith(_PREFIX) and name in self._calls else None

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call; it costs a unit, whatever comes of it."""
        if endpoint is None:
            return Answer(404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", content_type=HTML)
        if endpoint in PATHS.values():
            return self.owner.answer(endpoint, request)
        credential = request.one("key") or request.headers.get("x-goog-api-key")
        if request.headers.get("authorization"):
            self.owner.holder(request, READ)
            credential = KEY  # units are the project's, whoever asks
        if credential is None:
            return errors.no_key()
        if credential != KEY:
            return errors.bad_key()
        bucket = "batchGetStats" if endpoint == "videos:batchGetStats" else "units"
        ledger = (credential, bucket, pacific_day(request.now))
        if self.spent.units(*ledger) >= self.limits.youtube_units:
            return errors.over_quota()
        self.spent.add(*ledger)
        return self._calls[endpoint](request)

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault."""
        if kind == "quota":
            return errors.over_quota()
        if kind == "bad_key":
            return errors.bad_key()
        if kind == "throttled":
            message = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'."
            return errors.error(429, "rateLimitExceeded", message, "global", status="RESOURCE_EXHAUSTED")
        if kind == "unavailable":
            return errors.error(
                503, "backendError", "The service is currently unavailable.", "global", status="UNAVAILABLE"
            )
        return errors.error(500, "internalError", "Internal error encountered.", "global", status="INTERNAL")

    def _first(self) -> str:
        """The channel that consents when nobody says which."""
        return next(one.local_id for one in self.world.accounts if one.platform == PLATFORM)

    def _channel(self, text: str) -> Account | None:
        """The creator's account of a channel id."""
        found = self.world.find(PLATFORM, text)
        return found[0] if found and found[1] is None and "terminated" not in found[0].flags else None

    def _video(self, text: str, t: float) -> Post | None:
        """The video of an id, if it is up at t."""
        post = self.world.post(PLATFORM, text, t)
        return post if post and "terminated" not in post.account.flags else None

    def _channels(self, request: Request) -> Answer:
        parts = _parts(request, _CHANNEL_PARTS)
        ids, handle = _ids(request), request.one("forHandle")
        if request.one("mine") == "true":
            ids = [self.owner.holder(request, READ).local_id]
        if bool(ids) + bool(handle) + bool(request.one("forUsername")) != 1:
            message = "No filter selected. Expected one of: forHandle, forUsername, id, mine"
            return errors.invalid("missingRequiredParameter", message)
        size = _size(request, 5, 50)
        if len(ids) > 50:
            return errors.invalid("invalidFilters", "The request specifies an invalid filter parameter.", "id")
        items: list[shapes.Resource] = []
        if handle:
            account = self.world.by_handle.get((PLATFORM, "", handle.removeprefix("@").lower()))
            ids = [account.local_id] if account else []
        members: dict[int, list[int]] = {}
        for text in dict.fromkeys(ids):
            found = self.world.find(PLATFORM, text)
            if found and found[1] is not None:
                members.setdefault(found[0].number, []).append(found[1])
            elif found and "terminated" not in found[0].flags:
                account, now = found[0], request.now
                followers = self.world.followers(account, now)
                items.append(shapes.creator_channel(account, parts, followers, posts.count(account, now)))
        for number, indices in members.items():
            items += self._member_channels(self.world.accounts[number], indices, parts, request.now)
        items.sort(key=lambda item: str(item["etag"]))  # not in the order asked for
        page = {"totalResults": len(items), "resultsPerPage": size}
        body = {"kind": "youtube#channelListResponse", "etag": shapes.etag(request.query), "pageInfo": page}
        # Nothing found: no `items` at all.
        return Answer(200, body | {"items": items[:size]} if items else body)

    def _member_channels(
        self, account: Account, indices: list[int], parts: set[str], t: float
    ) -> list[shapes.Resource]:
        """Channels of members of audiences; one in a hundred has been closed since."""
        ids = self.world.ids[PLATFORM]
        return [
            shapes.member_channel(ids.account(MEMBER, account.number, member.number), member, account.market, parts)
            for member in people.members(account, np.array(indices), t, self.world.fakes)
            if member.draw >= 0.01
        ]

    def _playlist_items(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "contentDetails", "status"})
        playlist, size = request.one("playlistId") or "", _size(request, 5, 50)
        if not playlist:
            return errors.invalid("missingRequiredParameter", "No filter selected. Expected one of: playlistId, id")
        account = self._channel("UC" + playlist[2:]) if playlist.startswith("UU") else None
        total = posts.count(account, request.now) if account else 0
        if account is None or not total:
            return errors.not_found("playlistNotFound", "playlistItem", "playlistId")
        before = request.now + 1
        if token := request.one("pageToken"):
            before = _position(token, str(account.number)) / 1000
        items: list[shapes.Resource] = []
        more = False
        for post in posts.newest(account, before, request.now, self.world.fakes):
            if len(items) == size:
                more = True
                break
            items.append(shapes.playlist_item(post, self.post_id(post), playlist, parts))
            last = post.published_at
        body: shapes.Resource = {"kind": "youtube#playlistItemListResponse", "etag": shapes.etag(request.query)}
        if more:
            body["nextPageToken"] = seal(account.number, round(last * 1000))
        return Answer(200, body | {"items": items, "pageInfo": {"totalResults": total, "resultsPerPage": size}})

    def _found(self, request: Request) -> list[Post]:
        """The videos among the ids asked for that are there, bar those that the platform leaves out by accident."""
        ids = list(dict.fromkeys(_ids(request)))
        if not ids:
            message = "No filter selected. Expected one of: id, chart, myRating"
            raise Refusal(errors.invalid("missingRequiredParameter", message))
        if len(ids) > 50:
            message = "The request specifies an invalid filter parameter."
            raise Refusal(errors.invalid("invalidFilters", message, "id"))
        found = (self._video(text, request.now) for text in ids)
        return [post for post in found if post and not post.is_missed(request.now)]

    def _videos(self, request: Request) -> Answer:
        parts = _parts(request, _VIDEO_PARTS)
        items = [shapes.video(post, self.post_id(post), parts, request.now) for post in self._found(request)]
        page = {"totalResults": len(items), "resultsPerPage": len(items)}
        body = {"kind": "youtube#videoListResponse", "etag": shapes.etag(request.query)}
        return Answer(200, body | {"items": items, "pageInfo": page})

    def _batch_get_stats(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "statistics", "contentDetails"})
        items = [shapes.video_stats(post, self.post_id(post), parts, request.now) for post in self._found(request)]
        body = {"kind": "youtube#batchGetStatsResponse", "etag": shapes.etag(request.query)}
        return Answer(200, body | {"items": items})

    def _comment_threads(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "replies"})
        size, order = _size(request, 20, 100, lowest=1), request.one("order") or "time"
        if order not in ("time", "relevance"):
            return errors.invalid("invalidParameter", f"Invalid value for order: {order}", "order")
        channel, video = request.one("allThreadsRelatedToChannelId"), request.one("videoId")
        if bool(channel) == bool(video):
            message = "No filter selected. Expected one of: allThreadsRelatedToChannelId, channelId, id, videoId"
            return errors.invalid("missingRequiredParameter", message)
        rows = self._threads(channel, video, order, request.now)
        subject = channel or video or ""
        start = _position(token, subject) if (token := request.one("pageToken")) else 0
        page = rows.page(start, size)
        authors: list[people.Member] = []
        if page:
            index = np.array([row.member for row in page])
            authors = people.members(page[0].post.account, index, request.now, self.world.fakes)
        body: shapes.Resource = {"kind": "youtube#commentThreadListResponse", "etag": shapes.etag(request.query)}
        if start + size < len(rows.number):
            body["nextPageToken"] = seal(subject, start + size)
        body["pageInfo"] = {"totalResults": len(page), "resultsPerPage": size}
        body["items"] = shapes.threads(self.world.ids[PLATFORM], zip(page, authors, strict=True), parts)
        return Answer(200, body)

    def _subscriptions(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "subscriberSnippet", "contentDetails"})
        chosen = [name for name in ("myRecentSubscribers", "mySubscribers") if request.one(name) == "true"]
        if request.one("channelId"):
            return errors.subscriptions_hidden()
        if len(chosen) != 1:
            message = "No filter selected. Expected one of: channelId, id, mine, myRecentSubscribers, mySubscribers"
            return errors.invalid("missingRequiredParameter", message)
        size = _size(request, 5, 50)
        start = _position(token, chosen[0]) if (token := request.one("pageToken")) else 0
        rows, more = self.owner.subscribers(request, parts, start, size)
        body: shapes.Resource = {"kind": "youtube#subscriptionListResponse", "etag": shapes.etag(request.query)}
        if more:
            body["nextPageToken"] = seal(chosen[0], start + size)
        return Answer(200, body | {"pageInfo": {"totalResults": 1000, "resultsPerPage": size}, "items": rows})

    def _threads(self, channel: str | None, video: str | None, order: str, now: float) -> comments.Threads:
        """The threads below a channel's videos, or below one video."""
        if channel:
            account = self._channel(channel)
            if account is None:
                raise Refusal(errors.not_found("channelNotFound", "commentThread", "allThreadsRelatedToChannelId"))
            if "no_comments" in account.flags:
                raise Refusal(errors.comments_off())
            return comments.of_channel(account, int(now), self.world.fakes)
        post = self._video(video or "", now)
        if post is None:
            raise Refusal(errors.not_found("videoNotFound", "commentThread", "videoId"))
        if post.comments_off:
            raise Refusal(errors.comments_off())
        return comments.of_post(post, int(now), order)


def _position(token: str, subject: str) -> int:
    """Where a page begins; tokens are tied to what was asked for."""
    parts = unseal(token, 2)
    if parts is None or parts[0] != subject or not parts[1].isdigit():
        raise Refusal(errors.invalid("invalidPageToken", "The request specifies an invalid page token.", "pageToken"))
    return int(parts[1])


def _parts(request: Request, known: set[str]) -> set[str]:
    parts = {part for value in request.many("part") for part in value.split(",") if part}
    if not parts:
        raise Refusal(errors.invalid("missingRequiredParameter", "No part specified.", "part"))
    if unknown := sorted(parts - known):
        raise Refusal(errors.invalid("unknownPart", unknown[0], "part"))
    return parts


def _ids(request: Request) -> list[str]:
    return [text for value in request.many("id") for text in value.split(",") if text]


def _size(request: Request, usual: int, most: int, lowest: int = 0) -> int:
    text = request.one("maxResults")
    if text is None:
        return usual
    if not text.isdigit() or not lowest <= int(text) <= most:
        message = f"Invalid value '{text}'. Values must be within the range: [{lowest}, {most}]"
        raise Refusal(errors.invalid("invalidParameter", message, "maxResults"))
    return int(text)
