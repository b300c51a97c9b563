"""The events of assay: what is published, in which words. Everything else follows from these structs.

An event on the wire is a JSON object in UTF-8 with `event_id` first, null fields left out and no headers. A field that
is null (or absent) is *unknown or not offered*, never 0. JSON Schemas, examples and AsyncAPI are written from here.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta

from ingest.platforms import PLATFORMS

NAMESPACE = UUID("5a1f3c52-6f0e-5f6e-9d6b-7b1f6f2f9a10")
CONTRACT = 1

Published = Literal["youtube", "instagram", "tiktok", "x", "bluesky", "mastodon", "reddit", "twitch"]
"""Platforms of the first contract, in its order."""
if TYPE_CHECKING:
    Platform = Published
else:
    # A further platform comes into the contract with its collector's file; `python -m ingest.contracts` writes it down.
    Platform = Literal[tuple(dict.fromkeys((*get_args(Published), *PLATFORMS)))]
Text = Annotated[str, Meta(min_length=1)]
EventId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Instant = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{3})?Z$",
        description="UTC, RFC 3339 with Z and none or three digits of a second",
    ),
]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Unavailable = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_]+:(hidden|disabled|retired|not_authorised|not_offered|not_yet)$", description="metric:reason"
    ),
]


class Event(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What all events of platforms say: who saw what, when and by which call."""

    event_id: EventId
    contract: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    platform: Platform
    account_id: Text
    observed_at: Instant
    run_id: Text
    endpoint: Text
    collector: Text
    authorisation: Literal["public", "app", "consent"]
    consent_id: str | None = None


