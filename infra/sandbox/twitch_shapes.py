"""Twitch's users, channels, videos, streams, followers and errors as JSON, from the world's accounts and posts."""

from typing import Any

from infra.sandbox import posts, wording
from infra.sandbox.cast import Account
from infra.sandbox.draw import mix
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, Headers, iso

Row = dict[str, Any]
PICTURES = "https://static-cdn.example/jtv_user_pictures"
NO_PICTURE = "https://static-cdn.example/user-default-pictures-uv/294c98b5-e34d-profile_image-300x300.png"
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    410: "Gone",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def error(status: int, message: str, headers: Headers = ()) -> Answer:
    """The API's error envelope."""
    return Answer(status, {"error": _PHRASES[status], "status": status, "message": message}, headers)


def auth_error(status: int, message: str) -> Answer:
    """The token endpoints' envelope, which names no error."""
    return Answer(status, {"status": status, "message": message})


def page(rows: list[Row], cursor: str | None = None, **more: object) -> Answer:
    """Rows, and the cursor of the next page where there is one."""
    return Answer(200, more | {"data": rows, "pagination": {"cursor": cursor} if cursor else {}})


def stream_id(post: Post) -> str:
    """The id of the stream that an archive was made from: another than the archive's."""
    return str(310_000_000_000 + mix(post.key ^ 0x57E4) % 10**10)


def _user(user_id: str, login: str, name: str, created_at: float, picture: bool) -> Row:
    return {
        "id": user_id,
        "login": login,
        "display_name": name,
        "type": "",
        "broadcaster_type": "",
        "description": "",
        "profile_image_url": f"{PICTURES}/{user_id}-profile_image-300x300.png" if picture else NO_PICTURE,
        "offline_image_url": "",
        "view_count": 0,  # kept for old clients; counts nothing any more
        "created_at": iso(created_at),
    }


def kind_of(account: Account) -> str:
    """What the platform has made of a broadcaster."""
    if "affiliate" in account.flags:
        return "affiliate"
    return "partner" if account.first_followers > 5_000 else ""


def creator(account: Account, t: float) -> Row:
    """A creator's user."""
    user = _user(account.local_id, account.handle_at(t), account.display_name, account.created_at, picture=True)
    description = f"{account.creator_name} on {account.topic}. Live most evenings."
    return user | {"broadcaster_type": kind_of(account), "description": description}


def member(user_id: str, one: Member) -> Row:
    """A follower's user."""
    return _user(user_id, one.handle, one.name, one.created_at, one.has_picture) | {"description": one.bio}


def follower(user_id: str, one: Member) -> Row:
    """A row of a channel's list of followers."""
    return {"user_id": user_id, "user_name": one.name, "user_login": one.handle, "followed_at": iso(one.joined_at)}


def channel(account: Account, t: float) -> Row:
    """What a channel is set to now."""
    return {
        "broadcaster_id": account.local_id,
        "broadcaster_login": account.handle_at(t),
        "broadcaster_name": account.display_name,
        "broadcaster_language": account.language,
        "game_id": str(500_000 + mix(account.key) % 9_999),
        "game_name": account.topic.title(),
        "title": f"Evenings with {account.creator_name}",
        "delay": 0,
        "tags": [account.topic.title(), account.language.upper()],
        "content_classification_labels": [],
        "is_branded_content": "branded" in account.flags,
    }


def duration(seconds: int) -> str:
    """`3h8m33s`; what is 0 in front is left out."""
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds % 60}s"


def video(post: Post, post_id: str, t: float) -> Row:
    """An archive, a highlight or an upload. An archive grows while its stream is on."""
    account = post.account
    lasts = min(post.duration, int(t - post.published_at)) if post.format == "archive" else post.duration
    return {
        "id": post_id,
        "stream_id": stream_id(post) if post.format == "archive" else None,
        "user_id": account.local_id,
        "user_login": account.handle_at(t),
        "user_name": account.display_name,
        "title": wording.title(post),
        "description": wording.description(post) if post.format != "archive" else "",
        "created_at": iso(post.published_at),
        "published_at": iso(post.published_at),
        "url": f"https://www.twitch.tv/videos/{post_id}",
        "thumbnail_url": f"https://static-cdn.example/cf_vods/{post_id}/thumb-%{{width}}x%{{height}}.jpg",
        "viewable": "public",
        "view_count": post.counters(t).views,
        "language": account.language,
        "type": post.format,
        "duration": duration(lasts),
        "muted_segments": [{"duration": 30, "offset": 120}] if post.key % 11 == 0 else None,
    }


def stream(post: Post, t: float) -> Row:
    """What is on the air."""
    account = post.account
    now = channel(account, t)
    return {
        "id": stream_id(post),
        "user_id": account.local_id,
        "user_login": account.handle_at(t),
        "user_name": account.display_name,
        "game_id": now["game_id"],
        "game_name": now["game_name"],
        "type": "live",
        "title": wording.title(post) + (" #ad" if post.is_sponsored else ""),
        "viewer_count": posts.viewers(post, t),
        "started_at": iso(post.published_at),
        "language": account.language,
        "thumbnail_url": "https://static-cdn.example/previews-ttv/live-{width}x{height}.jpg",
        "tag_ids": [],
        "tags": now["tags"],
        "is_mature": False,
    }
