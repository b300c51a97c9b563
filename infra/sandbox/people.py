"""The members of audiences: what each one's profile looks like, and which are fake.

A member is a pure function of (account, index). The profiles' distributions follow what published sets of labelled
accounts look like, overlap included: some fakes are well made, some people hardly use their accounts.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.sandbox.cast import DAY, Account
from infra.sandbox.draw import Floats, lognormal, normal, uniforms, words
from infra.sandbox.growth import audience, history, joined_at

_STRETCHES = 24
_CAP = 0.85
_IN_BLOCK = 0.95
_SYLLABLES = [c + v + e for c in "b c d f g h j k l m n p r s t v w z".split() for v in "aeiou" for e in ("", "n", "r")][:256]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PROSE = (
    "Coffee, long walks and too many books. Writing about small things that work. Mostly here for the recipes and the people. "
    "Photographs on weekends, spreadsheets in the week. Opinions are my own and change with the weather. "
)
REMOTE_SERVERS = ("pebble.example", "orchard.example", "signal.example", "drift.example", "willow.example")


class Member(NamedTuple):
    """One member of an audience, as the platform would know it."""

    index: int
    is_fake: bool
    joined_at: float
    created_at: float
    followers: int
    following: int
    posts: int
    has_picture: bool
    bio: str
    has_link: bool
    handle: str
    name: str
    is_private: bool
    is_verified: bool
    server: str  # Mastodon: the server of a remote member, else empty
    draw: float  # for choices that a platform makes about this member


def _stretches(account: Account) -> Floats:
    """Fakes came in waves: how dense each stretch of the list is, against the mean of 1."""
    density = lognormal(uniforms(account.key ^ 0x3A, np.arange(_STRETCHES), 1)[:, 0], 1.0, 0.55)
    return density / density.mean()


def fake_flags(account: Account, members: NDArray[np.int64], t: float, fakes: float) -> NDArray[np.bool_]:
    """Which members are fake: a denser share in some stretches of the list, nearly all in bought blocks."""
    stretch = members * _STRETCHES // max(account.first_followers, 1)
    local = min(_CAP, account.fake_target * fakes) * _stretches(account)[stretch % _STRETCHES]
    local = np.minimum(local, 0.95)
    for _, start, end in history(account, t, fakes).purchases:
        local[(members >= start) & (members < end)] = _IN_BLOCK
    return uniforms(account.key ^ 0x5EED, members, 1)[:, 0] < local


def commenters(account: Account) -> int:
    """How many of a YouTube channel's oldest members ever comment: its pool of commenters."""
    return max(200, int(account.first_followers * 0.03))


@lru_cache(maxsize=4096)
def _share(account: Account, hour: int, fakes: float) -> tuple[float, int]:
    t = hour * 3600.0
    members = np.arange(commenters(account)) if account.platform == "youtube" else audience(account, t, fakes).everyone()
    return float(fake_flags(account, members, t, fakes).mean()) if len(members) else 0.0, len(members)


