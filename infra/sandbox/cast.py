"""Who lives in the world: creators, their accounts and what each is like. Everything here is invented."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from infra.sandbox.draw import Codec, base32, base64url, from_base32, from_base64url, key, mix, uniform

PLATFORMS = ("youtube", "bluesky", "mastodon")
CREATORS = 180
WATCHED_CREATORS = 45
DAY = 86_400.0
EPOCH = datetime(2025, 7, 1, tzinfo=UTC).timestamp()
"""The world's first listed post; profiles older than that have a past that only their counters tell."""

SERVERS = ("meadow.example", "harbor.example", "lantern.example", "quarry.example")
SPLIT_SERVER = ("reef.example", "social.reef.example")
"""Handles end in the first, the API is on the second."""
CLOSED_SERVER = "closed.example"
DID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

_FIRST_NAMES = """
Mara Tobin Elif Ravi Noor Juno Pavel Signe Amara Theo Ines Kofi Lena Hugo Yuki Dara Milo Freya Omar Tess Ivo Nadia
Bram Celia Arlo Zeynep Finn Rosa Idris Hana Levi Greta Samir Paula Otto Maeve Cyrus Linnea Dario Wren Esme Nils
Aisha Caspar Leila Rune Talia Emil Priya Joris Vera Anton Sana Felix Mina Oskar Thea Rafi Clara Boris Elin
"""
_LAST_NAMES = """
Holloway Brandt Okafor Lindqvist Marsh Vega Tanaka Sorel Quint Abara Fenwick Dorn Castel Novak Whitlow Reyes Amsel
Kaplan Thorne Ibsen Moreau Falk Sato Winter Larkin Osei Petrov Harrow Silva Munro Keller Ashby Toivonen Rao Calloway
Berg Nkemelu Stroud Ferri Galanis Hale Janssen Kovac Lund Mbeki Nyberg Ortega Pell Rosen Sander Tate Ueda Voss Wilde
Yilmaz Zeller Adair
"""
_TOPICS = """
food fitness gaming travel beauty science music diy finance fashion books outdoors
"""
_MARKETS = "DE de, US en, GB en, FR fr, NL nl, SE sv, ES es, BR pt"
_FIRST, _LAST, TOPICS = _FIRST_NAMES.split(), _LAST_NAMES.split(), _TOPICS.split()
MARKETS = [tuple(pair.split()) for pair in _MARKETS.split(", ")]
CREATOR, MEMBER = 1, 2
"""Kinds of id: an account of the cast, and a member of its audience."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a creator, with everything about it that never changes."""

    number: int
    key: int
    creator_id: str
    creator_name: str
    platform: str
    local_id: str  # the platform's own id: channel id, DID, number on its server
    handle: str  # as the platform shows it, without @
    account: str  # as a watch list has it
    account_id: str  # as assay's events have it
    host: str  # where its API is; empty for the platforms with one host
    market: str
    language: str
    topic: str
    created_at: float
    first_followers: int  # at EPOCH
    join_rate: float  # share of first_followers that joins in a year
    leave_ratio: float  # leaving for each one joining
    fake_target: float  # share of fakes that its audience is built to have
    buys_every_days: float  # 0: never buys
    buys_share: float  # of first_followers, at each purchase
    posts_a_day: float
    pull: float  # views (YouTube) or likes for each follower, of a usual post
    older_posts: int
    repeat: float  # unique viewers for each view of a usual video
    regulars: float  # share of a video's viewers that watch most of the others
    is_watched: bool
    flags: frozenset[str] = field(default_factory=frozenset)

    def __hash__(self) -> int:
        """The key alone: accounts are looked up in caches all the time."""
        return self.key

    @property
    def domain(self) -> str:
        """What a Mastodon handle ends in; the API may be on another host."""
        return self.account_id.rpartition("@")[2]


def _name(creator: int) -> str:
    return f"{_FIRST[creator % len(_FIRST)]} {_LAST[creator * 11 % len(_LAST)]}"


def _platforms(creator: int) -> tuple[str, ...]:
    """One platform for most, two for a few, all three for the first of each 45."""
    place, first = creator % WATCHED_CREATORS, creator % 3
    if place == 0:
        return PLATFORMS
    if place <= 5:
        return PLATFORMS[first], PLATFORMS[(first + 1) % 3]
    return (PLATFORMS[first],)


# Oddities by (platform, how many accounts of that platform came before): each is met in the watch list.
_ODDITIES: dict[tuple[str, int], set[str]] = {
    ("youtube", 2): {"hidden_likes"},
    ("youtube", 4): {"hidden_subscribers"},
    ("youtube", 6): {"no_comments"},
    ("youtube", 8): {"hidden_likes"},
    ("bluesky", 5): {"suspended_first"},
    ("mastodon", 5): {"suspended_second"},
    ("mastodon", 7): {"hides_network"},
    ("youtube", 40): {"empty"},
    ("youtube", 41): {"terminated"},
    ("bluesky", 40): {"deactivated"},
    ("mastodon", 40): {"deleted"},
    ("mastodon", 41): {"hides_counts"},
}


