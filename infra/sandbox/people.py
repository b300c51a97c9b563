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
_CONSONANTS, _ENDINGS = "bcdfghjklmnprstvwz", ("", "n", "r")
_SYLLABLES = [c + v + e for c in _CONSONANTS for v in "aeiou" for e in _ENDINGS]
_PROSE = (
    "Coffee, long walks and too many books. Writing about small things that work. "
    "Mostly here for the recipes and the people. Photographs on weekends, spreadsheets in the week. "
    "Opinions are my own and change with the weather. "
)
_WORD_STARTS = [0, *(i + 1 for i, letter in enumerate(_PROSE) if letter == " " and i < 120)]
_LOCAL = 0.64
"""Of a Mastodon account's followers, the share that is on its own server."""
REMOTE_SERVERS = ("pebble.example", "orchard.example", "signal.example", "drift.example", "willow.example")


class Member(NamedTuple):
    """One member of an audience, as the platform would know it."""

    number: int
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
    scaled: Floats = density / density.mean()
    return scaled


def fake_flags(account: Account, members: NDArray[np.int64], t: float, fakes: float) -> NDArray[np.bool_]:
    """Which members are fake: a denser share in some stretches of the list, nearly all in bought blocks."""
    stretch = members * _STRETCHES // max(account.first_followers, 1)
    local = min(_CAP, account.fake_target * fakes) * _stretches(account)[stretch % _STRETCHES]
    local = np.minimum(local, 0.95)
    for _, start, end in history(account, t, fakes).purchases:
        local[(members >= start) & (members < end)] = _IN_BLOCK
    return uniforms(account.key ^ 0x5EED, members, 1)[:, 0] < local


def commenters(account: Account) -> int:
    """How many members of an audience ever comment."""
    return max(200, int(account.first_followers * 0.03))


