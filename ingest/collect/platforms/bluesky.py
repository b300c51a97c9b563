"""Bluesky through the AppView's XRPC methods: profiles, author feeds, posts and followers. No key is needed.

Everything is keyed on the DID; handles are domain names and change. Followers come without counts, so their profiles
are looked up in batches.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ingest.collect import values
from ingest.collect.outcome import OK, Answer, Outcome, Verdict, malformed, retry_after, transient
from ingest.collect.platform import Account, Call, Endpoint, Listed, Observer, Pace, Rate
from ingest.collect.values import Unreadable, count, identifier, items, mapping, moment, text, when
from ingest.settings import Settings

NAME = "bluesky"
COLLECTOR = "bluesky/1"
AUTHORISATION = "public"
PACE = Pace(calls=3000, seconds=300, at_once=8)
AUDIENCE_POSTS = 0
BASE = "https://public.api.bsky.app"
DAY = 86_400

PROFILE = Endpoint("app.bsky.actor.getProfile", "/xrpc/app.bsky.actor.getProfile")
PROFILES = Endpoint("app.bsky.actor.getProfiles", "/xrpc/app.bsky.actor.getProfiles", batch=25)
FEED = Endpoint("app.bsky.feed.getAuthorFeed", "/xrpc/app.bsky.feed.getAuthorFeed", {"limit": "100", "filter": "posts_with_replies"})
POSTS = Endpoint("app.bsky.feed.getPosts", "/xrpc/app.bsky.feed.getPosts", batch=25)
FOLLOWERS = Endpoint("app.bsky.graph.getFollowers", "/xrpc/app.bsky.graph.getFollowers", {"limit": "100"}, audience=True)
# Followers' profiles, asked by the same path: recordings of it are read as PROFILES, which stands first.
MEMBERS = Endpoint("members", "/xrpc/app.bsky.actor.getProfiles", batch=25, audience=True)
ENDPOINTS = (PROFILE, PROFILES, FEED, POSTS, FOLLOWERS, MEMBERS)

NOT_THERE = {
    "AccountTakedown": "suspended",
    "AccountDeactivated": "deactivated",
    "RepoTakendown": "suspended",
    "RepoSuspended": "suspended",
    "RepoDeactivated": "deactivated",
    "BlockedActor": "blocked",
    "BlockedByActor": "blocked",
} | dict.fromkeys(("NotFound", "RecordNotFound", "RepoNotFound", "HandleNotFound", "ActorNotFound", "AccountNotFound"), "not_found")  # fmt: skip
THEIR_FAULT = {"UpstreamFailure", "UpstreamTimeout", "InternalServerError", "NotEnoughResources", "ServiceUnavailable"}
OF_TOKEN = {"ExpiredToken", "InvalidToken", "AuthMissing", "AuthenticationRequired", "BadJwt", "BadJwtSignature", "BadJwtAudience"}


def daily_units(settings: Settings) -> int | None:
    return None


def authorise(settings: Settings) -> dict[str, str]:
    return {}


def normalise(account: str) -> str | None:
    """A DID as it is, a handle in lower case without @."""
    if re.fullmatch(r"did:[a-z]+:[\w.:%\-]+", account):
        return account
    handle = account.removeprefix("@").lower()
    return handle if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", handle) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    return [PROFILES.call(BASE, {"actors": accounts[at : at + 25]}) for at in range(0, len(accounts), 25)]


def listing(account: Account) -> Call:
    return FEED.call(BASE, {"actor": account.account_id}, account_id=account.account_id)


def lookup(posts: Mapping[str, str]) -> list[Call]:
    uris = list(posts)
    return [POSTS.call(BASE, {"uris": uris[at : at + 25]}) for at in range(0, len(uris), 25)]


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [FOLLOWERS.call(BASE, {"actor": account.account_id}, account_id=account.account_id)]


def profiles(members: Sequence[str]) -> list[Call]:
    return [MEMBERS.call(BASE, {"actors": members[at : at + 25]}) for at in range(0, len(members), 25)]


def instead(call: Call, verdict: Verdict) -> list[Call]:
    return []


def rate(answer: Answer) -> Rate | None:
    """`RateLimit-Remaining`, and `RateLimit-Reset` in seconds since 1970."""
    left, reset = (answer.headers.get(f"ratelimit-{name}", "") for name in ("remaining", "reset"))
    if not (left or reset):
        return None
    moment_of_reset = datetime.fromtimestamp(int(reset), UTC) if re.fullmatch(r"[0-9]{1,11}", reset) else None
    return Rate(int(left) if re.fullmatch(r"[0-9]{1,9}", left) else None, moment_of_reset)


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By the XRPC error's name, with the message where the name is only InvalidRequest."""
    if answer.status == 304 or (call.endpoint is None and 200 <= answer.status < 300):
        return OK
    if 200 <= answer.status < 300:
        try:
            found = answer.document
        except Unreadable as fault:
            return malformed("html" if answer.is_html else str(fault))
        return OK if isinstance(found, dict) and "error" not in found else malformed("unknown_shape")
    if 0 < answer.status < 400:
        return malformed(f"http_{answer.status}")
    name, message = text(answer.fields.get("error")), text(answer.fields.get("message")) or ""
    if answer.status == 429 or name == "RateLimitExceeded":
        return _too_fast(answer, name, now)
    if name in THEIR_FAULT or (verdict := transient(answer)):
        return Verdict(Outcome.UNAVAILABLE, name, retry_after(answer, now)) if name else verdict or malformed("")
    if name is None and answer.status in {404, 410} and call.endpoint is not None:
        return malformed("html" if answer.is_html else f"http_{answer.status}")
    ours = call.path.startswith("/xrpc/com.atproto.server.") or answer.status in {401, 403}
    if not ours and (name in NOT_THERE or (name == "InvalidRequest" and _says_not_there(message))):
        return Verdict(Outcome.GONE, name)
    return Verdict(
        Outcome.REFUSED,
        name or f"http_{answer.status}",
        message=f"{message} Check the accounts of the watch list: handles are domain names, ids begin with did:.".strip(),
        of_credential=ours or name in OF_TOKEN,
    )


