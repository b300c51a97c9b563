"""TikTok's users, videos, followers, envelopes and errors as JSON, from the world's accounts and posts."""

from datetime import UTC, datetime
from typing import Any

from infra.sandbox import wording
from infra.sandbox.cast import Account
from infra.sandbox.draw import mix
from infra.sandbox.people import Member
from infra.sandbox.posts import Post, count
from infra.sandbox.wire import Answer

Row = dict[str, Any]
PICTURES = "https://p16-common-sign.example/tos-avt"


def _log_id(t: float) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%Y%m%d%H%M%S") + f"{mix(round(t * 1000)):016X}"[:18]


def ok(data: Row, t: float) -> Answer:
    """The envelope of a success."""
    return Answer(200, {"data": data, "error": {"code": "ok", "message": "", "log_id": _log_id(t)}})


def error(status: int, code: str, message: str, t: float) -> Answer:
    """The envelope of an error: some come with an empty `data`, some with none."""
    body: Row = {"error": {"code": code, "message": message, "log_id": _log_id(t)}}
    return Answer(status, body | ({"data": {}} if status == 401 else {}))


def oauth_error(code: str, description: str) -> Answer:
    """The token endpoint's own form, with status 200."""
    return Answer(200, {"error": code, "error_description": description, "log_id": "20261122100000"})


def business_ok(data: Row) -> Answer:
    """The Accounts API's envelope."""
    return Answer(200, {"code": 0, "message": "OK", "request_id": "202611221000", "data": data})


def business_error(code: int, message: str) -> Answer:
    """The Accounts API's errors come with status 200."""
    return Answer(200, {"code": code, "message": message, "request_id": "202611221000", "data": {}})


def _user(account: Account, followers: int, t: float) -> Row:
    """What all of the APIs know of a creator."""
    return {
        "display_name": account.display_name,
        "bio_description": f"{account.creator_name} on {account.topic}. Made up.",
        "avatar_url": f"{PICTURES}/{account.key % 99_999}.jpeg",
        "is_verified": account.first_followers > 100_000,
        "follower_count": followers,
        "following_count": 20 + account.key % 700,
        "likes_count": followers * (3 + account.key % 20),
        "video_count": count(account, t),
    }


def researched(account: Account, followers: int, t: float) -> Row:
    """A user of the Research API: no id and no user name."""
    return _user(account, followers, t)


def owned(account: Account, followers: int, t: float) -> Row:
    """The user whose grant it is."""
    handle = account.handle_at(t)
    return _user(account, followers, t) | {
        "open_id": account.local_id,
        "union_id": f"u-{account.key:016x}",
        "avatar_large_url": f"{PICTURES}/{account.key % 99_999}-large.jpeg",
        "profile_deep_link": f"https://vm.tiktok.com/{account.key:x}",
        "username": handle,
    }


def business_profile(account: Account, followers: int, t: float) -> Row:
    """The account that authorised the Accounts API; a metric of each of the last two days."""
    user = _user(account, followers, t)
    return {
        "username": account.handle_at(t),
        "display_name": user["display_name"],
        "bio_description": user["bio_description"],
        "profile_image": user["avatar_url"],
        "is_verified": user["is_verified"],
        "is_business_account": True,
        "followers_count": followers,
        "following_count": user["following_count"],
        "total_likes": user["likes_count"],
        "videos_count": user["video_count"],
        "metrics": [{"date": "2026-11-20", "daily_total_followers": 12}, {"date": "2026-11-21"}],
    }


def _tags(post: Post) -> list[str]:
    return [post.account.topic] if post.key % 3 else []


def _caption(post: Post) -> str:
    tags = [*_tags(post), *(["ad"] if post.is_sponsored else [])]
    return " ".join([wording.title(post), *(f"#{tag}" for tag in tags)])


def video(post: Post, post_id: str, t: float) -> Row:
    """A video of the Display API. Photographs last no time."""
    counters = post.counters(t)
    return {
        "id": post_id,
        "create_time": int(post.published_at),
        "cover_image_url": f"{PICTURES}/cover-{post_id}.jpeg?x-expires={int(t) + 21_600}",
        "share_url": f"https://www.tiktok.com/@{post.account.handle_at(t)}/video/{post_id}",
        "video_description": _caption(post)[:150],
        "title": wording.title(post),
        "duration": post.duration,
        "height": 1024,
        "width": 576,
        "embed_link": f"https://www.tiktok.com/player/v1/{post_id}",
        "view_count": counters.views,
        "like_count": counters.likes,
        "comment_count": counters.comments,
        "share_count": counters.shares,
        "is_aigc": False,
    }


def found(post: Post, post_id: str, t: float) -> Row:
    """A video of the Research API, whose id is a number beyond 2^53."""
    counters = post.counters(t)
    return {
        "id": int(post_id),
        "username": post.account.handle_at(t),
        "create_time": int(post.published_at),
        "region_code": post.account.market,
        "video_description": _caption(post),
        "video_duration": post.duration,
        "view_count": counters.views,
        "like_count": counters.likes,
        "comment_count": counters.comments,
        "share_count": counters.shares,
        "favorites_count": counters.saves,
        "hashtag_names": [*_tags(post), *(["ad"] if post.is_sponsored else [])],
        "video_mention_list": [],
        "music_id": 6_900_000_000_000_000_000 + post.key % 10**9,
        "effect_ids": ["0"],
        "playlist_id": None,
        "voice_to_text": "",
        "is_stem_verified": False,
    }


def business_video(post: Post, post_id: str, t: float) -> Row:
    """A post of the Accounts API, its views with those that were paid for."""
    counters = post.counters(t)
    return {
        "item_id": post_id,
        "create_time": str(int(post.published_at)),
        "caption": _caption(post),
        "share_url": f"https://www.tiktok.com/@{post.account.handle_at(t)}/video/{post_id}",
        "media_type": "PHOTO" if post.format == "image" else "VIDEO",
        "is_ad": post.is_sponsored,
        "video_views": counters.views,
        "reach": int(counters.views * post.repeat),
        "likes": counters.likes,
        "comments": counters.comments,
        "shares": counters.shares,
        "favorites": counters.saves,
        "total_time_watched": round(counters.views * max(1, post.duration) * 0.4, 1),
        "average_time_watched": round(post.duration * 0.4, 1),
    }


def follower(one: Member) -> Row:
    """A row of a list of followers; now and then a name holds what few expect."""
    return {"username": one.handle, "display_name": one.name + ("\x00" if one.draw > 0.98 else "")}
