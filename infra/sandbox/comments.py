"""Words of the world: titles and texts of posts, and the comments below YouTube's videos."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from infra.sandbox import people, posts
from infra.sandbox.cast import CREATOR, DAY, MEMBER, Account
from infra.sandbox.draw import base64url, mix, words
from infra.sandbox.posts import Post
from infra.sandbox.wire import iso

if TYPE_CHECKING:
    from infra.sandbox.youtube import YouTube

_THREADS = 0.75
"""Share of comments that begin a thread; the rest are replies."""
_OF_A_POST = 400
_CHANNEL_DAYS = 60 * DAY
_AGES = np.geomspace(0.02, 6000, 400)
_THINGS = "pan bike ridge lens lamp garden keyboard harbour sourdough notebook telescope jacket playlist budget trail kettle".split()
_DOINGS = ("How I fixed the", "A week with the", "What nobody says about the", "Five ways to use a", "The honest", "Building a better", "Packing the", "Why I sold my")
_KIND = (
    "This helped, thank you!", "Tried it yesterday and it works.", "The part in the middle made my day.", "Could you show the {thing} again?",
    "Been waiting for this one.", "I disagree about the {thing}, but well said.", "Greetings from the train.", "My {thing} broke the same way.",
    "Saved for the weekend.", "Great light in this one.", "Which {thing} is that?", "Calm, clear, no shouting. More please.",
)  # fmt: skip
_SPAM = ("Nice!!! check my page", "first 🔥🔥🔥", "wow amazing content", "I earn from home, ask me how", "follow back please", "❤️❤️❤️")


def title(post: Post) -> str:
    """A post's headline."""
    return f"{_DOINGS[post.key % 8]} {_THINGS[(post.key >> 8) % 16]}"


def description(post: Post) -> str:
    """The text below a video, with its disclosure where there is one in words."""
    text = f"{title(post)}: notes and links. #{post.account.topic}"
    if post.is_sponsored:
        text += f" #ad Thanks to Northwind for the {_THINGS[(post.key >> 8) % 16]}: https://shop.example/{post.key % 9999}"
    return text


def note(post: Post) -> tuple[str, list[str], str | None]:
    """The text of a short post, its hashtags and its link."""
    tags = [post.account.topic] if post.key % 3 else []
    if post.is_sponsored:
        tags.append("ad")
    link = f"https://{post.account.topic}.example/{post.key % 9999}" if post.format == "link" or post.is_sponsored else None
    text = title(post) + ("?" if post.relation == "reply" else ". Grüße 🌿" if post.key % 5 == 0 else ".")
    return text, tags, link


class Comment(NamedTuple):
    """The first comment of a thread."""

    post: Post
    number: int
    at: float
    member: int


@lru_cache(maxsize=1024)
def of_post(post: Post, t: int, order: str = "time", most: int = 100_000) -> list[Comment]:
    """The threads below a video at t, newest first (or the most relevant first)."""
    total = int(post.ends[2] * _THREADS)
    shown = min(total, int(post.counters(t).comments * _THREADS))
    if not shown:
        return []
    number = np.arange(max(0, shown - most), shown)
    aged = _AGES * 1.25 * post.speed
    share = 1.04 * (1.0 - 0.55 * np.exp(-aged / 7) - 0.31 * np.exp(-aged / 55) - 0.14 * np.exp(-aged / 700))
    at = post.published_at + 3600 * np.interp((number + 0.5) / post.ends[2] / _THREADS, share, _AGES)
    author = words(post.key ^ 0xC0, number, 1)[:, 0] % np.uint64(people.commenters(post.account))
    rows = [Comment(post, n, min(when, t), who) for n, when, who in zip(number.tolist(), at.tolist(), author.tolist(), strict=True)]
    return sorted(rows, key=lambda row: mix(post.key ^ row.number)) if order == "relevance" else rows[::-1]


@lru_cache(maxsize=256)
def of_channel(account: Account, t: int, fakes: float, order: str) -> list[Comment]:
    """The threads below all of a channel's recent videos, newest first."""
    rows = [
        row
        for post in posts.newest(account, t + 1, t, fakes, t - _CHANNEL_DAYS)
        if not post.comments_off
        for row in of_post(post, t, order, _OF_A_POST)
    ]
    return sorted(rows, key=lambda row: (-row.at, row.post.index, row.number))


def resources(api: YouTube, rows: list[Comment], parts: set[str], t: float) -> list[dict[str, object]]:
    """The threads as the API shows them."""
    if not rows:
        return []
    account = rows[0].post.account
    found = people.members(account, np.array([row.member for row in rows]), t, api.world.fakes)
    return [_thread(api, row, member, parts) for row, member in zip(rows, found, strict=True)]


def _text(row: Comment, member: people.Member) -> str:
    pick = mix(row.post.key ^ (row.number << 20))
    if member.is_fake and pick % 10 < 7:
        return _SPAM[pick % len(_SPAM)]
    return _KIND[pick % len(_KIND)].format(thing=_THINGS[(pick >> 8) % 16])


def _comment(api: YouTube, row: Comment, member: people.Member, comment_id: str, text: str) -> dict[str, object]:
    account = row.post.account
    channel_id = api.world.codecs.channel_id(MEMBER, account.number, member.index)
    picture = f"https://yt3.ggpht.example/{channel_id[2:10]}=s48" if member.has_picture else "https://yt3.ggpht.example/a/default-user=s48"
    snippet: dict[str, object] = {
        "channelId": account.local_id,
        "videoId": api.video_id(row.post),
        "textDisplay": text,
        "textOriginal": text,
        "authorDisplayName": f"@{member.handle}",
        "authorProfileImageUrl": picture,
        "authorChannelUrl": f"http://www.youtube.com/@{member.handle}",
        "authorChannelId": {"value": channel_id},
        "canRate": True,
        "viewerRating": "none",
        "likeCount": int(mix(row.post.key ^ row.number) % 7 == 0) * (row.number % 40),
        "publishedAt": iso(row.at),
        "updatedAt": iso(row.at),
    }
    if member.draw > 0.997:  # authors of some old comments have no channel any more
        del snippet["authorChannelId"]
    return {"kind": "youtube#comment", "etag": comment_id[:12], "id": comment_id, "snippet": snippet}


def _thread(api: YouTube, row: Comment, member: people.Member, parts: set[str]) -> dict[str, object]:
    value = mix(row.post.key ^ (row.number << 24))
    comment_id = "Ug" + base64url(value << 64 | mix(value ^ CREATOR), 16) + "4AaABAg"
    replies = int(value % 4 == 0)
    thread: dict[str, object] = {"kind": "youtube#commentThread", "etag": comment_id[:12], "id": comment_id}
    if "snippet" in parts:
        thread["snippet"] = {
            "channelId": row.post.account.local_id,
            "videoId": api.video_id(row.post),
            "topLevelComment": _comment(api, row, member, comment_id, _text(row, member)),
            "canReply": True,
            "totalReplyCount": replies,
            "isPublic": True,
        }
    if "replies" in parts and replies:
        answer = _comment(api, row, member, f"{comment_id}.{value % 10**9}", "And one more thing: thank you.")
        answer["snippet"]["parentId"] = comment_id  # type: ignore[index]
        thread["replies"] = {"comments": [answer]}
    return thread
