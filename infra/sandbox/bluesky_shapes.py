"""Bluesky's views, records and errors as JSON, from the world's accounts, members and posts."""

from functools import lru_cache
from typing import Any

from infra.sandbox import wording
from infra.sandbox.cast import DAY, Account
from infra.sandbox.draw import base32, mix
from infra.sandbox.ids import DID_ALPHABET
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, iso_millis

View = dict[str, Any]
SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"
_STRANGER = "did:plc:" + "z" * 24


def error(name: str, message: str, status: int = 400) -> Answer:
    """The XRPC error envelope."""
    return Answer(status, {"error": name, "message": message})


def record_key(t: float, clock: int) -> str:
    """A TID: 13 sortable letters of microseconds and a clock's number."""
    return base32(round(t * 1000) * 1000 << 10 | clock, 13, SORTABLE)


def post_uri(post: Post) -> str:
    """The at-URI of a post."""
    return _uri(post.account.local_id, post.published_at, post.account.number & 1023)


def _uri(did: str, t: float, clock: int) -> str:
    return f"at://{did}/app.bsky.feed.post/{record_key(t, clock)}"


def _cid(value: int) -> str:
    digest = mix(value) << 192 | mix(value ^ 9) << 128 | mix(value ^ 8) << 64 | value
    return "bafyrei" + base32(digest, 52, DID_ALPHABET)


def basic(account: Account) -> View:
    """A creator's profile as it stands beside posts and lists."""
    return {
        "did": account.local_id,
        "handle": account.handle,
        "displayName": account.creator_name,
        "avatar": f"https://cdn.bsky.example/img/avatar/{account.number}.jpg",
        "createdAt": iso_millis(account.created_at),
        "labels": [],
    }


def profile(account: Account, followers: int, posts: int) -> View:
    """A creator's full profile."""
    return basic(account) | {
        "description": f"{account.creator_name}. Notes on {account.topic}.",
        "banner": f"https://cdn.bsky.example/img/banner/{account.number}.jpg",
        "followersCount": followers,
        "followsCount": 60 + account.key % 900,
        "postsCount": posts,
        "associated": {"lists": 0, "feedgens": 0, "starterPacks": 0, "labeler": False},
        "indexedAt": iso_millis(account.created_at + DAY),
        "verification": {"verifications": [], "verifiedStatus": "none", "trustedVerifierStatus": "none"},
    }


def follower(did: str, member: Member) -> View:
    """A member as lists of followers show it: without counts."""
    created = iso_millis(member.created_at)
    view: View = {
        "did": did,
        "handle": f"{member.handle}.bsky.example",
        "displayName": member.name,
        "createdAt": created,
        "indexedAt": created,
        "labels": [],
    }
    if member.has_picture:
        view["avatar"] = f"https://cdn.bsky.example/img/avatar/plain/{did}@jpeg"
    if member.bio:
        view["description"] = member.bio + (" https://links.example/me" if member.has_link else "")
    return view


def member_profile(did: str, member: Member) -> View:
    """A member's full profile."""
    counts = {"followersCount": member.followers, "followsCount": member.following, "postsCount": member.posts}
    return follower(did, member) | counts


def post_view(post: Post, t: float) -> View:
    """A post with its counters at t."""
    counters = post.counters(t)
    return _fixed(post) | {
        "bookmarkCount": counters.saves,
        "replyCount": counters.comments,
        "repostCount": counters.shares,
        "likeCount": counters.likes,
        "quoteCount": counters.quotes,
    }


@lru_cache(maxsize=16384)
def _fixed(post: Post) -> View:
    """What of a post never changes."""
    # Clients' clocks are off at times: some posts claim a moment later than the one at which they were first seen.
    is_ahead = post.key % 11 == 0
    claimed = post.published_at + (2.5 if is_ahead else 0)
    seen = post.published_at + (0 if is_ahead else 0.7)
    text, facets, link = _rich_text(post)
    record: View = {
        "$type": "app.bsky.feed.post",
        "text": text,
        "createdAt": iso_millis(claimed),
        "langs": [post.account.language],
    }
    if facets:
        record["facets"] = facets
    if post.relation == "reply":
        above = {"uri": _uri(_STRANGER, post.published_at - 900, 1), "cid": _cid(post.key ^ 1)}
        record["reply"] = {"root": above, "parent": above}
    view: View = {
        "uri": post_uri(post),
        "cid": _cid(post.key),
        "author": basic(post.account),
        "record": record,
        "indexedAt": iso_millis(seen),
        "labels": [],
    }
    if embeds := _embeds(post, link):
        record["embed"], view["embed"] = embeds
    return view


def _rich_text(post: Post) -> tuple[str, list[View], str | None]:
    """Text, facets (whose places are counted in bytes of UTF-8) and link."""
    text, tags, link = wording.note(post)
    features = [(f"#{tag}", {"$type": "app.bsky.richtext.facet#tag", "tag": tag}) for tag in tags]
    if link:
        features.append((link.removeprefix("https://"), {"$type": "app.bsky.richtext.facet#link", "uri": link}))
    facets = []
    for words, feature in features:
        start = len(text.encode()) + 1
        text = f"{text} {words}"
        facets.append({"index": {"byteStart": start, "byteEnd": len(text.encode())}, "features": [feature]})
    return text, facets, link


def _embeds(post: Post, link: str | None) -> tuple[View, View] | None:
    """A post's embed as recorded, and as shown."""
    blob = {"$type": "blob", "ref": {"$link": _cid(post.key ^ 2)}, "mimeType": "image/jpeg", "size": 90_000}
    recorded: View
    shown: View
    if post.relation == "quote":
        uri = _uri(_STRANGER, post.published_at - 3600, 2)
        recorded = {"$type": "app.bsky.embed.record", "record": {"uri": uri, "cid": _cid(post.key ^ 3)}}
        gone = {"$type": "app.bsky.embed.record#viewNotFound", "uri": uri, "notFound": True}
        shown = {"$type": "app.bsky.embed.record#view", "record": gone}
    elif post.format == "image":
        url = f"https://cdn.bsky.example/img/{post.key:x}@jpeg"
        count = 1 + post.key % 3
        recorded = {"$type": "app.bsky.embed.images", "images": [{"alt": "", "image": blob}] * count}
        picture = {"thumb": url, "fullsize": url, "alt": ""}
        shown = {"$type": "app.bsky.embed.images#view", "images": [picture] * count}
    elif post.format == "video":
        recorded = {"$type": "app.bsky.embed.video", "video": blob | {"mimeType": "video/mp4"}}
        playlist = f"https://video.bsky.example/{post.key:x}/playlist.m3u8"
        shown = {"$type": "app.bsky.embed.video#view", "cid": _cid(post.key ^ 4), "playlist": playlist}
    elif post.format == "link":
        card = {"uri": link, "title": wording.title(post), "description": ""}
        recorded = {"$type": "app.bsky.embed.external", "external": card}
        shown = {"$type": "app.bsky.embed.external#view", "external": card}
    else:
        return None
    return recorded, shown