class PostObserved(Event, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One post seen at one moment."""

    post_id: Text
    state: Literal["visible", "gone", "hidden"]
    state_reason: str | None = None
    published_at: Instant | None = None
    url: str | None = None
    format: Literal["video", "short", "image", "carousel", "text", "link", "live", "audio"] | None = None
    relation: Literal["original", "reply", "quote"] | None = None
    title: str | None = None
    text: str | None = None
    language: str | None = None
    duration_seconds: Seconds | None = None
    hashtags: list[str] | None = None
    mentions: list[str] | None = None
    links: list[str] | None = None
    is_paid_partnership: bool | None = None
    views: Count | None = None
    impressions: Count | None = None
    reach: Count | None = None
    likes: Count | None = None
    dislikes: Count | None = None
    comments: Count | None = None
    shares: Count | None = None
    saves: Count | None = None
    quotes: Count | None = None
    clicks: Count | None = None
    score: Amount | None = None
    upvote_ratio: Share | None = None
    viewers: Count | None = None
    watch_seconds: Seconds | None = None
    unavailable: list[Unavailable] | None = None
    definition: str | None = None
    raw: str | None = None


class AccountObserved(Event, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One profile seen at one moment."""

    state: Literal["visible", "gone", "hidden"]
    state_reason: str | None = None
    handle: str | None = None
    display_name: str | None = None
    created_at: Instant | None = None
    url: str | None = None
    country: str | None = None
    language: str | None = None
    category: str | None = None
    bio: str | None = None
    external_url: str | None = None
    followers: Count | None = None
    following: Count | None = None
    posts: Count | None = None
    views: Count | None = None
    likes_received: Count | None = None
    followers_resolution: Count | None = None
    is_verified: bool | None = None
    is_private: bool | None = None
    has_picture: bool | None = None
    unavailable: list[Unavailable] | None = None
    definition: str | None = None
    raw: str | None = None


class FollowerObserved(Event, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One member of a creator's audience seen at one moment, as features only; `account_id` is the creator."""

    member_id: Text
    member_key_id: Text
    relation: Literal["follower", "commenter"]
    sample: Literal["newest", "spread", "complete"]
    position: Count | None = None
    followed_at: Instant | None = None
    followers: Count | None = None
    following: Count | None = None
    posts: Count | None = None
    created_at: Instant | None = None
    is_verified: bool | None = None
    is_private: bool | None = None
    has_picture: bool | None = None
    bio_length: Count | None = None
    has_external_url: bool | None = None
    handle_length: Count | None = None
    handle_digit_share: Share | None = None
    name_length: Count | None = None
    post_id: str | None = None
    comment_key: str | None = None
    commented_at: Instant | None = None
    comment_length: Count | None = None
    comment_fingerprint: str | None = None


class DeadLetter(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An answer that could not be read. Of audience endpoints no body: it would hold names."""

    event_id: EventId
    contract: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    platform: Platform
    endpoint: Text
    observed_at: Instant
    run_id: Text
    collector: Text
    reason: Text
    url: Text
    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    content_type: str | None = None
    body: str | None = None
    body_bytes: Count | None = None
    body_sha256: str | None = None
    body_keys: list[str] | None = None


class BatchPublished(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One finished collector task. `expected` is what the work list asked for, in accounts and posts."""

    event_id: EventId
    contract: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    platform: Platform
    run_id: Text
    observed_at: Instant
    finished_at: Instant
    collector: Text
    expected_accounts: Count | None = None
    expected_posts: Count | None = None
    observed_accounts: Annotated[Count, Meta(description="accounts of which something was published")] | None = None
    skipped_accounts: (
        Annotated[Count, Meta(description="expected, and not read as budget or platform ended")] | None
    ) = None
    skipped_posts: Annotated[Count, Meta(description="known to be due, and not read")] | None = None
    posts: Count | None = None
    accounts: Count | None = None
    followers: Count | None = None
    dead_letters: Count | None = None
    outcomes: list[Annotated[str, Meta(pattern=r"^[a-z]+:\d+$", description="outcome:number of answers")]] | None = None
    unresolved: Annotated[list[str], Meta(description="watch-list accounts never resolved")] | None = None
    quota_units: Count | None = None
    quota_left: Count | None = None


class ConsentChanged(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A creator granted access or withdrew it, or we lost the grant: what was read under it may have to go."""

    event_id: EventId
    contract: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    platform: Platform
    account_id: Text
    consent_id: Text
    state: Literal["granted", "withdrawn", "lost"]
    scopes: list[str] | None = None
    observed_at: Instant
    granted_at: Instant
    run_id: Text
    collector: Text


Message = PostObserved | AccountObserved | FollowerObserved | DeadLetter | BatchPublished | ConsentChanged

TOPICS: dict[str, type[Message]] = {
    "posts": PostObserved,
    "accounts": AccountObserved,
    "followers": FollowerObserved,
    "dead_letters": DeadLetter,
    "notices": BatchPublished,
    "consents": ConsentChanged,
}
"""What each topic carries."""

_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """The message as it goes on the wire."""
    return _encoder.encode(message)


def key(message: Message) -> bytes:
    """The Kafka key, which decides the partition: one account's events stay in order."""
    match message:
        case DeadLetter():
            return f"{message.platform}:{message.endpoint}".encode()
        case BatchPublished():
            return message.platform.encode()
        case _:
            return f"{message.platform}:{message.account_id}".encode()


def topic(message: Message) -> str:
    """The topic that carries the message."""
    return _TOPIC_OF[type(message)]


_TOPIC_OF = {struct: name for name, struct in TOPICS.items()}


def event_id(kind: type[Message], platform: str, subject: tuple[str, ...], endpoint: str, run_id: str) -> str:
    """The same id for the same thing seen by the same call of the same run, so that a retried task doubles nothing.

    `subject` is (account_id,) for accounts, (account_id, post_id) for posts, (account_id, member_id, relation,
    comment_key or "") for followers, (url, sha256) for dead letters, () for notices, (account_id, consent_id) for
    consents.
    """
    return str(uuid5(NAMESPACE, "\x1f".join((kind.__name__, platform, *subject, endpoint, run_id))))


def instant(moment: datetime) -> str:
    """The moment as events write it. Microseconds are cut: the contract has milliseconds.

    Raises ValueError for a moment without a time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a moment without a time zone: {moment!r}")
    moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.isoformat(timespec=precision)[:-6] + "Z"


def moment(text: str) -> datetime:
    """The moment that an event's text names; the inverse of `instant`."""
    return datetime.fromisoformat(text)
