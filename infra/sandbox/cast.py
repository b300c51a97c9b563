"""Who lives in the world: creators, their accounts and what each is like. Everything here is invented."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from infra.sandbox.draw import key, mix, uniform
from infra.sandbox.ids import CREATOR, Ids
from infra.sandbox.traits import TRAITS, Traits

PLATFORMS = tuple(TRAITS)
_FIRST_PLATFORMS = ("youtube", "bluesky", "mastodon")
"""Each creator has an account on one of these at least; on the others some have one besides."""
_ON_THE_OTHERS = 7
"""Creators on the watch list with an account on each of the others, and as many that are not on it."""
CREATORS = 180
WATCHED_CREATORS = 45
ROOM = 16_384
"""Accounts that ids can tell apart (`draw.Codec`)."""
DAY = 86_400.0
EPOCH = datetime(2025, 7, 1, tzinfo=UTC).timestamp()
"""The world's first listed post; profiles older than that have a past that only their counters tell."""

RENAMED = EPOCH + 497 * DAY
"""2026-11-10: since then renamed accounts answer to their new handles alone."""

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

    @property
    def traits(self) -> Traits:
        """What its platform is like."""
        return TRAITS[self.platform]

    @property
    def former_handle(self) -> str | None:
        """What it was called before RENAMED; None where it was never renamed."""
        return f"old{self.handle}"[: self.traits.longest] if "renamed" in self.flags else None

    @property
    def display_name(self) -> str:
        """What its profile shows as its name."""
        return f"\u200f{self.creator_name}\x00 \U0001f33f" if "odd_name" in self.flags else self.creator_name

    def handle_at(self, t: float) -> str:
        """The handle that the platform shows at t."""
        return self.former_handle or self.handle if t < RENAMED else self.handle


def _name(creator: int) -> str:
    return f"{_FIRST[creator % len(_FIRST)]} {_LAST[creator * 11 % len(_LAST)]}"


def _platforms(creator: int) -> tuple[str, ...]:
    """One of the first platforms for most, two for a few, all three for the first of each 45."""
    place, first = creator % WATCHED_CREATORS, creator % 3
    if place == 0:
        return _FIRST_PLATFORMS
    if place <= 5:
        return _FIRST_PLATFORMS[first], _FIRST_PLATFORMS[(first + 1) % 3]
    return (_FIRST_PLATFORMS[first],)


def _handle(traits: Traits, creator: int) -> str:
    """The creator's name in the platform's form, told apart by a number where names come again."""
    number = "" if creator < len(_FIRST) else str(creator)
    name = _name(creator).replace(" ", "").lower()
    room = traits.longest - len(traits.handle.format(slug=number))
    return traits.handle.format(slug=name[:room] + number)


def account(ids: Ids, number: int, creator: int, before: int, platform: str) -> Account:
    """The account that creator has on platform; `before` accounts of that platform came earlier."""
    traits, seed = TRAITS[platform], ids.seed
    own = key(seed, "account", creator, platform)
    draws = [uniform(own + 977 * i) for i in range(16)]
    flags = traits.oddities.get(before, frozenset())
    market, language = MARKETS[mix(key(seed, "market", creator)) % len(MARKETS)]
    least, most, bend = traits.size
    domain, host = traits.home(before)
    local_id, handle = ids.account(CREATOR, number), _handle(traits, creator)
    listed_as = f"old{handle}"[: traits.longest] if "renamed" in flags else handle
    every, which = traits.listed_by_id or (1, 1)
    listed = "{id}" if before % every == which else traits.listed
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
        account=listed.format(handle=listed_as, domain=domain, id=local_id),
        account_id=traits.account_id.format(handle=handle, domain=domain, id=local_id),
        host=host,
        market=market,
        language=language,
        topic=TOPICS[mix(key(seed, "topic", creator)) % len(TOPICS)],
        created_at=EPOCH - DAY * (300 + 2_600 * draws[4]),
        first_followers=int(least * (most / least) ** (draws[0] ** bend)),
        join_rate=0.1 + 0.5 * draws[5] ** 2,
        leave_ratio=0.3 + 0.75 * draws[6] ** 2,
        fake_target=target,
        buys_every_days=17 + 12 * draws[7] if bought else 0.0,
        buys_share=0.02 + 0.03 * draws[8],
        posts_a_day=0.0 if "empty" in flags else traits.rate[0] + traits.rate[1] * draws[1],
        pull=traits.pull[0] + traits.pull[1] * draws[2],
        older_posts=0 if "empty" in flags else int(20 + 900 * draws[9]),
        repeat=0.55 + 0.37 * draws[10],
        regulars=0.15 + 0.5 * draws[11],
        is_watched=creator < WATCHED_CREATORS,
        flags=flags,
    )


def _cast(more: Mapping[str, int]) -> list[tuple[int, str]]:
    """Who is where: (creator, platform), the first platforms' accounts before the others', and more after all."""
    cast = [(creator, platform) for creator in range(CREATORS) for platform in _platforms(creator)]
    for place, platform in enumerate(name for name in PLATFORMS if name not in _FIRST_PLATFORMS):
        watched = [0, *(6 * k + place % 6 for k in range(1, _ON_THE_OTHERS))]
        cast += [(WATCHED_CREATORS * besides + creator, platform) for besides in (0, 1) for creator in watched]
    cast += [(CREATORS + place, platform) for platform, count in more.items() for place in range(count)]
    if len(cast) > ROOM:
        raise ValueError(f"{len(cast)} accounts; ids have room for {ROOM}")
    return cast


def everyone(ids: Mapping[str, Ids], more: Mapping[str, int]) -> list[Account]:
    """Every account of the world, with so many more on platforms; an account's place in the list is its number.

    What is there without more stays as it is. Raises ValueError for more than ids have room for.
    """
    accounts: list[Account] = []
    seen = dict.fromkeys(PLATFORMS, 0)
    for creator, platform in _cast(more):
        accounts.append(account(ids[platform], len(accounts), creator, seen[platform], platform))
        seen[platform] += 1
    return accounts
