"""The comments below posts: who wrote which, when, and what it says."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.sandbox import people, posts
from infra.sandbox.cast import DAY, Account
from infra.sandbox.draw import Floats, mix, words
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wording import THINGS

_THREADS = 0.75
"""Share of comments that begin a thread; the rest are replies."""
_MOST = 400
"""Of one video, the channel's list shows no more than this many of the newest threads."""
_CHANNEL_DAYS = 60 * DAY
_AGES = np.geomspace(0.02, 6000, 400)
_KIND = (
    "This helped, thank you!",
    "Tried it yesterday and it works.",
    "The part in the middle made my day.",
    "Could you show the {thing} again?",
    "Been waiting for this one.",
    "I disagree about the {thing}, but well said.",
    "Greetings from the train.",
    "My {thing} broke the same way.",
    "Saved for the weekend.",
    "Great light in this one.",
    "Which {thing} is that?",
    "Calm, clear, no shouting. More please.",
)
_SPAM = (
    "Nice!!! check my page",
    "first 🔥🔥🔥",
    "wow amazing content",
    "I earn from home, ask me how",
    "follow back please",
    "❤️❤️❤️",
)


class Comment(NamedTuple):
    """The first comment of a thread."""

    post: Post
    number: int
    at: float
    member: int


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads in the order in which they are listed; row i is thread `number[i]` below `videos[video[i]]`."""

    videos: tuple[Post, ...]
    video: NDArray[np.int64]
    number: NDArray[np.int64]
    at: Floats

    def page(self, start: int, size: int) -> list[Comment]:
        """Rows from `start` on, at most `size`."""
        cut = slice(start, start + size)
        rows = zip(self.video[cut].tolist(), self.number[cut].tolist(), self.at[cut].tolist(), strict=True)
        return [Comment(self.videos[v], n, at, author(self.videos[v], n)) for v, n, at in rows]


def author(post: Post, number: int) -> int:
    """The member of the audience that began a thread."""
    place = mix(post.key ^ (number << 8)) % people.commenters(post.account)
    return people.commenter(post.account, place)


def _moments(post: Post, t: int, most: int) -> tuple[NDArray[np.int64], Floats]:
    """Numbers and moments of the newest threads below a video at t, newest first."""
    shown = int(post.counters(t).comments * _THREADS)
    number = np.arange(shown - 1, max(0, shown - most) - 1, -1)
    aged = _AGES * 1.25 * post.speed
    share = 1.04 * (1.0 - 0.55 * np.exp(-aged / 7) - 0.31 * np.exp(-aged / 55) - 0.14 * np.exp(-aged / 700))
    at = post.published_at + 3600 * np.interp((number + 0.5) / max(1.0, post.ends[2] * _THREADS), share, _AGES)
    return number, np.minimum(at, t)


@lru_cache(maxsize=512)
def of_post(post: Post, t: int, order: str) -> Threads:
    """The threads below a video at t, newest first, or in an order of relevance."""
    number, at = _moments(post, t, 1 << 20)
    if order == "relevance":
        shuffled = np.argsort(words(post.key, number, 1)[:, 0])
        number, at = number[shuffled], at[shuffled]
    return Threads((post,), np.zeros(len(number), dtype=np.int64), number, at)


@lru_cache(maxsize=256)
def of_channel(account: Account, t: int, fakes: float) -> Threads:
    """The threads below all of a channel's recent videos, newest first."""
    recent = posts.newest(account, t + 1, t, fakes, t - _CHANNEL_DAYS)
    videos = tuple(post for post in recent if not post.comments_off)
    columns = [_moments(post, t, _MOST) for post in videos]
    if not columns:
        return Threads((), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    at = np.concatenate([moments for _, moments in columns])
    order = np.argsort(-at, kind="stable")
    video = np.repeat(np.arange(len(columns)), [len(number) for number, _ in columns])
    return Threads(videos, video[order], np.concatenate([number for number, _ in columns])[order], at[order])


def text(row: Comment, member: Member) -> str:
    """What a comment says; fakes repeat each other."""
    pick = mix(row.post.key ^ (row.number << 20))
    if member.is_fake and pick % 10 < 7:
        return _SPAM[pick % len(_SPAM)]
    return _KIND[pick % len(_KIND)].format(thing=THINGS[(pick >> 8) % 16])