def _says_not_there(message: str) -> bool:
    return bool(re.search(r"not found|could not (find|locate)|unable to resolve|suspended|deactivated", message, re.IGNORECASE))


def _too_fast(answer: Answer, name: str | None, now: datetime) -> Verdict:
    """A window of a day or more is a budget; a shorter one only asks for patience."""
    limits = rate(answer)
    until = retry_after(answer, now) or (limits.reset if limits else None)
    windows = [int(seconds) for seconds in re.findall(r";\s*w=([0-9]{1,9})", answer.headers.get("ratelimit-policy", ""))]
    outcome = Outcome.EXHAUSTED if min(windows, default=0) >= DAY else Outcome.THROTTLED
    return Verdict(outcome, name or "http_429", until, "Bluesky asks for fewer calls")


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304:
        return
    if not 200 <= answer.status < 300:
        _parse_gone(call, answer, observe)
        return
    found = answer.document
    if call.endpoint == PROFILE:
        _parse_profile(found, observe)
    elif call.endpoint == PROFILES:
        profiles = values.rows(found.get("profiles"))
        for profile in profiles:
            _parse_profile(profile, observe)
        seen = {profile.get("did") for profile in profiles}
        for actor in call.params.get("actors", []):
            if actor.startswith("did:") and actor not in seen:
                observe.account(actor, state="gone", state_reason="not_found")
    elif call.endpoint == MEMBERS:
        for profile in values.rows(found.get("profiles")):
            observe.reading.profiles[identifier(profile.get("did"))] = _features(profile)
    elif call.endpoint == FEED:
        _parse_feed(call, values.rows(found.get("feed")), observe)
    elif call.endpoint == POSTS:
        _parse_posts(call, values.rows(found.get("posts")), observe)
    else:
        subject = mapping(found.get("subject")).get("did")
        for follower in values.rows(found.get("followers")):
            observe.member(text(subject) or _did(call.param("actor")), identifier(follower.get("did")), relation="follower", **_features(follower))


def next_page(call: Call, answer: Answer) -> Call | None:
    cursor = answer.fields.get("cursor")
    return call.with_params(cursor=cursor) if isinstance(cursor, str) and cursor else None


def _did(actor: str) -> str | None:
    return actor if actor.startswith("did:") else None


def _parse_gone(call: Call, answer: Answer, observe: Observer) -> None:
    reason = NOT_THERE.get(answer.fields.get("error", ""), "not_found")
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


def _parse_profile(profile: dict[str, Any], observe: Observer) -> None:
    did, handle = identifier(profile.get("did")), text(profile.get("handle"))
    followers = count(profile.get("followersCount"))
    observe.account(
        did,
        state="visible",
        handle=handle,
        display_name=text(profile.get("displayName")),
        created_at=when(moment(profile.get("createdAt"))),
        url=f"https://bsky.app/profile/{did}",
        bio=text(profile.get("description")),
        external_url=text(profile.get("website")),
        followers=followers,
        followers_resolution=None if followers is None else 1,
        following=count(profile.get("followsCount")),
        posts=count(profile.get("postsCount")),
        is_verified=_is_verified(profile),
        has_picture=bool(profile.get("avatar")),
        definition=COLLECTOR,
        raw=values.raw(profile),
    )
    names = frozenset({did, handle.lower()} if handle else {did})
    observe.reading.found.append(Account(did, names, BASE, did, followers))


def _is_verified(profile: dict[str, Any]) -> bool | None:
    """Verified, or trusted to verify others; profiles of before verification say nothing."""
    verification = profile.get("verification")
    if not isinstance(verification, dict):
        return None
    return "valid" in (verification.get("verifiedStatus"), verification.get("trustedVerifierStatus"))


