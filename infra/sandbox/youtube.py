"""YouTube Data API v3, as far as public data goes: channels, playlistItems, videos, videos:batchGetStats, commentThreads."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from infra.sandbox import comments, people, posts
from infra.sandbox.cast import CREATOR, MEMBER, Account
from infra.sandbox.draw import Codec, base64url, from_base64url, key
from infra.sandbox.posts import Post
from infra.sandbox.wire import HTML, Answer, Refusal, Request, iso, seal, unseal
from infra.sandbox.world import World

PLATFORM = "youtube"
KEY = "sandbox"
_PREFIX = "/youtube/v3/"
_PACIFIC = ZoneInfo("America/Los_Angeles")
_OVER_QUOTA = 'The request cannot be completed because you have exceeded your <a href="/youtube/v3/getting-started#quota">quota</a>.'


def pacific_day(now: float) -> str:
    """The day of the quota: it begins at midnight Pacific time."""
    return datetime.fromtimestamp(now, UTC).astimezone(_PACIFIC).date().isoformat()


def error(code: int, reason: str, message: str, domain: str = "youtube.parameter", *, status: str | None = None, **where: str) -> Answer:
    """Google's error envelope."""
    body: dict[str, object] = {
        "code": code,
        "message": message,
        "errors": [{"message": message, "domain": domain, "reason": reason, **where}],
    }
    if status:
        body["status"] = status
    return Answer(code, {"error": body})


def _bad_key() -> Answer:
    message = "API key not valid. Please pass a valid API key."
    answer = error(400, "badRequest", message, "global", status="INVALID_ARGUMENT")
    answer.body["error"]["details"] = [  # type: ignore[index]
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "youtube.googleapis.com"},
        }
    ]
    return answer


def three_figures(count: int) -> int:
    """A count rounded down to three significant figures, as subscribers are shown."""
    step = 10 ** max(0, len(str(count)) - 3)
    return count // step * step