def fake_share(account: Account, t: float, fakes: float) -> tuple[float, int]:
    """The true share of fakes in the audience that the platform shows (followers, or commenters), and its size."""
    return _share(account, int(t // 3600), fakes)


def _mixed(kind: NDArray[np.int64], values: tuple[float, ...]) -> Floats:
    return np.array(values)[kind]


def members(account: Account, index: NDArray[np.int64], t: float, fakes: float) -> list[Member]:
    """The members with these numbers, in the same order."""
    if not len(index):
        return []
    u = uniforms(account.key ^ 0xFACE, index, 20)
    fake = fake_flags(account, index, t, fakes)
    # People: 0 usual, 1 hardly there, 2 follows thousands. Fakes: 3 cheap, 4 well made, 5 hardly told apart.
    kind = np.where(
        fake,
        3 + np.searchsorted([0.62, 0.88], u[:, 0], side="right"),
        np.searchsorted([0.78, 0.96], u[:, 0], side="right"),
    )
    audience_scale = 0.4 if account.platform == "youtube" else 1.0
    followers = _mixed(kind, (330, 28, 420, 9, 55, 40)) * audience_scale * np.exp(
        _mixed(kind, (1.35, 1.1, 1.2, 1.3, 1.0, 1.1)) * normal(u[:, 1])
    )
    following = _mixed(kind, (320, 140, 2600, 620, 520, 210)) * np.exp(_mixed(kind, (0.85, 1.0, 0.5, 1.0, 0.8, 1.0)) * normal(u[:, 2]))
    posts = _mixed(kind, (260, 9, 400, 4, 26, 8)) * np.exp(_mixed(kind, (1.7, 1.4, 1.6, 1.5, 1.2, 1.4)) * normal(u[:, 3]))
    posts[u[:, 4] < _mixed(kind, (0.02, 0.3, 0.03, 0.42, 0.08, 0.3))] = 0
    picture = u[:, 5] < _mixed(kind, (0.985, 0.88, 0.97, 0.58, 0.96, 0.86))
    bio = np.where(u[:, 6] < _mixed(kind, (0.24, 0.62, 0.3, 0.78, 0.42, 0.6)), 0.0, 58 * np.exp(0.75 * normal(u[:, 7])))
    digits = np.where(u[:, 8] < _mixed(kind, (0.84, 0.72, 0.8, 0.42, 0.62, 0.7)), 0.0, 0.08 + 0.34 * u[:, 9])
    length = np.clip(11 + 2.6 * normal(u[:, 10]), 4, 24)
    age = _mixed(kind, (1500, 900, 1600, 110, 420, 600)) * np.exp(_mixed(kind, (0.7, 0.8, 0.6, 1.0, 0.8, 0.8)) * normal(u[:, 11]))
    joined = joined_at(account, index, t, fakes)
    columns = (
        index.tolist(),
        fake.tolist(),
        joined.tolist(),
        (joined - DAY * np.clip(age, 1, 4500)).tolist(),
        followers.astype(np.int64).tolist(),
        np.clip(following, 1, None).astype(np.int64).tolist(),
        posts.astype(np.int64).tolist(),
        picture.tolist(),
        np.clip(bio, 0, 160).astype(np.int64).tolist(),
        (u[:, 12] < _mixed(kind, (0.16, 0.03, 0.25, 0.02, 0.1, 0.03))).tolist(),
        length.astype(np.int64).tolist(),
        np.round(digits * length).astype(np.int64).tolist(),
        words(account.key ^ 0x1ABE1, index, 1)[:, 0].tolist(),
        (u[:, 13] < _mixed(kind, (0.3, 0.4, 0.1, 0.3, 0.2, 0.3))).tolist(),
        ((u[:, 14] < 0.01) & (kind == 0)).tolist(),
        u[:, 15].tolist(),
        u[:, 16].tolist(),
    )
    return [_member(*row) for row in zip(*columns, strict=True)]


def _member(
    index: int,
    fake: bool,
    joined: float,
    created: float,
    followers: int,
    following: int,
    posts: int,
    picture: bool,
    bio: int,
    link: bool,
    length: int,
    digits: int,
    word: int,
    private: bool,
    verified: bool,
    place: float,
    draw: float,
) -> Member:
    handle, name = _handle(word, max(3, length - digits), digits)
    start = word % 97
    text = _PROSE[start : start + bio].strip() if bio else ""
    server = "" if place < 0.4 else REMOTE_SERVERS[int(place * 1000) % len(REMOTE_SERVERS)]
    return Member(
        index, fake, joined, created, followers, following, posts, picture, text, link, handle, name, private, verified, server, draw
    )


def _handle(word: int, letters: int, digits: int) -> tuple[str, str]:
    """A pronounceable handle of so many letters and digits, and a name made of the same syllables."""
    parts = [_SYLLABLES[(word >> shift) % len(_SYLLABLES)] for shift in range(0, 56, 7)]
    text = "".join(parts)[:letters]
    name = f"{parts[0]}{parts[1]} {parts[2]}{parts[3]}".title()
    return (text + str(word % 10**digits).zfill(digits) if digits else text), name
