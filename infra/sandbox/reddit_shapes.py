"""Reddit's profiles, submissions, comments and errors as JSON, from the world's accounts and posts."""

import html
import re
from collections.abc import Sequence
from typing import Any

from infra.sandbox import growth, wording
from infra.sandbox.cast import Account
from infra.sandbox.comments import Comment
from infra.sandbox.comments import text as comment_text
from infra.sandbox.draw import base36, mix
from infra.sandbox.people import Member
from infra.sandbox.posts import Post, upvote_ratio
from infra.sandbox.wire import HTML, Answer, Headers

Row = dict[str, Any]
DELETED = "[deleted]"
_PHRASES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
_WRITTEN = ("title", "selftext", "body", "public_description")
"""What is HTML-escaped for those who do not ask for it raw."""


def error(status: int, headers: Headers = (), reason: str = "") -> Answer:
    """The API's JSON error, with a reason where there is one."""
    said = {"reason": reason} if reason else {}
    return Answer(status, said | {"message": _PHRASES[status], "error": status}, headers)


def page(status: int, title: str, headers: Headers = ()) -> Answer:
    """An error as a page for people."""
    return Answer(status, f"<!doctype html><html><title>{title}</title></html>".encode(), headers, HTML)


def thing(kind: str, data: Row) -> Row:
    """Everything comes wrapped in its kind."""
    return {"kind": kind, "data": data}


def listing(children: Sequence[Row], after: str | None = None) -> Row:
    """Things, and the fullname that the next page begins after."""
    data: Row = {"after": after, "dist": len(children), "modhash": None, "geo_filter": "", "children": list(children)}
    return thing("Listing", data | {"before": None})


def escaped(found: Any) -> Any:
    """What those get who do not ask with `raw_json=1`."""
    if isinstance(found, list):
        return [escaped(row) for row in found]
    if not isinstance(found, dict):
        return found
    return {
        name: html.escape(value, quote=False) if name in _WRITTEN and isinstance(value, str) else escaped(value)
        for name, value in found.items()
    }


def profile(account: Account, t: float, fakes: float) -> Row:
    """A creator's profile; followers stand in the subreddit that every profile is."""
    handle = account.handle
    karma = int(account.first_followers * 3 + mix(account.key) % 900)
    return thing(
        "t2",
        {
            "id": account.local_id.removeprefix("t2_"),
            "name": handle,
            "created_utc": float(int(account.created_at)),
            "created": float(int(account.created_at)),
            "link_karma": karma,
            "comment_karma": karma // 4,
            "awardee_karma": 0,
            "total_karma": karma + karma // 4,
            "verified": True,
            "has_verified_email": True,
            "is_employee": False,
            "is_mod": True,
            "is_gold": False,
            "accept_followers": True,
            "hide_from_robots": False,
            "icon_img": f"https://styles.example/{handle}/profileIcon.png",
            "snoovatar_img": "",
            "subreddit": {
                "display_name": f"u_{handle}",
                "display_name_prefixed": f"u/{handle}",
                "name": f"t5_{base36(mix(account.key) % 10**9)}",
                "title": account.display_name,
                "public_description": f"{account.creator_name} on {account.topic} & more.",
                "subscribers": growth.followers(account, t, fakes),
                "over_18": "nsfw" in account.flags,
                "subreddit_type": "user",
                "url": f"/user/{handle}/",
            },
        },
    )


def suspended(account: Account) -> Row:
    """All that is left to see of a suspended account."""
    return thing("t2", {"name": account.handle, "is_suspended": True, "awardee_karma": 0, "total_karma": 0})


def partial(name: str, created_at: float, karma: int, picture: bool) -> Row:
    """A row of the look-up by account ids."""
    default = f"https://www.redditstatic.com/avatars/avatar_default_0{len(name) % 8}_46D160.png"
    return {
        "name": name,
        "created_utc": float(int(created_at)),
        "link_karma": karma,
        "comment_karma": karma // 2,
        "profile_img": f"https://styles.example/{name}/profileIcon.png" if picture else default,
        "profile_color": "#46D160",
        "profile_over_18": False,
    }


