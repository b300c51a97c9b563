"""What a platform is to the collector: endpoints as data and a handful of pure functions, all in one file of its own.

A platform is a module that satisfies `Platform`; `platforms/__init__.py` lists them. Nothing else knows any platform.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from ingest.collect.call import Call, Endpoint
from ingest.collect.oauth import AppToken, OAuth
from ingest.collect.outcome import Answer, Verdict
from ingest.collect.quota import PACIFIC
from ingest.collect.values import epoch
from ingest.events import AccountObserved, FollowerObserved, PostObserved
from ingest.settings import Settings


@dataclass(frozen=True)
class Account:
    """A watched account as a run found it."""

    account_id: str
    names: frozenset[str]
    """Everything that the watch list may call it by, as `Platform.normalise` gives it."""
    base: str
    """Scheme and host that its calls go to."""
    listing: str | None
    """What its listing is asked by; None when it has none."""
    followers: int | None = None


class Listed(NamedTuple):
    """A post that a listing shows."""

    post_id: str
    published_at: datetime | None = None


@dataclass(frozen=True)
class Member:
    """One member of an audience. `native_id` never leaves the process: it is there to look up the profile."""

    native_id: str = field(repr=False)
    seen: FollowerObserved = field(repr=False)


Features = dict[str, int | float | bool | str | None]


@dataclass
class Reading:
    """What one answer says."""

    posts: list[PostObserved] = field(default_factory=list)
    accounts: list[AccountObserved] = field(default_factory=list)
    unowned: list[PostObserved | FollowerObserved] = field(default_factory=list)
    """Seen, but whose it is cannot be said: never published."""
    found: list[Account] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)
    reached: datetime | None = None
    """How far back in time a page of a listing goes."""
    members: list[Member] = field(default_factory=list, repr=False)
    profiles: dict[str, Features] = field(default_factory=dict, repr=False)
    """Features of members by native id, from a look-up of profiles."""

    @property
    def oldest(self) -> datetime | None:
        """The earliest moment of publication among the posts listed."""
        return min((post.published_at for post in self.listed if post.published_at), default=None)


@dataclass(frozen=True)
class Pace:
    """A stated limit: calls in so many seconds, and how many of them at once; to one host (`pace.py`)."""

    calls: int
    seconds: float
    at_once: int
    kind: Literal["window", "sliding"] = "sliding"
    """Whether answers' headers tell what is left of a window, or nobody tells and any stretch of time counts."""
    per_endpoint: bool = False
    """Whether each endpoint has a limit of its own."""


@dataclass(frozen=True)
class Rate:
    """What rate headers say: calls left, and when the count begins anew; None where they do not say."""

    left: int | None
    reset: datetime | None

    @classmethod
    def told(cls, headers: Mapping[str, str], prefix: str) -> "Rate | None":
        """What `<prefix>-remaining`, and `<prefix>-reset` in seconds since 1970, say; None where neither is there."""
        left, reset = (headers.get(f"{prefix}-{name}", "") for name in ("remaining", "reset"))
        if not (left or reset):
            return None
        return cls(int(left) if re.fullmatch(r"[0-9]{1,9}", left) else None, epoch(reset))


@dataclass(frozen=True)
class Page:
    """The most that one page of a list holds: what `assay plan` counts pages by."""

    rows: int
    whole: bool = True
    """Whether posts come with their figures: what is due among them is not looked up."""
    reaches: timedelta = timedelta.max
    """How far back in time a page goes, however few rows it holds."""