def _features(profile: dict[str, Any]) -> dict[str, Any]:
    handle = text(profile.get("handle"))
    return {
        "followers": count(profile.get("followersCount")),
        "following": count(profile.get("followsCount")),
        "posts": count(profile.get("postsCount")),
        "created_at": when(moment(profile.get("createdAt"))),
        "is_verified": _is_verified(profile),
        "has_picture": bool(profile.get("avatar")),
        "bio_length": len(profile["description"]) if isinstance(profile.get("description"), str) else 0,
        "handle_length": values.length(handle),
        "handle_digit_share": values.digit_share(handle),
        "name_length": len(profile["displayName"]) if isinstance(profile.get("displayName"), str) else 0,
    }


def _parse_feed(call: Call, feed: list[dict[str, Any]], observe: Observer) -> None:
    """The account's own posts: not what it reposted (itself included), nor what a feed mixes in from others."""
    actor = call.param("actor").removeprefix("@")
    own = [mapping(row.get("post")) for row in feed if not row.get("reason")]
    authors = {identifier(mapping(post.get("author")).get("did")) for post in own}
    if actor.startswith("did:"):
        authors &= {actor}
    else:
        named = {
            mapping(post.get("author"))["did"] for post in own if str(mapping(post.get("author")).get("handle")).lower() == actor.lower()
        }
        authors = named or (authors if len(authors) == 1 else set())  # a handle that changed since names nobody
    for post in own:
        if mapping(post.get("author")).get("did") in authors:
            published = _post(post, observe)
            observe.reading.listed.append(Listed(identifier(post.get("uri")), published))
    positions = [_position(row) for row in feed]
    observe.reading.reached = min((position for position in positions if position), default=None)


def _position(row: dict[str, Any]) -> datetime | None:
    """Where the row stands in the feed: the moment of the repost, else of the post."""
    reason, post = mapping(row.get("reason")), mapping(row.get("post"))
    if str(reason.get("$type", "")).endswith("reasonPin"):
        return None
    return moment(reason.get("indexedAt")) if reason else _published(post)


def _parse_posts(call: Call, posts: list[dict[str, Any]], observe: Observer) -> None:
    for post in posts:
        _post(post, observe)
    seen = {post.get("uri") for post in posts}
    for uri in dict.fromkeys(call.params.get("uris", [])):
        if uri not in seen and _did(_author(uri)):
            observe.post(_author(uri), uri, state="gone", state_reason="not_found")


def _published(post: dict[str, Any]) -> datetime | None:
    """The earlier of the author's claim and of when the AppView first saw it."""
    moments = (moment(mapping(post.get("record")).get("createdAt")), moment(post.get("indexedAt")))
    return min((known for known in moments if known), default=None)


def _post(post: dict[str, Any], observe: Observer) -> datetime | None:
    uri, author = identifier(post.get("uri")), identifier(mapping(post.get("author")).get("did"))
    record, published = mapping(post.get("record")), _published(post)
    written = text(record.get("text"))
    features = [feature for facet in items(record.get("facets")) for feature in items(facet.get("features"))]
    own_tags = record.get("tags") if isinstance(record.get("tags"), list) else []
    tags = values.tags([feature.get("tag") for feature in features] + own_tags)
    languages = record.get("langs")
    embed = record.get("embed") if isinstance(record.get("embed"), dict) else {}
    media = embed.get("media") if isinstance(embed.get("media"), dict) else embed
    external = media.get("external") if isinstance(media.get("external"), dict) else {}
    links = [feature.get("uri") for feature in features] + [external.get("uri")]
    observe.post(
        author,
        uri,
        state="visible",
        published_at=when(published),
        url=f"https://bsky.app/profile/{author}/post/{uri.rpartition('/')[2]}",
        format=_format(media),
        relation="reply" if record.get("reply") else "quote" if _is_quote(embed) else "original",
        text=written,
        language=text(languages[0]) if isinstance(languages, list) and languages else None,
        hashtags=tags or values.tags_in(written),
        mentions=list(dict.fromkeys(feature["did"] for feature in features if isinstance(feature.get("did"), str))),
        links=list(dict.fromkeys(link for link in links if isinstance(link, str) and link)),
        likes=count(post.get("likeCount")),
        comments=count(post.get("replyCount")),
        shares=count(post.get("repostCount")),
        saves=count(post.get("bookmarkCount")),
        quotes=count(post.get("quoteCount")),
        definition=COLLECTOR,
        raw=values.raw(post),
    )
    return published


def _format(media: dict[str, Any]) -> str:
    kind = str(media.get("$type", ""))
    if kind.startswith("app.bsky.embed.images"):
        return "carousel" if len(items(media.get("images"))) > 1 else "image"
    return next((name for name, word in (("video", "embed.video"), ("link", "embed.external")) if word in kind), "text")


def _is_quote(embed: dict[str, Any]) -> bool:
    """Whether a post is embedded; lists, feeds and starter packs are embedded likewise and are no quotes."""
    record = embed.get("record") if isinstance(embed.get("record"), dict) else {}
    inner = record.get("record") if isinstance(record.get("record"), dict) else record
    return "/app.bsky.feed.post/" in str(inner.get("uri", ""))
