"""Bluesky through the AppView's XRPC methods: profiles, author feeds, posts and followers. No key is needed.

Everything is keyed on the DID; handles are domain names and change. Followers come without counts, so their profiles
are looked up in batches.
"""

import dataclasses
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.outcome import OK, Answer, Outcome, Verdict, by_status, malformed, retry_after, settled
from ingest.collect.platform import Account, Observer, Pace, Platform, Rate
from ingest.collect.platforms._bluesky_rows import author_of, features, published, read_post, read_profile
from ingest.collect.values import identifier, lenient, mapping, moment, text

BASE = "https://public.api.bsky.app"
DAY = 86_400


def method(name: str) -> str:
    """The path of an XRPC method."""
    return f"/xrpc/{name}"


PROFILE = Endpoint("app.bsky.actor.getProfile", method("app.bsky.actor.getProfile"))
PROFILES = Endpoint("app.bsky.actor.getProfiles", method("app.bsky.actor.getProfiles"), batch=25)
FEED = Endpoint("app.bsky.feed.getAuthorFeed", method("app.bsky.feed.getAuthorFeed"), {"limit": "100"})
POSTS = Endpoint("app.bsky.feed.getPosts", method("app.bsky.feed.getPosts"), batch=25)
FOLLOWERS = Endpoint(
    "app.bsky.graph.getFollowers", method("app.bsky.graph.getFollowers"), {"limit": "100"}, audience=True
)
# Followers' profiles, asked by the path of PROFILES: as that comes first, recordings are read as profiles.
MEMBERS = Endpoint("members", PROFILES.path, batch=25, audience=True)

NOT_FOUND = ("NotFound", "RecordNotFound", "RepoNotFound", "HandleNotFound", "ActorNotFound", "AccountNotFound")
NOT_THERE = dict.fromkeys(NOT_FOUND, "not_found") | {
    "AccountTakedown": "suspended",
    "AccountDeactivated": "deactivated",
    "RepoTakendown": "suspended",
    "RepoSuspended": "suspended",
    "RepoDeactivated": "deactivated",
    "BlockedActor": "blocked",
    "BlockedByActor": "blocked",
}
NOT_THERE_IN_WORDS = re.compile(
    r"not found|could not (find|locate)|unable to resolve|suspended|deactivated", re.IGNORECASE
)
THEIR_FAULT = {"UpstreamFailure", "UpstreamTimeout", "InternalServerError", "NotEnoughResources", "ServiceUnavailable"}
OF_TOKEN = {"ExpiredToken", "InvalidToken", "AuthMissing", "AuthenticationRequired", "BadJwt", "BadJwtSignature"}
ADVICE = "Check the accounts of the watch list: handles are domain names, ids begin with did:."


def normalise(account: str) -> str | None:
    """A DID as it is, a handle in lower case without @."""
    if re.fullmatch(r"did:[a-z]+:[\w.:%\-]+", account, re.ASCII):
        return account
    handle = account.removeprefix("@").lower()
    return handle if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", handle) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    return PROFILES.calls(BASE, "actors", accounts)


def listing(account: Account, short: bool) -> Call:
    page = {"actor": account.account_id} | ({"limit": "20"} if short else {})
    return FEED.call(BASE, page, account_id=account.account_id)


def lookup(posts: Sequence[str]) -> list[Call]:
    return POSTS.calls(BASE, "uris", posts)


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [FOLLOWERS.call(BASE, {"actor": account.account_id}, account_id=account.account_id)]


def profiles(members: Sequence[str]) -> list[Call]:
    return MEMBERS.calls(BASE, "actors", members)


def next_page(call: Call, answer: Answer) -> Call | None:
    cursor = answer.fields.get("cursor")
    return call.with_params(cursor=cursor) if isinstance(cursor, str) and cursor else None


def rate(answer: Answer) -> Rate | None:
    """`RateLimit-Remaining`, and `RateLimit-Reset` in seconds since 1970."""
    return Rate.told(answer.headers, "ratelimit")


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By the XRPC error's name, with the message where the name is only InvalidRequest."""
    if verdict := settled(answer, ours=call.endpoint is not None):
        return verdict
    if 200 <= answer.status < 300:
        return (
            OK if isinstance(answer.document, dict) and "error" not in answer.document else malformed("unknown_shape")
        )
    return _classify_error(call, answer, now)


def _classify_error(call: Call, answer: Answer, now: datetime) -> Verdict:
    name, message = text(answer.fields.get("error")), text(answer.fields.get("message")) or ""
    if answer.status == 429 or name == "RateLimitExceeded":
        return _too_fast(answer, name, now)
    if name in THEIR_FAULT:
        return Verdict(Outcome.UNAVAILABLE, name, retry_after(answer, now))
    by_code = by_status(answer, now, ADVICE)
    if name is None or by_code.outcome is Outcome.UNAVAILABLE:
        return dataclasses.replace(by_code, reason=name or by_code.reason)
    of_us = answer.status in {401, 403} or call.path.startswith(method("com.atproto.server."))
    if not of_us and (name in NOT_THERE or (name == "InvalidRequest" and NOT_THERE_IN_WORDS.search(message))):
        return Verdict(Outcome.GONE, name)
    of_credential = of_us or name in OF_TOKEN
    return Verdict(Outcome.REFUSED, name, message=f"{message}. {ADVICE}", of_credential=of_credential)