def submission(post: Post, post_id: str, t: float) -> Row:
    """A submission: of oneself (a text), a link, a picture or a video."""
    account, topic, counters = post.account, post.account.topic, post.counters(t)
    local, title = post_id.removeprefix("t3_"), wording.title(post)
    if post.is_sponsored and post.format != "text":
        title += " #ad"
    permalink = f"/r/{topic}/comments/{local}/{re.sub('[^a-z]+', '_', title.lower()).strip('_')}/"
    media: Row = {
        "text": {"url": f"https://www.reddit.com{permalink}", "domain": f"self.{topic}"},
        "link": {"url": f"https://{topic}.example/{post.key % 9999}", "domain": f"{topic}.example"},
        "image": {"url": f"https://i.redd.it/{local}.png", "domain": "i.redd.it", "post_hint": "image"},
        "video": {
            "url": f"https://v.redd.it/{local}",
            "domain": "v.redd.it",
            "post_hint": "hosted:video",
            "media": {"reddit_video": {"duration": post.duration, "height": 720, "width": 1280, "is_gif": False}},
        },
    }
    row: Row = {
        "id": local,
        "name": post_id,
        "author": account.handle,
        "author_fullname": account.local_id,
        "subreddit": topic,
        "subreddit_name_prefixed": f"r/{topic}",
        "subreddit_id": f"t5_{base36(mix(len(topic)) % 10**7)}",
        "title": title,
        "selftext": f"{wording.description(post)} Less & more." if post.format == "text" else "",
        "created_utc": float(int(post.published_at)),
        "created": float(int(post.published_at)),
        "edited": float(int(post.published_at) + 900) if post.key % 13 == 0 else False,
        "score": counters.likes,
        "ups": counters.likes,
        "downs": 0,
        "likes": None,  # whether we voted for it
        "upvote_ratio": upvote_ratio(post, t),
        "hide_score": False,
        "num_comments": counters.comments,
        "num_crossposts": counters.shares,
        "view_count": None,
        "is_self": post.format == "text",
        "is_video": post.format == "video",
        "media": None,
        "over_18": "nsfw" in account.flags,
        "stickied": False,
        "pinned": False,
        "locked": post.comments_off,
        "removed_by_category": None,
        "link_flair_text": "Sponsored" if post.is_sponsored and post.is_declared else None,
        "author_flair_text": None,
        "permalink": permalink,
    }
    return thing("t3", row | media[post.format])


def deleted(row: Row) -> Row:
    """A submission whose author has deleted it: its place stays, without author and text."""
    data = {name: value for name, value in row["data"].items() if name != "author_fullname"}
    return thing("t3", data | {"author": DELETED, "selftext": DELETED, "removed_by_category": "deleted"})


def comment(row: Comment, member: Member, author_id: str, post_id: str) -> Row:
    """The first comment of a thread. Of a closed account the comment stays."""
    local = base36(mix(row.post.key ^ (row.number << 24)) % 10**10)
    closed = member.draw < 0.01
    data: Row = {
        "id": local,
        "name": f"t1_{local}",
        "link_id": post_id,
        "parent_id": post_id,
        "author": DELETED if closed else member.handle,
        "body": comment_text(row, member),
        "created_utc": float(int(row.at)),
        "score": 1 + mix(row.number ^ row.post.key) % 30,
        "score_hidden": False,
        "is_submitter": False,
        "distinguished": None,
        "stickied": False,
        "depth": 0,
        "replies": "",
    }
    return thing("t1", data if closed else data | {"author_fullname": author_id})


def moderator(post: Post, post_id: str) -> Row:
    """What a bot pins below a submission, and what no person wrote."""
    local = base36(mix(post.key ^ 0xA0) % 10**10)
    data: Row = {
        "id": local,
        "name": f"t1_{local}",
        "link_id": post_id,
        "parent_id": post_id,
        "author": "AutoModerator",
        "author_fullname": "t2_6l4z3",
        "body": "I am a bot. Please keep to the rules of this place.",
        "created_utc": float(int(post.published_at) + 1),
        "score": 1,
        "is_submitter": False,
        "distinguished": "moderator",
        "stickied": True,
        "depth": 0,
        "replies": "",
    }
    return thing("t1", data)


def more(post_id: str, count: int) -> Row:
    """What stands for comments that were not sent."""
    return thing("more", {"count": count, "name": "t1__", "id": "_", "parent_id": post_id, "depth": 0, "children": []})
