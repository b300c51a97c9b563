"""Instagram's accounts, media, insights, comments and errors as JSON, from the world's accounts and posts."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from infra.sandbox import posts, reach, wording
from infra.sandbox.cast import DAY, EPOCH, Account
from infra.sandbox.comments import Comment, text
from infra.sandbox.draw import base64url, mix
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, Headers

Row = dict[str, Any]
_TYPES = {"short": ("VIDEO", "REELS"), "image": ("IMAGE", "FEED"), "carousel": ("CAROUSEL_ALBUM", "FEED")}


def error(
    status: int, code: int, message: str, subcode: int | None = None, *, transient: bool = False, headers: Headers = ()
) -> Answer:
    """The Graph API's error envelope; what it says to users is in the language of the token's owner."""
    found: Row = {"message": message, "type": "OAuthException", "code": code}
    if subcode is not None:
        told = {"error_user_title": "Noe gikk galt", "error_user_msg": "Prøv igjen senere."}
        found |= {"error_subcode": subcode, "is_transient": transient} | told
    elif transient:
        found["is_transient"] = True
    return Answer(status, {"error": found | {"fbtrace_id": base64url(mix(code) << 64 | mix(status), 17)}}, headers)


def stamp(t: float) -> str:
    """`2026-09-01T10:00:00+0000`."""
    return datetime.fromtimestamp(int(t), UTC).isoformat()[:19] + "+0000"


def profile(account: Account, followers: int, t: float) -> Row:
    """All fields of an account."""
    handle = account.handle_at(t)
    return {
        "id": account.local_id,
        "ig_id": str(mix(account.key ^ 0x16) % 10**11),
        "username": handle,
        "name": account.display_name,
        "biography": f"{account.creator_name} on {account.topic}. Northern light, small kitchens.",
        "website": f"https://{account.topic}.example/{handle}",
        "profile_picture_url": f"https://pictures.example/{account.local_id}.jpg",
        "followers_count": followers,
        "follows_count": 60 + mix(account.key ^ 0xF0) % 900,
        "media_count": posts.count(account, t),
    }


def media(post: Post, post_id: str, t: float) -> Row:
    """All fields of a post. Counters that the owner hides, and views of what is no reel, are not there."""
    counters, (kind, product) = post.counters(t), _TYPES[post.format]
    short = base64url(mix(post.key) >> 2, 8)
    row: Row = {
        "id": post_id,
        "caption": wording.description(post),
        "media_type": kind,
        "media_product_type": product,
        "permalink": f"https://www.instagram.com/{'reel' if product == 'REELS' else 'p'}/{short}/",
        "shortcode": short,
        "timestamp": stamp(post.published_at),
        "username": post.account.handle_at(t),
        "owner": {"id": post.account.local_id},
        "like_count": counters.likes,
        "comments_count": counters.comments,
        "total_like_count": counters.likes + counters.likes // 50,
        "total_comments_count": counters.comments,
        "reposts_count": counters.shares // 4,
    }
    if product == "REELS":
        row["view_count"] = counters.views
    if "hidden_likes" in post.account.flags:
        del row["like_count"], row["total_like_count"]
    return row


def _watched(post: Post, t: float) -> int:
    """Milliseconds that a reel was watched."""
    return post.counters(t).views * post.duration * (400 + post.key % 400)


_ANY: dict[str, Callable[[Post, float], int]] = {
    "views": lambda post, t: post.counters(t).views,
    "reach": reach.of_post,
    "shares": lambda post, t: post.counters(t).shares,
    "saved": lambda post, t: post.counters(t).saves,
    "likes": lambda post, t: post.counters(t).likes,
    "comments": lambda post, t: post.counters(t).comments,
    "total_interactions": lambda post, t: _interactions(post.counters(t)),
}


def _interactions(counters: posts.Counters) -> int:
    return counters.likes + counters.comments + counters.shares + counters.saves


_OF = {
    "REELS": {
        "ig_reels_video_view_total_time": _watched,
        "ig_reels_avg_watch_time": lambda post, t: _watched(post, t) // max(1, post.counters(t).views),
    },
    "FEED": {
        "follows": lambda post, t: post.counters(t).views // 900,
        "profile_visits": lambda post, t: post.counters(t).views // 120,
    },
}


def metrics(post: Post) -> dict[str, Callable[[Post, float], int]]:
    """The insights that this kind of post has, by name."""
    return _ANY | _OF[_TYPES[post.format][1]]


def converted_at(account: Account) -> float:
    """When the account became professional: of what was published before there are no insights, ever."""
    return EPOCH + mix(account.key ^ 0xC0) % 200 * DAY


def insight(name: str, post_id: str, value: int) -> Row:
    """One figure of a post's whole life."""
    return {
        "name": name,
        "period": "lifetime",
        "values": [{"value": value}],
        "title": name.replace("_", " ").capitalize(),
        "description": f"The stand-in's {name}.",
        "id": f"{post_id}/insights/{name}/lifetime",
    }


def comment(row: Comment, native: str, member: Member) -> Row:
    """The first comment of a thread, with who wrote it."""
    return {
        "id": str(17_900_000_000_000_000 + mix(row.post.key ^ (row.number << 16)) % 10**14),
        "text": text(row, member),
        "timestamp": stamp(row.at),
        "username": member.handle,
        "from": {"id": native, "username": member.handle},
        "like_count": row.number % 7,
        "hidden": False,
    }


def chosen(row: Row, names: Iterable[str]) -> Row:
    """The fields asked for, as far as they are there; the id always."""
    return {"id": row["id"]} | {name: row[name] for name in names if name in row}