def _too_fast(answer: Answer, name: str | None, now: datetime) -> Verdict:
    """A window of a day or more is a budget; a shorter one only asks for patience."""
    limits = rate(answer)
    until = retry_after(answer, now) or (limits.reset if limits else None)
    windows = [
        int(seconds) for seconds in re.findall(r";\s*w=([0-9]{1,9})", answer.headers.get("ratelimit-policy", ""))
    ]
    outcome = Outcome.EXHAUSTED if min(windows, default=0) >= DAY else Outcome.THROTTLED
    return Verdict(outcome, name or "http_429", until, "Bluesky asks for fewer calls")


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304:
        return
    if not 200 <= answer.status < 300:
        _parse_gone(call, answer, observe)
    elif call.endpoint == PROFILE:
        read_profile(answer.document, BASE, observe)
    elif call.endpoint == FEED:
        _parse_feed(call, values.rows(answer.document.get("feed")), observe)
    elif call.endpoint == FOLLOWERS:
        subject = text(lenient(answer.document.get("subject")).get("did")) or _did(call.param("actor"))
        for follower in values.rows(answer.document.get("followers")):
            observe.member(subject, identifier(follower.get("did")), relation="follower", **features(follower))
    else:
        _parse_batch(call, values.rows(answer.document.get("posts" if call.endpoint == POSTS else "profiles")), observe)


def _parse_batch(call: Call, found: list[dict[str, Any]], observe: Observer) -> None:
    """What a look-up of several found; what it was asked for and left out is gone."""
    for row in found:
        if call.endpoint == POSTS:
            read_post(row, observe)
        elif call.endpoint == PROFILES:
            read_profile(row, BASE, observe)
        else:
            observe.reading.profiles[identifier(row.get("did"))] = features(row)
    seen = {row.get("uri" if call.endpoint == POSTS else "did") for row in found}
    for uri in dict.fromkeys(call.params.get("uris", [])):
        if uri not in seen and _did(_author(uri)):
            observe.post(_author(uri), uri, state="gone", state_reason="not_found")
    for actor in dict.fromkeys(call.params.get("actors", [])):
        if actor not in seen and _did(actor) and call.endpoint == PROFILES:
            observe.account(actor, state="gone", state_reason="not_found")


def _did(actor: str) -> str | None:
    return actor if actor.startswith("did:") else None


def _parse_gone(call: Call, answer: Answer, observe: Observer) -> None:
    reason = NOT_THERE.get(text(answer.fields.get("error")) or "", "not_found")
    state = "hidden" if reason == "blocked" else "gone"
    if call.endpoint == POSTS:
        for uri in call.params.get("uris", []):
            if _did(_author(uri)):
                observe.post(_author(uri), uri, state=state, state_reason=reason)
    elif actor := _did(call.param("actor")):
        observe.account(actor, state=state, state_reason=reason)


def _author(uri: str) -> str:
    """Whose repository an at-URI names."""
    return uri.removeprefix("at://").partition("/")[0]


def _parse_feed(call: Call, feed: list[dict[str, Any]], observe: Observer) -> None:
    """The account's own posts: not what it reposted (its own included), nor what a feed mixes in from others."""
    actor = call.param("actor").removeprefix("@")
    rows = [(row, post, published(post)) for row in feed for post in (mapping(row.get("post")),)]
    own = [(post, at) for row, post, at in rows if not row.get("reason")]
    authors = {identifier(author_of(post).get("did")): text(author_of(post).get("handle")) for post, _ in own}
    named = {did for did, handle in authors.items() if did == actor or (handle or "").lower() == actor.lower()}
    if not named and not _did(actor) and len(authors) == 1:
        named = set(authors)  # asked by a handle that its account has changed since
    for post, at in own:
        if author_of(post)["did"] in named:
            uri = identifier(post.get("uri"))
            if observe.listed(uri, at):
                read_post(post, observe)
    positions = [_position(row, at) for row, _, at in rows]
    observe.reading.reached = min((position for position in positions if position), default=None)


def _position(row: dict[str, Any], at: datetime | None) -> datetime | None:
    """Where the row stands in the feed: the moment of the repost, else of the post."""
    reason = mapping(row.get("reason"))
    if str(reason.get("$type", "")).endswith("reasonPin"):
        return None
    return moment(reason.get("indexedAt")) if reason else at


PLATFORM = Platform(
    name="bluesky",
    collector="bluesky/1",
    authorisation="public",
    endpoints=(PROFILE, PROFILES, FEED, POSTS, FOLLOWERS, MEMBERS),
    pace=Pace(calls=3000, seconds=300, at_once=8, kind="window"),
    normalise=normalise,
    resolve=resolve,
    listing=listing,
    lookup=lookup,
    audience=audience,
    profiles=profiles,
    classify=classify,
    parse=parse,
    next_page=next_page,
    rate=rate,
)
