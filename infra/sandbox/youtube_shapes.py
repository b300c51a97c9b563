"""YouTube's resources as JSON, from the world's accounts, posts, members and comments."""

from collections.abc import Iterable
from typing import Any

from infra.sandbox import wording
from infra.sandbox.cast import Account
from infra.sandbox.comments import Comment, text
from infra.sandbox.draw import base64url, key, mix
from infra.sandbox.ids import MEMBER, Ids
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wire import iso, seal

Resource = dict[str, Any]


def etag(*parts: object) -> str:
    """An opaque version of a resource."""
    return base64url(key(*parts), 8)


def three_figures(count: int) -> int:
    """A count rounded down to three significant figures, as subscribers are shown."""
    step: int = 10 ** max(0, len(str(count)) - 3)
    return count // step * step


def creator_channel(account: Account, parts: set[str], followers: int, videos: int) -> Resource:
    """The channel of an account."""
    statistics = {"viewCount": str(followers * 160 + account.older_posts * 1000)}
    if "hidden_subscribers" not in account.flags:
        statistics["subscriberCount"] = str(three_figures(followers))
    return _channel(
        parts,
        account.local_id,
        {
            "title": account.creator_name,
            "description": f"Videos about {account.topic}, every week. Business: hello@{account.handle}",
            "customUrl": f"@{account.handle}",
            "publishedAt": iso(account.created_at),
            "country": account.market,
        },
        statistics | {"hiddenSubscriberCount": "hidden_subscribers" in account.flags, "videoCount": str(videos)},
        has_picture=True,
    )


def member_channel(channel_id: str, member: Member, country: str, parts: set[str]) -> Resource:
    """The channel of a commenter; some hide their subscribers, and then the count is "0"."""
    hides = member.is_private and member.draw < 0.1
    snippet = {
        "title": member.name,
        "description": member.bio,
        "customUrl": f"@{member.handle}",
        "publishedAt": iso(member.created_at),
    }
    statistics = {
        "viewCount": str(member.posts * 90),
        "subscriberCount": "0" if hides else str(three_figures(member.followers)),
        "hiddenSubscriberCount": hides,
        "videoCount": str(member.posts),
    }
    if member.draw > 0.7:
        snippet["country"] = country
    return _channel(parts, channel_id, snippet, statistics, has_picture=member.has_picture)


def _channel(
    parts: set[str], channel_id: str, snippet: Resource, statistics: Resource, *, has_picture: bool
) -> Resource:
    item: Resource = {"kind": "youtube#channel", "etag": etag(channel_id, *statistics.values()), "id": channel_id}
    localized = {"title": snippet["title"], "description": snippet["description"]}
    if "snippet" in parts:
        item["snippet"] = snippet | {
            "thumbnails": _thumbnail(_picture(channel_id, has_picture, 88), 88, 88),
            "localized": localized,
        }
    if "contentDetails" in parts:
        item["contentDetails"] = {"relatedPlaylists": {"likes": "", "uploads": "UU" + channel_id[2:]}}
    if "statistics" in parts:
        item["statistics"] = statistics
    if "status" in parts:
        state = {"privacyStatus": "public", "isLinked": True, "madeForKids": False}
        item["status"] = state | {"longUploadsStatus": "longUploadsUnspecified"}
    if "brandingSettings" in parts:
        item["brandingSettings"] = {"channel": localized}
    return item


def subscription(account: Account, channel_id: str, member: Member, parts: set[str]) -> Resource:
    """A subscription to an account: `snippet` is about the account, but for whose the subscription is."""
    item: Resource = {"kind": "youtube#subscription", "etag": etag(channel_id, "of"), "id": seal(channel_id, "of")}
    if "snippet" in parts:
        item["snippet"] = {
            "publishedAt": iso(member.joined_at),
            "title": account.creator_name,
            "description": "",
            "resourceId": {"kind": "youtube#channel", "channelId": account.local_id},
            "channelId": channel_id,
            "thumbnails": _thumbnail(_picture(account.local_id, True, 88), 88, 88),
        }
    if "subscriberSnippet" in parts:
        picture = _thumbnail(_picture(channel_id, member.has_picture, 88), 88, 88)
        about = {"title": member.name, "description": member.bio, "channelId": channel_id}
        item["subscriberSnippet"] = about | {"thumbnails": picture}
    return item


def _picture(channel_id: str, has_picture: bool, size: int) -> str:
    return f"https://yt3.ggpht.example/{channel_id[2:10] if has_picture else 'a/default-user'}=s{size}"


def _thumbnail(url: str, width: int, height: int) -> Resource:
    return {"default": {"url": url, "width": width, "height": height}}


def playlist_item(post: Post, video_id: str, playlist: str, parts: set[str]) -> Resource:
    """A row of an uploads playlist; snippet.publishedAt is when it was added there."""
    item: Resource = {"kind": "youtube#playlistItem", "etag": etag(video_id, "row"), "id": seal(playlist, video_id)}
    if "snippet" in parts:
        item["snippet"] = _video_snippet(post, video_id) | {
            "publishedAt": iso(post.published_at + 5),
            "playlistId": playlist,
            "resourceId": {"kind": "youtube#video", "videoId": video_id},
        }
    if "contentDetails" in parts:
        item["contentDetails"] = {"videoId": video_id, "videoPublishedAt": iso(post.published_at)}
    if "status" in parts:
        item["status"] = {"privacyStatus": "public"}
    return item