def account(codecs: "Codecs", number: int, creator: int, before: int, platform: str) -> Account:
    """The account that creator has on platform; `before` accounts of that platform came earlier."""
    seed = codecs.seed
    own = key(seed, "account", creator, platform)
    draws = [uniform(own + 977 * i) for i in range(16)]
    flags = _ODDITIES.get((platform, before), set())
    market, language = MARKETS[mix(key(seed, "market", creator)) % len(MARKETS)]
    slug = _name(creator).replace(" ", "").lower() + ("" if creator < len(_FIRST) else str(creator))
    host = ""
    if platform == "youtube":
        size, rate = 3_000 * (2_000_000 / 3_000) ** (draws[0] ** 1.3), 0.15 + 0.5 * draws[1]
        pull = 0.08 + 0.3 * draws[2]
        local_id = codecs.channel_id(CREATOR, number, 0)
        handle, account_id = f"{slug}.example", local_id
        listed = local_id if before % 4 == 3 else f"@{handle}"
    elif platform == "bluesky":
        size, rate = 500 * 160.0 ** draws[0], 0.3 + 1.4 * draws[1]
        pull = 0.006 + 0.02 * draws[2]
        local_id = codecs.did(CREATOR, number, 0)
        handle, account_id = f"{slug}.bsky.example", local_id
        listed = local_id if before % 6 == 4 else handle
    else:
        size, rate = 500 * 160.0 ** draws[0], 0.3 + 1.2 * draws[1]
        pull = 0.006 + 0.016 * draws[2]
        domain = host = SERVERS[before % len(SERVERS)]
        if before == 42:
            domain, host = SPLIT_SERVER
        elif before == 43:
            domain = host = CLOSED_SERVER
        local_id = codecs.mastodon_id(CREATOR, number, 0)
        handle, account_id = slug, f"{slug}@{domain}"
        listed = account_id
    # One account in four is built on bought followers.
    bought = before % 4 == 1
    target = 0.1 + 0.38 * draws[3] if bought else 0.015 + 0.26 * draws[3] ** 2
    return Account(
        number=number,
        key=own,
        creator_id=f"creator-{creator + 1:03d}",
        creator_name=_name(creator),
        platform=platform,
        local_id=local_id,
        handle=handle,
        account=listed,
        account_id=account_id,
        host=host,
        market=market,
        language=language,
        topic=TOPICS[mix(key(seed, "topic", creator)) % len(TOPICS)],
        created_at=EPOCH - DAY * (300 + 2_600 * draws[4]),
        first_followers=int(size),
        join_rate=0.1 + 0.5 * draws[5] ** 2,
        leave_ratio=0.3 + 0.75 * draws[6] ** 2,
        fake_target=target,
        buys_every_days=17 + 12 * draws[7] if bought else 0.0,
        buys_share=0.02 + 0.03 * draws[8],
        posts_a_day=0.0 if "empty" in flags else rate,
        pull=pull,
        older_posts=0 if "empty" in flags else int(20 + 900 * draws[9]),
        repeat=0.55 + 0.37 * draws[10],
        regulars=0.15 + 0.5 * draws[11],
        is_watched=creator < WATCHED_CREATORS,
        flags=frozenset(flags),
    )


def everyone(codecs: "Codecs") -> list[Account]:
    """Every account of the world; an account's place in the list is its number."""
    accounts: list[Account] = []
    seen = dict.fromkeys(PLATFORMS, 0)
    for creator in range(CREATORS):
        for platform in _platforms(creator):
            accounts.append(account(codecs, len(accounts), creator, seen[platform], platform))
            seen[platform] += 1
    return accounts


class Codecs:
    """Ids of accounts and members in each platform's own form, and back."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.wide = Codec(seed, 64, "accounts")
        self.narrow = Codec(seed, 56, "accounts")
        self.videos = Codec(seed, 64, "videos")

    def channel_id(self, kind: int, number: int, index: int) -> str:
        """`UC` and 22 letters."""
        value = self.wide.encode(kind, number, index)
        return "UC" + base64url(value << 64 | mix(value), 16)

    def did(self, kind: int, number: int, index: int) -> str:
        """`did:plc:` and 24 letters."""
        value = self.wide.encode(kind, number, index)
        return "did:plc:" + base32(value << 56 | mix(value) >> 8, 24, DID_ALPHABET)

    def mastodon_id(self, kind: int, number: int, index: int) -> str:
        """18 digits, as servers give them since they number by time."""
        return str(10**17 + self.narrow.encode(kind, number, index))

    def video_id(self, number: int, index: int) -> str:
        """The 11 letters of an account's video."""
        return base64url(self.videos.encode(CREATOR, number, index), 8)

    def read_video(self, text: str) -> tuple[int, int] | None:
        """(account's number, video's index), or None where the letters name no video."""
        value = from_base64url(text, 8) if len(text) == 11 else None
        found = None if value is None else self.videos.decode(value)
        return found and (found[1], found[2])

    def read(self, platform: str, text: str) -> tuple[int, int, int] | None:
        """(kind, account's number, member's index) of an id, or None where it names nobody."""
        if platform == "youtube":
            value = from_base64url(text[2:], 16) if text.startswith("UC") and len(text) == 24 else None
            found = None if value is None else self.wide.decode(value >> 64)
            return found if found and self.channel_id(*found) == text else None
        if platform == "bluesky":
            value = from_base32(text[8:], DID_ALPHABET) if text.startswith("did:plc:") and len(text) == 32 else None
            found = None if value is None else self.wide.decode(value >> 56)
            return found if found and self.did(*found) == text else None
        return self.narrow.decode(int(text) - 10**17) if text.isascii() and text.isdigit() and len(text) < 20 else None
