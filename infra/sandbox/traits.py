"""What each platform of the world is like: one row a platform, and nothing elsewhere knows their names.

A row says where the platform answers, how it writes handles and ids, how large its accounts are, how often and what
they publish, which counters exist and who its audience is. To add one, add a row here and the module it names.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from infra.sandbox import formats
from infra.sandbox.ids import DID, X_EPOCH, Form, Stamped, base36_after, base64_after, digits

SERVERS = ("meadow.example", "harbor.example", "lantern.example", "quarry.example")
SPLIT_SERVER = ("reef.example", "social.reef.example")
"""Handles end in the first, the API is on the second."""
CLOSED_SERVER = "closed.example"


@dataclass(frozen=True, kw_only=True)
class Traits:
    """One platform."""

    surface: str
    """`module:Class` in `infra.sandbox`, found when the sandbox starts; a row whose module is not there yet waits."""
    hosts: tuple[str, ...]
    """Hosts that mean this platform, whatever the path."""
    paths: str
    """A regular expression of how paths begin, for clients that call the sandbox by its own address."""

    accounts: Form
    """Ids of accounts and of members of their audiences."""
    posts: Form | Stamped | None = None
    """Ids of posts; None where the surface writes them itself."""
    handle: str = "{slug}.example"
    longest: int = 64
    """Letters of a handle, its ending included."""
    listed: str = "@{handle}"
    """What a watch list calls an account by: of `handle`, `domain`, `id`."""
    listed_by_id: tuple[int, int] | None = None
    """(every, which): of so many accounts this one is on the watch list by its id."""
    account_id: str = "{id}"
    """What assay's events call it by."""
    home: Callable[[int], tuple[str, str]] = lambda _: ("", "")
    """The domain of a handle and the host of its API, where a platform is many servers."""

    size: tuple[float, float, float]
    """Followers at the world's beginning: least, most, and how the draw between them is bent."""
    rate: tuple[float, float]
    """Posts a day: least, and span."""
    pull: tuple[float, float]
    """Of a usual post what counts first (views; likes where there are none) for each follower: least, and span."""
    speed: float = 1.0
    """How much faster counters run than YouTube's."""
    table: formats.Table
    """What accounts publish, and the ends that counters run towards."""
    counters: frozenset[str]
    """The counters that the platform shows, in the words of assay's events."""
    audience: Literal["follower", "commenter", "none"]
    """Who of its audience a platform shows."""
    comments_off: float = 0.0
    """Share of posts without comments."""
    wavers: bool = False
    """Whether counters step back for some minutes now and then."""
    knows_reach: bool = False
    """Whether the truth tells unique viewers."""
    oddities: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Flags of accounts by how many of the platform came before; the first few are on the watch list."""


def _odd(**flags: str) -> dict[int, frozenset[str]]:
    """`_odd(empty="6", hidden_likes="2 8")`: which accounts have which flag."""
    found: dict[int, frozenset[str]] = {}
    for flag, places in flags.items():
        for place in places.split():
            found[int(place)] = found.get(int(place), frozenset()) | {flag}
    return found


def _server(before: int) -> tuple[str, str]:
    if before == 42:
        return SPLIT_SERVER
    domain = CLOSED_SERVER if before == 43 else SERVERS[before % len(SERVERS)]
    return domain, domain


TRAITS: dict[str, Traits] = {
    "youtube": Traits(
        surface="youtube:YouTube",
        hosts=(
            "youtube.googleapis.com",
            "www.googleapis.com",
            "youtubeanalytics.googleapis.com",
            "oauth2.googleapis.com",
            "accounts.google.com",
        ),
        paths=r"/youtube/|/v2/reports|/token$|/revoke$|/o/oauth2/",
        accounts=base64_after("UC", "accounts"),
        posts=base64_after("", "videos", size=8),
        listed_by_id=(4, 3),
        size=(3_000, 2_000_000, 1.3),
        rate=(0.15, 0.5),
        pull=(0.08, 0.3),
        table=formats.videos,
        counters=frozenset({"views", "likes", "comments", "shares", "saves", "quotes"}),
        audience="commenter",
        comments_off=0.03,
        wavers=True,
        knows_reach=True,
        oddities=_odd(hidden_likes="2 8", hidden_subscribers="4", no_comments="6", empty="40", terminated="41"),
    ),
    "bluesky": Traits(
        surface="bluesky:Bluesky",
        hosts=("public.api.bsky.app", "api.bsky.app", "bsky.social", "plc.directory"),
        paths="/xrpc/",
        accounts=DID,
        handle="{slug}.bsky.example",
        listed="{handle}",
        listed_by_id=(6, 4),
        size=(500, 80_000, 1.0),
        rate=(0.3, 1.4),
        pull=(0.006, 0.02),
        speed=3.0,
        table=formats.notes(0.16, 0.05),
        counters=frozenset({"likes", "comments", "shares", "saves", "quotes"}),
        audience="follower",
        oddities=_odd(suspended_first="5", deactivated="40"),
    ),
    "mastodon": Traits(
        surface="mastodon:Mastodon",
        hosts=(*SERVERS, *SPLIT_SERVER, CLOSED_SERVER),
        paths=r"/api/|/\.well-known/",
        accounts=digits("accounts", 56, 10**17),
        handle="{slug}",
        listed="{handle}@{domain}",
        account_id="{handle}@{domain}",
        home=_server,
        size=(500, 80_000, 1.0),
        rate=(0.3, 1.2),
        pull=(0.006, 0.016),
        speed=3.0,
        table=formats.notes(0.38, 0.0),
        counters=frozenset({"likes", "comments", "shares", "saves", "quotes"}),
        audience="follower",
        oddities=_odd(suspended_second="5", hides_network="7", deleted="40", hides_counts="41"),
    ),
    "instagram": Traits(
        surface="instagram:Instagram",
        hosts=("graph.facebook.com", "graph.instagram.com", "api.instagram.com", "www.instagram.com"),
        paths=r"/v\d+\.\d+/|/access_token$|/oauth/access_token$|/oauth/authorize$|/refresh_access_token$",
        # 17 digits, all beyond 2^53.
        accounts=digits("instagram", 42, 17_841 * 10**12, index_bits=22),
        posts=digits("instagram media", 42, 17_9 * 10**14, index_bits=22),
        handle="{slug}.sbx",
        longest=30,
        listed="{handle}",
        size=(2_000, 400_000, 1.2),
        rate=(0.2, 0.6),
        pull=(0.15, 0.5),
        speed=1.5,
        table=formats.pictures,
        counters=frozenset({"views", "likes", "comments"}),
        audience="commenter",
        comments_off=0.02,
        oddities=_odd(hidden_likes="2", personal="3", renamed="4", age_gated="5", empty="6", deleted="7"),
    ),
    "tiktok": Traits(
        surface="tiktok:TikTok",
        hosts=("open.tiktokapis.com", "business-api.tiktok.com", "www.tiktok.com"),
        paths=r"/v2/|/open_api/",
        accounts=base64_after("-000", "tiktok", size=24),
        posts=Stamped(seconds=True),  # 19 digits
        handle="{slug}.sbx",
        longest=24,
        account_id="{handle}",  # all that research knows; by a creator's grant it is the id
        size=(1_000, 900_000, 1.3),
        rate=(0.2, 0.8),
        pull=(0.2, 0.8),
        speed=2.0,
        table=formats.clips,
        counters=frozenset({"views", "likes", "comments", "shares", "saves"}),
        audience="follower",
        wavers=True,
        oddities=_odd(odd_name="2", private="3", renamed="4", banned="5", empty="6", deleted="7"),
    ),
    "x": Traits(
        surface="x:X",
        hosts=("api.x.com", "api.twitter.com", "x.com", "twitter.com"),
        paths=r"/2/|/i/oauth2/",
        accounts=digits("x", 60, 10**18),  # 19 digits
        posts=Stamped(epoch_ms=X_EPOCH),
        handle="{slug}_sbx",
        longest=15,
        listed_by_id=(4, 1),
        size=(500, 150_000, 1.0),
        rate=(0.4, 1.6),
        pull=(0.05, 0.2),
        speed=3.0,
        table=formats.tweets,
        counters=frozenset({"views", "impressions", "likes", "comments", "shares", "saves", "quotes"}),
        audience="follower",
        oddities=_odd(protected="2", suspended="3", renamed="4", odd_name="5", empty="6", deleted="7"),
    ),
    "reddit": Traits(
        surface="reddit:Reddit",
        hosts=("oauth.reddit.com", "www.reddit.com", "reddit.com"),
        paths=r"/api/v1/access_token|/api/v1/me|/api/v1/authorize|/api/info|/api/user_data|/user/|/r/|/by_id/|/comments/",
        accounts=base36_after("t2_", "reddit", 56),
        posts=base36_after("t3_", "reddit posts", 48),
        handle="{slug}_sbx",
        longest=20,
        listed="u/{handle}",
        size=(500, 4_000, 1.0),
        rate=(0.1, 0.5),
        pull=(0.02, 0.2),
        speed=3.0,
        table=formats.submissions,
        counters=frozenset({"score", "comments", "shares"}),
        audience="commenter",
        oddities=_odd(hides_history="2", suspended="3", nsfw="4", shadow_banned="5", empty="6", deleted="7"),
    ),
    "twitch": Traits(
        surface="twitch:Twitch",
        hosts=("api.twitch.tv", "id.twitch.tv"),
        paths=r"/helix/|/oauth2/",
        accounts=digits("twitch", 44, 10**13, index_bits=22),
        posts=digits("twitch videos", 44, 10**13, index_bits=22),
        handle="{slug}_sbx",
        longest=25,
        listed="{handle}",
        listed_by_id=(4, 1),
        size=(500, 120_000, 1.2),
        rate=(0.15, 0.4),
        pull=(0.05, 0.2),
        table=formats.broadcasts,
        counters=frozenset({"views"}),
        audience="follower",
        oddities=_odd(branded="2", banned="3", renamed="4", affiliate="0 5", empty="6", deleted="7"),
    ),
}

_BEGINNINGS = sorted(
    ((part, name) for name, row in TRAITS.items() for part in row.paths.split("|")),
    key=lambda pair: len(pair[0]),
    reverse=True,
)
_PATHS = [(re.compile(part), name) for part, name in _BEGINNINGS]


def platform_of(host: str, path: str) -> str | None:
    """The platform that a request means: by its host, else by how its path begins, the longest beginning first."""
    for name, row in TRAITS.items():
        if host in row.hosts:
            return name
    return next((name for pattern, name in _PATHS if pattern.match(path)), None)