class Observer(Protocol):
    """Makes events for one answer: fills in who saw it, when and by which call (`observe.py`)."""

    def listed(self, post_id: str, published_at: datetime | None) -> bool:
        """Note that a listing shows a post; whether it is to be read: most rows are not due, and reading costs most."""

    def post(self, account_id: str | None, post_id: str, **fields: object) -> None:
        """Add a post; without an account it is only shown, never published."""

    def account(self, account_id: str, **fields: object) -> None:
        """Add an account."""

    def member(
        self, account_id: str | None, native_id: str, *, relation: Literal["follower", "commenter"],
        comment: tuple[str, str | None] | None = None, fallback_account: str = "", **fields: object
    ) -> None:  # fmt: skip
        """Add a member of an audience; `comment` is the comment's id and plain text."""

    @property
    def reading(self) -> Reading:
        """What was added so far."""

    @property
    def at(self) -> datetime:
        """The moment of the answer."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The whole of what the collector knows of a platform: data, and pure functions. What is optional has a default."""

    name: str
    collector: str
    """Platform and version of its parser."""
    authorisation: Literal["public", "app", "consent"]
    endpoints: tuple[Endpoint, ...]
    """In the order in which a recorded request is recognised."""
    pace: Pace

    normalise: Callable[[str], str | None]
    """A watch list's account as `Account.names` has it; None when it cannot be one of this platform."""
    resolve: Callable[[Sequence[str]], list[Call]]
    """Calls that find the profiles of accounts, given normalised."""
    listing: Callable[[Account, bool], Call]
    """The first page of an account's posts, newest first; a short one where only the newest are wanted."""
    lookup: Callable[[Sequence[str]], list[Call]]
    """Calls that look up posts by id."""
    audience: Callable[[Account, Sequence[str]], list[Call]]
    """The first page of each list that an audience is sampled from: the account's, or those of its posts."""

    classify: Callable[[Call, Answer, datetime], Verdict]
    """What an answer means at a moment. Total: never raises."""
    parse: Callable[[Call, Answer, Observer], None]
    """Tell the observer what an `ok` or `gone` answer says. Raises Unreadable for a shape it does not know."""
    next_page: Callable[[Call, Answer], Call | None]
    """The call for the page after this one; None at the end."""

    authorise: Callable[[Settings], dict[str, str]] = lambda _: {}
    """Headers that carry a static credential of the app. Raises Refused when it is missing."""
    address: Callable[[Settings, Call], Call] = lambda _, call: call
    """The call at the address that settings give it, where they say in whose name it is asked."""
    app: AppToken | None = None
    """How a token of the app is minted, for calls without a grant; None where it has a static one, or none."""
    oauth: OAuth | None = None
    """How a creator grants access, for calls with a grant; None where nobody needs to."""
    details: Callable[[Sequence[Account]], list[Call]] | None = None
    """Further calls about accounts that were found: what their profiles leave out, and what is on the air."""
    relists: bool = False
    """Whether posts are read on their account's listing alone: it goes back to the oldest that is due."""
    passing: frozenset[str] = frozenset()
    """Formats of posts that are there only while they last, and never looked up by id."""
    lookup_of: Callable[[Mapping[str, str]], list[Call]] | None = None
    """Instead of `lookup`, where whose posts they are decides who is asked: account ids by post id."""
    recount: Callable[[Sequence[str]], list[Call]] | None = None
    """Calls that look up the counters alone of posts that were read whole; None where they cost what `lookup` costs."""
    consented: Callable[[Account, Sequence[str], datetime], list[Call]] = lambda _, __, ___: []
    """Further calls for an account with a grant, and for those of its posts that a run at a moment reads: insights."""
    daily_units: Callable[[Settings], int | None] = lambda _: None
    """The budget of a day, in units; None where there is none."""
    monthly_units: Callable[[Settings], int | None] = lambda _: None
    """A cap on the units of a calendar month besides; None where there is none."""
    budget_zone: ZoneInfo = PACIFIC
    """Where days and months begin and end."""
    price: Callable[[Call, Answer | None], int] = lambda call, _: call.endpoint.cost if call.endpoint else 0
    """Units that a call costs by its answer; while there is none yet, the most that it can cost."""
    unit_dollars: float = 0.0
    """What a unit costs, in US dollars."""
    page: Callable[[Call], Page] = lambda call: Page(int(call.param("limit") or 100))
    """How much a page of a listing, or of a list of followers, holds."""
    made_up: Callable[[Account, datetime, int], str] = lambda _, at, number: str((int(at.timestamp()) << 32) + number)
    """An id that an account's post of a moment, or a member of its audience, could have: plans count with such."""
    sample_size: Callable[[Settings], int] = lambda settings: settings.audience_sample_size
    """How many members an account's sample has at most; 0 where there shall be none."""
    at_most: Callable[[Call, int], Call] = lambda call, _: call
    """A list's page with so many members at most, where each one that is returned costs something."""
    dialects: tuple[Callable[[Call], Call], ...] = (lambda call: call,)
    """Ways to write any call; the next one is used for good once a call is refused with `unknown_parameter`."""
    audience_posts: int = 0
    """How many recent posts an audience is sampled from; 0 where accounts list their followers."""
    granted_audience: Callable[[Account], list[Call]] = lambda _: []
    """Where an audience is sampled from posts: the list of followers that the account's grant opens besides."""
    profiles: Callable[[Sequence[str]], list[Call]] = lambda _: []
    """Calls that look up members' profiles, where lists give no counts."""
    instead: Callable[[Call, Verdict], list[Call]] = lambda _, __: []
    """Calls that replace one which failed: other ways to the same."""
    rate: Callable[[Answer], Rate | None] = lambda _: None
    """What the answer's rate headers say, if anything."""