def commenter(account: Account, place: int) -> int:
    """The member at a place among the commenters, who are spread over all that followed by EPOCH."""
    return place * (account.first_followers // commenters(account))


def is_commenter(account: Account, member: int) -> bool:
    """Whether this member ever comments."""
    place, rest = divmod(member, account.first_followers // commenters(account))
    return rest == 0 and place < commenters(account)


@lru_cache(maxsize=4096)
def _share(account: Account, hour: int, fakes: float) -> tuple[float, int]:
    t = hour * 3600.0
    members = (
        np.arange(commenters(account)) * commenter(account, 1)
        if account.traits.audience == "commenter"
        else audience(account, t, fakes).everyone()
    )
    return float(fake_flags(account, members, t, fakes).mean()) if len(members) else 0.0, len(members)


def fake_share(account: Account, t: float, fakes: float) -> tuple[float, int]:
    """The true share of fakes in the audience that the platform shows (followers, or commenters), and its size."""
    return _share(account, int(t // 3600), fakes)


# Medians, spreads (of the logarithm) and odds for six kinds of member.
# People: usual, hardly there, follows thousands. Fakes: cheap, well made, hardly told apart.
_PEOPLE_UP_TO, _FAKES_UP_TO = (0.78, 0.96), (0.62, 0.88)
_TRAITS = {
    "followers": (330, 28, 420, 9, 55, 40),
    "followers_spread": (1.35, 1.1, 1.2, 1.3, 1.0, 1.1),
    "following": (320, 140, 2600, 620, 520, 210),
    "following_spread": (0.85, 1.0, 0.5, 1.0, 0.8, 1.0),
    "posts": (260, 9, 400, 4, 26, 8),
    "posts_spread": (1.7, 1.4, 1.6, 1.5, 1.2, 1.4),
    "no_posts": (0.02, 0.3, 0.03, 0.42, 0.08, 0.3),
    "picture": (0.985, 0.88, 0.97, 0.58, 0.96, 0.86),
    "no_bio": (0.24, 0.62, 0.3, 0.78, 0.42, 0.6),
    "no_digits": (0.84, 0.72, 0.8, 0.42, 0.62, 0.7),
    "age": (1500, 900, 1600, 110, 420, 600),
    "age_spread": (0.7, 0.8, 0.6, 1.0, 0.8, 0.8),
    "link": (0.16, 0.03, 0.25, 0.02, 0.1, 0.03),
    "private": (0.3, 0.4, 0.1, 0.3, 0.2, 0.3),
}


def members(account: Account, index: NDArray[np.int64], t: float, fakes: float) -> list[Member]:
    """The members with these numbers, in the same order."""
    if not len(index):
        return []
    u = uniforms(account.key ^ 0xFACE, index, 17)
    fake = fake_flags(account, index, t, fakes)
    kind = np.where(
        fake,
        3 + np.searchsorted(_FAKES_UP_TO, u[:, 0], side="right"),
        np.searchsorted(_PEOPLE_UP_TO, u[:, 0], side="right"),
    )
    of_kind = {name: np.array(values)[kind] for name, values in _TRAITS.items()}

    def sized(name: str, column: int) -> Floats:
        return of_kind[name] * np.exp(of_kind[f"{name}_spread"] * normal(u[:, column]))

    length = np.clip(11 + 2.6 * normal(u[:, 10]), 4, 24)
    digits = np.where(u[:, 8] < of_kind["no_digits"], 0, np.round((0.08 + 0.34 * u[:, 9]) * length))
    joined = joined_at(account, index, t, fakes)
    rows = zip(
        index.tolist(),
        fake.tolist(),
        joined.tolist(),
        (joined - DAY * np.clip(sized("age", 11), 1, 4500)).tolist(),
        _whole(sized("followers", 1) * (0.4 if account.traits.audience == "commenter" else 1.0)),
        _whole(np.clip(sized("following", 2), 1, None)),
        _whole(np.where(u[:, 4] < of_kind["no_posts"], 0, sized("posts", 3))),
        (u[:, 5] < of_kind["picture"]).tolist(),
        _whole(np.where(u[:, 6] < of_kind["no_bio"], 0, np.clip(58 * np.exp(0.75 * normal(u[:, 7])), 0, 160))),
        (u[:, 12] < of_kind["link"]).tolist(),
        _whole(np.clip(length - digits, 3, None)),
        _whole(digits),
        words(account.key ^ 0x1ABE1, index, 1)[:, 0].tolist(),
        (u[:, 13] < of_kind["private"]).tolist(),
        ((u[:, 14] < 0.01) & (kind == 0)).tolist(),
        _whole(np.where(u[:, 15] < _LOCAL, -1, u[:, 15] * 1000 % len(REMOTE_SERVERS))),
        u[:, 16].tolist(),
        strict=True,
    )
    found = []
    for *counted, bio, has_link, letters, digit_count, word, is_private, is_verified, server, draw in rows:
        handle, name = _handle(word, letters, digit_count)
        home = REMOTE_SERVERS[server] if server >= 0 else ""
        text = _bio(word, bio)
        found.append(Member._make((*counted, text, has_link, handle, name, is_private, is_verified, home, draw)))
    return found


def _whole(values: Floats) -> list[int]:
    whole: list[int] = values.astype(np.int64).tolist()
    return whole


def _bio(word: int, length: int) -> str:
    start = _WORD_STARTS[word % len(_WORD_STARTS)]
    return _PROSE[start : start + length].strip()


def _handle(word: int, letters: int, digits: int) -> tuple[str, str]:
    """A pronounceable handle of so many letters and digits, and a name made of the same syllables."""
    parts = [_SYLLABLES[(word >> shift) % len(_SYLLABLES)] for shift in range(0, 56, 7)]
    text = "".join(parts)[:letters]
    name = f"{parts[0]}{parts[1]} {parts[2]}{parts[3]}".title()
    return (text + str(word % 10**digits).zfill(digits) if digits else text), name