def _video_snippet(post: Post, video_id: str) -> Resource:
    return {
        "publishedAt": iso(post.published_at),
        "channelId": post.account.local_id,
        "title": wording.title(post),
        "description": wording.description(post),
        "thumbnails": _thumbnail(f"https://i.ytimg.example/vi/{video_id}/default.jpg", 120, 90),
        "channelTitle": post.account.creator_name,
    }


def video(post: Post, video_id: str, parts: set[str], t: float) -> Resource:
    """A video."""
    item: Resource = {"kind": "youtube#video", "etag": etag(video_id, int(t // 600)), "id": video_id}
    if "snippet" in parts:
        snippet = _video_snippet(post, video_id)
        item["snippet"] = snippet | {
            "tags": [post.account.topic, "weekly"],
            "categoryId": "22",
            "liveBroadcastContent": "none",
            "localized": {"title": snippet["title"], "description": snippet["description"]},
            "defaultAudioLanguage": post.account.language,
        }
    if "contentDetails" in parts:
        item["contentDetails"] = {
            "duration": _duration(post.duration),
            "dimension": "2d",
            "definition": "hd",
            "caption": "false",
            "licensedContent": True,
            "contentRating": {},
            "projection": "rectangular",
        }
    if "status" in parts:
        item["status"] = {
            "uploadStatus": "processed",
            "privacyStatus": "public",
            "license": "youtube",
            "embeddable": True,
            "publicStatsViewable": True,
            "madeForKids": False,
        }
    if "statistics" in parts:
        item["statistics"] = _statistics(post, t) | {"favoriteCount": "0"}
    if "liveStreamingDetails" in parts and post.format == "live":
        began = post.published_at - post.duration
        item["liveStreamingDetails"] = {"actualStartTime": iso(began), "actualEndTime": iso(post.published_at)}
    if "paidProductPlacementDetails" in parts:
        item["paidProductPlacementDetails"] = {"hasPaidProductPlacement": post.is_sponsored and post.is_declared}
    return item


def video_stats(post: Post, video_id: str, parts: set[str], t: float) -> Resource:
    """A video as videos:batchGetStats shows it."""
    item: Resource = {"kind": "youtube#videoStats", "etag": etag(video_id, int(t // 600)), "id": video_id}
    if "snippet" in parts:
        item["snippet"] = {"publishTime": iso(post.published_at)}
    if "contentDetails" in parts:
        item["contentDetails"] = {"duration": f"{post.duration}s"}
    if "statistics" in parts:
        item["statistics"] = _statistics(post, t)
    return item


def _statistics(post: Post, t: float) -> Resource:
    """Counters as texts; the key is absent where likes are hidden or comments are off."""
    counters = post.counters(t)
    statistics = {"viewCount": str(counters.views)}
    if "hidden_likes" not in post.account.flags:
        statistics["likeCount"] = str(counters.likes)
    if not post.comments_off:
        statistics["commentCount"] = str(counters.comments)
    return statistics


def _duration(length: int) -> str:
    hours, rest = divmod(length, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if count]
    return "PT" + "".join(parts or ["0S"])


def threads(ids: Ids, rows: Iterable[tuple[Comment, Member]], parts: set[str]) -> list[Resource]:
    """Comment threads."""
    return [_thread(ids, row, member, parts) for row, member in rows]


def _thread(ids: Ids, row: Comment, member: Member, parts: set[str]) -> Resource:
    value = mix(row.post.key ^ (row.number << 24))
    comment_id = "Ug" + base64url(value << 64 | mix(value), 16)[:-2] + "4AaABAg"
    first = _comment(ids, row, member, comment_id, text(row, member))
    has_reply = value % 4 == 0
    item: Resource = {"kind": "youtube#commentThread", "etag": comment_id[:12], "id": comment_id}
    if "snippet" in parts:
        item["snippet"] = {
            "channelId": row.post.account.local_id,
            "videoId": first["snippet"]["videoId"],
            "topLevelComment": first,
            "canReply": True,
            "totalReplyCount": int(has_reply),
            "isPublic": True,
        }
    if "replies" in parts and has_reply:
        reply = _comment(ids, row, member, f"{comment_id}.{value % 10**9}", "And one more thing: thank you.")
        reply["snippet"]["parentId"] = comment_id
        item["replies"] = {"comments": [reply]}
    return item


def _comment(ids: Ids, row: Comment, member: Member, comment_id: str, words: str) -> Resource:
    account = row.post.account
    channel_id = ids.account(MEMBER, account.number, member.number)
    written = iso(row.at)
    snippet: Resource = {
        "channelId": account.local_id,
        "videoId": ids.post(account.number, row.post.index, row.post.published_at),
        "textDisplay": words,
        "textOriginal": words,
        "authorDisplayName": f"@{member.handle}",
        "authorProfileImageUrl": _picture(channel_id, member.has_picture, 48),
        "authorChannelUrl": f"http://www.youtube.com/@{member.handle}",
        "authorChannelId": {"value": channel_id},
        "canRate": True,
        "viewerRating": "none",
        "likeCount": row.number % 40 if mix(row.post.key ^ row.number) % 7 == 0 else 0,
        "publishedAt": written,
        "updatedAt": written,
    }
    if member.draw > 0.997:  # the authors of some comments have no channel any more
        del snippet["authorChannelId"]
    return {"kind": "youtube#comment", "etag": comment_id[:12], "id": comment_id, "snippet": snippet}