class YouTube:
    """The API over a world, with the ledger of units spent by key and Pacific day."""

    def __init__(self, world: World, units: int) -> None:
        self.world, self.units = world, units
        self.spent: Counter[tuple[str, str, str]] = Counter()  # (key, Pacific day, bucket)
        self._videos = Codec(world.seed, 64, "videos")
        self._calls: dict[str, Callable[[Request], Answer]] = {
            "channels": self._channels,
            "playlistItems": self._playlist_items,
            "videos": self._video_list,
            "videos:batchGetStats": self._batch_get_stats,
            "commentThreads": self._comment_threads,
        }

    def endpoint(self, path: str) -> str | None:
        """The resource that a path names, or None."""
        name = path.removeprefix(_PREFIX)
        return name if path.startswith(_PREFIX) and name in self._calls else None

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call; costs a unit, whatever comes of it."""
        if endpoint is None:
            return Answer(404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", content_type=HTML)
        credential = request.one("key") or request.headers.get("x-goog-api-key")
        if credential is None:
            message = "Method doesn't allow unregistered callers (callers without established identity)."
            return error(403, "forbidden", message, "global", status="PERMISSION_DENIED")
        if credential != KEY:
            return _bad_key()
        ledger = (credential, pacific_day(request.now), "batchGetStats" if endpoint == "videos:batchGetStats" else "units")
        if self.spent[ledger] >= self.units:
            return error(403, "quotaExceeded", _OVER_QUOTA, "youtube.quota")
        self.spent[ledger] += 1
        return self._calls[endpoint](request)

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault."""
        if kind == "quota":
            return error(403, "quotaExceeded", _OVER_QUOTA, "youtube.quota")
        if kind == "bad_key":
            return _bad_key()
        if kind == "throttled":
            return error(429, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries' per minute.", "global", status="RESOURCE_EXHAUSTED")
        if kind == "unavailable":
            return error(503, "backendError", "The service is currently unavailable.", "global", status="UNAVAILABLE")
        return error(500, "internalError", "Internal error encountered.", "global", status="INTERNAL")

    # Ids

    def video_id(self, post: Post) -> str:
        """The 11 letters of a video."""
        return base64url(self._videos.encode(CREATOR, post.account.number, post.index), 8)

    def find_video(self, text: str, t: float) -> Post | None:
        """The video of an id, if it is up at t."""
        value = from_base64url(text, 8) if len(text) == 11 else None
        found = None if value is None else self._videos.decode(value)
        if found is None or found[1] >= len(self.world.accounts):
            return None
        account = self.world.accounts[found[1]]
        if account.platform != PLATFORM or "terminated" in account.flags:
            return None
        post = posts.find(account, found[2], self.world.fakes)
        return post if post and post.is_up(t) else None

    # Calls

    def _channels(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "statistics", "contentDetails", "status", "brandingSettings", "topicDetails", "localizations"})
        ids, handle = _ids(request), request.one("forHandle")
        if bool(ids) + bool(handle) + bool(request.one("forUsername")) != 1:
            return error(400, "missingRequiredParameter", "No filter selected. Expected one of: forHandle, id, forUsername, mine", "youtube.parameter")
        size = _size(request, 5, 50)
        items: list[dict[str, object]] = []
        if handle:
            account = self.world.by_handle.get((PLATFORM, "", handle.lstrip("@").lower()))
            if account and "terminated" not in account.flags:
                items.append(self._channel(account, parts, request.now))
        else:
            members: dict[int, list[int]] = {}
            for found in filter(None, (self.world.find(PLATFORM, text) for text in dict.fromkeys(ids))):
                account, member = found
                if member is not None:
                    members.setdefault(account.number, []).append(member)
                elif "terminated" not in account.flags:
                    items.append(self._channel(account, parts, request.now))
            for number, indices in members.items():
                items += self._member_channels(self.world.accounts[number], indices, parts, request.now)
        # Not in the order asked for.
        items.sort(key=lambda item: str(item["etag"]))
        body: dict[str, object] = {
            "kind": "youtube#channelListResponse",
            "etag": _etag(request.query),
            "pageInfo": {"totalResults": len(items), "resultsPerPage": size},
        }
        if items:
            body["items"] = items
        return Answer(200, body)

    def _channel(self, account: Account, parts: set[str], t: float) -> dict[str, object]:
        exact = self.world.followers(account, t)
        hidden = "hidden_subscribers" in account.flags
        statistics: dict[str, object] = {
            "viewCount": str(exact * 160 + account.older_posts * 1000),
            "hiddenSubscriberCount": hidden,
            "videoCount": str(posts.count(account, t)),
        }
        if not hidden:
            statistics["subscriberCount"] = str(three_figures(exact))
        return _channel_resource(
            parts,
            account.local_id,
            account.creator_name,
            f"Videos about {account.topic}, every week. Business: hello@{account.handle}",
            f"@{account.handle}",
            account.created_at,
            statistics,
            country=account.market,
            has_picture=True,
        )

    def _member_channels(self, account: Account, indices: list[int], parts: set[str], t: float) -> list[dict[str, object]]:
        rows = []
        for member in people.members(account, np.array(indices), t, self.world.fakes):
            if member.index >= people.commenters(account) or member.draw < 0.01:  # closed since
                continue
            statistics: dict[str, object] = {"viewCount": str(member.posts * 90), "hiddenSubscriberCount": False, "videoCount": str(member.posts)}
            if member.is_private and member.draw < 0.1:
                statistics |= {"hiddenSubscriberCount": True, "subscriberCount": "0"}
            else:
                statistics["subscriberCount"] = str(three_figures(member.followers))
            rows.append(
                _channel_resource(
                    parts,
                    self.world.codecs.channel_id(MEMBER, account.number, member.index),
                    member.name,
                    member.bio,
                    f"@{member.handle}",
                    member.created_at,
                    statistics,
                    country=account.market if member.draw > 0.7 else None,
                    has_picture=member.has_picture,
                )
            )
        return rows

    def _playlist_items(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "contentDetails", "status"})
        playlist = request.one("playlistId")
        if not playlist:
            return error(400, "playlistOperationUnsupported", "Required parameter missing: playlistId", location="playlistId", locationType="parameter")
        size = _size(request, 5, 50)
        found = self.world.find(PLATFORM, "UC" + playlist[2:]) if playlist.startswith("UU") else None
        account = found[0] if found and found[1] is None else None
        total = posts.count(account, request.now) if account else 0
        if account is None or not total or "terminated" in account.flags:
            message = "The playlist identified with the request's <code>playlistId</code> parameter cannot be found."
            return error(404, "playlistNotFound", message, "youtube.playlistItem", location="playlistId", locationType="parameter")
        before = request.now + 1
        if token := request.one("pageToken"):
            sealed = unseal(token, 2)
            if sealed is None or sealed[0] != str(account.number) or not sealed[1].isdigit():
                return _bad_token()
            before = int(sealed[1]) / 1000
        items, more = [], False
        for post in posts.newest(account, before, request.now, self.world.fakes):
            if len(items) == size:
                more = True
                break
            items.append(self._playlist_item(post, playlist, parts))
            before = post.published_at
        body: dict[str, object] = {"kind": "youtube#playlistItemListResponse", "etag": _etag(request.query)}
        if more:
            body["nextPageToken"] = seal(account.number, round(before * 1000))
        body["items"] = items
        body["pageInfo"] = {"totalResults": total, "resultsPerPage": size}
        return Answer(200, body)

    def _playlist_item(self, post: Post, playlist: str, parts: set[str]) -> dict[str, object]:
        video_id = self.video_id(post)
        item: dict[str, object] = {"kind": "youtube#playlistItem", "etag": _etag(video_id), "id": seal(playlist, video_id)}
        if "snippet" in parts:
            item["snippet"] = {
                "publishedAt": iso(post.published_at + 5),
                "channelId": post.account.local_id,
                "title": comments.title(post),
                "description": comments.description(post),
                "thumbnails": _thumbnails(f"https://i.ytimg.example/vi/{video_id}/default.jpg", 120, 90),
                "channelTitle": post.account.creator_name,
                "playlistId": playlist,
                "position": 0,
                "resourceId": {"kind": "youtube#video", "videoId": video_id},
            }
        if "contentDetails" in parts:
            item["contentDetails"] = {"videoId": video_id, "videoPublishedAt": iso(post.published_at)}
        if "status" in parts:
            item["status"] = {"privacyStatus": "public"}
        return item

    def _found(self, request: Request) -> list[Post]:
        ids = list(dict.fromkeys(_ids(request)))
        if not ids:
            raise Refusal(error(400, "missingRequiredParameter", "No filter selected. Expected one of: id, chart, myRating"))
        if len(ids) > 50:
            raise Refusal(error(400, "invalidFilters", "The request specifies an invalid filter parameter.", location="id", locationType="parameter"))
        return [post for post in (self.find_video(text, request.now) for text in ids) if post]

    def _video_list(self, request: Request) -> Answer:
        parts = _parts(
            request, {"id", "snippet", "statistics", "contentDetails", "status", "liveStreamingDetails", "paidProductPlacementDetails", "topicDetails"}
        )
        items = [self._video(post, parts, request.now) for post in self._found(request)]
        page = {"totalResults": len(items), "resultsPerPage": len(items)}
        return Answer(200, {"kind": "youtube#videoListResponse", "etag": _etag(request.query), "items": items, "pageInfo": page})

    def _video(self, post: Post, parts: set[str], t: float) -> dict[str, object]:
        video_id = self.video_id(post)
        video: dict[str, object] = {"kind": "youtube#video", "etag": _etag(video_id, int(t // 600)), "id": video_id}
        if "snippet" in parts:
            title, description = comments.title(post), comments.description(post)
            video["snippet"] = {
                "publishedAt": iso(post.published_at),
                "channelId": post.account.local_id,
                "title": title,
                "description": description,
                "thumbnails": _thumbnails(f"https://i.ytimg.example/vi/{video_id}/default.jpg", 120, 90),
                "channelTitle": post.account.creator_name,
                "tags": [post.account.topic, "weekly"],
                "categoryId": "22",
                "liveBroadcastContent": "none",
                "localized": {"title": title, "description": description},
                "defaultAudioLanguage": post.account.language,
            }
        if "contentDetails" in parts:
            video["contentDetails"] = {
                "duration": _duration(post.duration),
                "dimension": "2d",
                "definition": "hd",
                "caption": "false",
                "licensedContent": True,
                "contentRating": {},
                "projection": "rectangular",
            }
        if "status" in parts:
            video["status"] = {
                "uploadStatus": "processed",
                "privacyStatus": "public",
                "license": "youtube",
                "embeddable": True,
                "publicStatsViewable": True,
                "madeForKids": False,
            }
        if "statistics" in parts:
            video["statistics"] = _statistics(post, t) | {"favoriteCount": "0"}
        if "liveStreamingDetails" in parts and post.format == "live":
            video["liveStreamingDetails"] = {
                "actualStartTime": iso(post.published_at - post.duration),
                "actualEndTime": iso(post.published_at),
            }
        if "paidProductPlacementDetails" in parts:
            video["paidProductPlacementDetails"] = {"hasPaidProductPlacement": post.is_sponsored and post.is_declared}
        return video

    def _batch_get_stats(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "statistics", "contentDetails"})
        items = []
        for post in self._found(request):
            video_id = self.video_id(post)
            item: dict[str, object] = {"kind": "youtube#videoStats", "etag": _etag(video_id, int(request.now // 600)), "id": video_id}
            if "snippet" in parts:
                item["snippet"] = {"publishTime": iso(post.published_at)}
            if "contentDetails" in parts:
                item["contentDetails"] = {"duration": f"{post.duration}s"}
            if "statistics" in parts:
                item["statistics"] = _statistics(post, request.now)
            items.append(item)
        return Answer(200, {"kind": "youtube#batchGetStatsResponse", "etag": _etag(request.query), "items": items})

    def _comment_threads(self, request: Request) -> Answer:
        parts = _parts(request, {"id", "snippet", "replies"})
        size = _size(request, 20, 100, lowest=1)
        order = request.one("order") or "time"
        if order not in ("time", "relevance"):
            return error(400, "invalidParameter", f"Invalid value for order: {order}", location="order", locationType="parameter")
        channel, video_id = request.one("allThreadsRelatedToChannelId"), request.one("videoId")
        if bool(channel) == bool(video_id):
            return error(400, "missingRequiredParameter", "No filter selected. Expected one of: videoId, id, allThreadsRelatedToChannelId")
        if channel:
            found = self.world.find(PLATFORM, channel)
            if found is None or found[1] is not None or "terminated" in found[0].flags:
                message = "The channel identified by the <code>allThreadsRelatedToChannelId</code> parameter could not be found."
                return error(404, "channelNotFound", message, "youtube.commentThread", location="allThreadsRelatedToChannelId", locationType="parameter")
            if "no_comments" in found[0].flags:
                return _comments_off()
            threads = comments.of_channel(found[0], int(request.now), self.world.fakes, order)
        else:
            post = self.find_video(video_id or "", request.now)
            if post is None:
                message = "The video identified by the <code>videoId</code> parameter could not be found."
                return error(404, "videoNotFound", message, "youtube.commentThread", location="videoId", locationType="parameter")
            if post.comments_off:
                return _comments_off()
            threads = comments.of_post(post, int(request.now), order)
        start = 0
        if token := request.one("pageToken"):
            sealed = unseal(token, 2)
            if sealed is None or sealed[0] != (channel or video_id) or not sealed[1].isdigit():
                return _bad_token()
            start = int(sealed[1])
        page = threads[start : start + size]
        body: dict[str, object] = {"kind": "youtube#commentThreadListResponse", "etag": _etag(request.query)}
        if start + size < len(threads):
            body["nextPageToken"] = seal(channel or video_id, start + size)
        body["pageInfo"] = {"totalResults": len(page), "resultsPerPage": size}
        body["items"] = comments.resources(self, page, parts, request.now)
        return Answer(200, body)


def _comments_off() -> Answer:
    message = 'The video identified by the <code><a href="/youtube/v3/docs/commentThreads/list#videoId">videoId</a></code> parameter has disabled comments.'
    return error(403, "commentsDisabled", message, "youtube.commentThread", location="videoId", locationType="parameter")


def _bad_token() -> Answer:
    message = "The request specifies an invalid page token."
    return error(400, "invalidPageToken", message, location="pageToken", locationType="parameter")


def _parts(request: Request, known: set[str]) -> set[str]:
    parts = {part for text in request.many("part") for part in text.split(",") if part}
    if not parts:
        raise Refusal(error(400, "missingRequiredParameter", "Required parameter: part", "global", location="part", locationType="parameter"))
    if unknown := sorted(parts - known):
        raise Refusal(error(400, "unknownPart", unknown[0], location="part", locationType="parameter"))
    return parts


def _ids(request: Request) -> list[str]:
    return [text for value in request.many("id") for text in value.split(",") if text]


def _size(request: Request, usual: int, most: int, lowest: int = 0) -> int:
    text = request.one("maxResults")
    if text is None:
        return usual
    if not text.isdigit() or not lowest <= int(text) <= most:
        message = f"Invalid value '{text}'. Values must be within the range: [{lowest}, {most}]"
        raise Refusal(error(400, "invalidParameter", message, "global", location="maxResults", locationType="parameter"))
    return int(text)


def _etag(*parts: object) -> str:
    return base64url(key(*parts), 8) + "_assay"


def _thumbnails(url: str, width: int, height: int) -> dict[str, object]:
    return {"default": {"url": url, "width": width, "height": height}}


def _statistics(post: Post, t: float) -> dict[str, object]:
    counters = post.counters(t)
    statistics: dict[str, object] = {"viewCount": str(counters.views)}
    if "hidden_likes" not in post.account.flags:
        statistics["likeCount"] = str(counters.likes)
    if not post.comments_off:
        statistics["commentCount"] = str(counters.comments)
    return statistics


def _duration(length: int) -> str:
    hours, rest = divmod(length, 3600)
    minutes, left = divmod(rest, 60)
    return "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{left}S" if left or not rest else "")


def _channel_resource(
    parts: set[str],
    channel_id: str,
    title: str,
    description: str,
    custom_url: str,
    created_at: float,
    statistics: dict[str, object],
    *,
    country: str | None,
    has_picture: bool,
) -> dict[str, object]:
    channel: dict[str, object] = {"kind": "youtube#channel", "etag": _etag(channel_id, tuple(statistics.values())), "id": channel_id}
    if "snippet" in parts:
        picture = f"https://yt3.ggpht.example/{channel_id[2:10]}=s88" if has_picture else "https://yt3.ggpht.example/a/default-user=s88"
        channel["snippet"] = {
            "title": title,
            "description": description,
            "customUrl": custom_url,
            "publishedAt": iso(created_at),
            "thumbnails": _thumbnails(picture, 88, 88),
            "localized": {"title": title, "description": description},
        } | ({"country": country} if country else {})
    if "contentDetails" in parts:
        channel["contentDetails"] = {"relatedPlaylists": {"likes": "", "uploads": "UU" + channel_id[2:]}}
    if "statistics" in parts:
        channel["statistics"] = statistics
    if "status" in parts:
        channel["status"] = {"privacyStatus": "public", "isLinked": True, "longUploadsStatus": "longUploadsUnspecified", "madeForKids": False}
    if "brandingSettings" in parts:
        channel["brandingSettings"] = {"channel": {"title": title, "description": description} | ({"country": country} if country else {})}
    return channel
