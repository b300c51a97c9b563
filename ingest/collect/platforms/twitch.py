"""Twitch's Helix API: users, follower counts, videos and streams by the app's token; follower lists by owners' grants.

A live stream is a post of its own with the viewers of the moment, and never looked up again: what stays of it is a
video with another id. Videos have views and no likes, comments or shares.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.oauth import AppToken, OAuth
from ingest.collect.outcome import (
    CONSENT_WITHDRAWN,
    OK,
    TOKEN_EXPIRED,
    Answer,
    Outcome,
    Verdict,
    by_status,
    malformed,
    retry_after,
    settled,
)
from ingest.collect.platform import Account, Observer, Pace, Page, Platform, Rate
from ingest.collect.platforms._twitch_rows import (
    features,
    read_channel,
    read_followers,
    read_stream,
    read_user,
    read_video,
)
from ingest.collect.values import identifier, text

BASE = "https://api.twitch.tv"
AUTH = "https://id.twitch.tv/oauth2"
TOKEN = f"{AUTH}/token"
CLIENT_ID, CLIENT_SECRET = "twitch_client_id", "twitch_client_secret"
"""Settings of the app's id and secret."""

USERS = Endpoint("users", "/helix/users", batch=100, cost=1)
VIDEOS = Endpoint("videos", "/helix/videos", batch=100, cost=1)
STREAMS = Endpoint("streams", "/helix/streams", {"first": "100"}, batch=100, cost=1)
CHANNELS = Endpoint("channels", "/helix/channels", batch=100, cost=1)
# With the app's token it tells the total alone, with the owner's also who follows.
FOLLOWERS = Endpoint("channels/followers", "/helix/channels/followers", cost=1, audience=True)
# Followers' profiles, asked by the path of USERS: as that comes first, recordings are read as users.
MEMBERS = Endpoint("members", USERS.path, batch=100, cost=1, audience=True)

OF_TOKEN = re.compile(r"invalid (oauth|access) token|token (is )?(expired|invalid)|must be a valid", re.IGNORECASE)
OF_CALL = re.compile(r"scope|must match|broadcaster|moderator", re.IGNORECASE)
"""Refusals with status 401 of what this call asks for: the token is good for others."""
CHECK_APP = "Check ASSAY_TWITCH_CLIENT_ID and ASSAY_TWITCH_CLIENT_SECRET against the app's page at dev.twitch.tv."
CONNECT = "Connect the channel's owner anew (`assay connect twitch`)."
CHECK_CALL = "Check the account on the watch list."


def normalise(account: str) -> str | None:
    """An id as it is, a login in lower case without @. Of digits alone: an id.

    Other letters are no login: Twitch would refuse the whole batch for one.
    """
    login = account.removeprefix("@").lower()
    return login if re.fullmatch(r"[a-z0-9_]{1,25}", login, re.ASCII) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    ids, logins = ([one for one in accounts if one.isdigit() is wanted] for wanted in (True, False))
    return USERS.calls(BASE, "id", ids) + USERS.calls(BASE, "login", logins)


def details(accounts: Sequence[Account]) -> list[Call]:
    """What `users` leaves out: language and category, who is live, how many follow."""
    ids = [account.account_id for account in accounts]
    totals = [FOLLOWERS.call(BASE, {"broadcaster_id": one, "first": "1"}, account_id=one) for one in ids]
    return CHANNELS.calls(BASE, "broadcaster_id", ids) + STREAMS.calls(BASE, "user_id", ids) + totals


def listing(account: Account, short: bool) -> Call:
    page = {"user_id": account.account_id, "type": "all", "sort": "time", "first": "20" if short else "100"}
    return VIDEOS.call(BASE, page, account_id=account.account_id)


def lookup(posts: Sequence[str]) -> list[Call]:
    return VIDEOS.calls(BASE, "id", posts)


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    asked = {"broadcaster_id": account.account_id, "first": "100"}
    return [FOLLOWERS.call(BASE, asked, account_id=account.account_id, grant=account.account_id)]


def profiles(members: Sequence[str]) -> list[Call]:
    return MEMBERS.calls(BASE, "id", members)


def next_page(call: Call, answer: Answer) -> Call | None:
    """By cursor. The end is a page without one, an empty page, or a cursor that leads nowhere new."""
    cursor = values.lenient(answer.fields.get("pagination")).get("cursor")
    if not isinstance(cursor, str) or cursor in ("", call.param("after")) or not answer.fields.get("data"):
        return None
    return call.with_params(after=cursor)


def rate(answer: Answer) -> Rate | None:
    """`Ratelimit-Remaining`, and `Ratelimit-Reset` in seconds since 1970; many refusals carry neither."""
    return Rate.told(answer.headers, "ratelimit")


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By the status, and with 400 and 401 by the message, whose spelling changes: there are no codes."""
    if verdict := settled(answer, ours=call.endpoint is not None):
        return verdict
    if 200 <= answer.status < 300:
        known = isinstance(answer.document, dict) and isinstance(answer.document.get("data"), list)
        return OK if known and "error" not in answer.document else malformed("unknown_shape")
    message, limits = text(answer.fields.get("message")), rate(answer)
    worded = message is not None or text(answer.fields.get("error")) is not None
    if answer.status == 429:
        until = retry_after(answer, now) or (limits.reset if limits else None)
        return Verdict(Outcome.THROTTLED, "http_429", until, "Twitch asks for fewer calls.")
    if not worded or not 400 <= answer.status < 500 or answer.status in {408, 425}:
        return by_status(answer, now, CHECK_APP)
    return _refusal(call, answer, message or "")


def _refusal(call: Call, answer: Answer, message: str) -> Verdict:
    """An error of the 4xx in Twitch's own form: nothing that more patience helps."""
    if answer.status == 404:
        return Verdict(Outcome.GONE, "not_found")
    refused, of_owner = Outcome.REFUSED, call.grant is not None
    if re.search(r"invalid refresh token", message, re.IGNORECASE):
        return Verdict(refused, CONSENT_WITHDRAWN, message=CONNECT)
    if answer.status == 401 and OF_TOKEN.search(message):
        return Verdict(refused, TOKEN_EXPIRED, message=CONNECT if of_owner else CHECK_APP, of_credential=not of_owner)
    if answer.status == 401 and OF_CALL.search(message):
        reason = "missing_scope" if "scope" in message.lower() else "not_authorised"
        return Verdict(refused, reason, message=f"{message}. {CONNECT}")
    of_app = answer.status == 401 or call.path.startswith("/oauth2/")
    advice = CHECK_APP if of_app else CHECK_CALL
    return Verdict(refused, f"http_{answer.status}", message=f"{message}. {advice}", of_credential=of_app)


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304:
        return
    if not 200 <= answer.status < 300:
        _parse_missing(call, set(), observe)
        return
    found = values.rows(answer.document.get("data"))
    if call.endpoint == FOLLOWERS:
        read_followers(call, answer.document, found, observe)
        return
    for row in found:
        if call.endpoint == USERS:
            read_user(row, BASE, observe)
        elif call.endpoint == CHANNELS:
            read_channel(row, observe)
        elif call.endpoint == STREAMS:
            read_stream(row, observe)
        elif call.endpoint == MEMBERS:
            observe.reading.profiles[identifier(row.get("id"))] = features(row)
        else:
            read_video(row, observe)
    _parse_missing(call, {row.get("id") for row in found}, observe)
    if call.param("user_id"):
        observe.reading.reached = observe.reading.oldest


def _parse_missing(call: Call, seen: set[Any], observe: Observer) -> None:
    """What was asked for by id and left out: deleted, suspended or never there, which Twitch does not tell apart."""
    for subject in call.listed("id"):
        if subject not in seen and call.endpoint == USERS:
            observe.account(subject, state="gone", state_reason="not_found")
        elif subject not in seen and call.endpoint == VIDEOS:
            observe.post(None, subject, state="gone", state_reason="not_found")


PLATFORM = Platform(
    name="twitch",
    collector="twitch/1",
    authorisation="app",
    endpoints=(USERS, VIDEOS, STREAMS, CHANNELS, FOLLOWERS, MEMBERS),
    pace=Pace(calls=800, seconds=60, at_once=8, kind="sliding"),
    app=AppToken(token_url=TOKEN, id_setting=CLIENT_ID, secret_setting=CLIENT_SECRET, id_header="Client-Id"),
    oauth=OAuth(
        token_url=TOKEN,
        id_setting=CLIENT_ID,
        secret_setting=CLIENT_SECRET,
        id_header="Client-Id",
        authorize_url=f"{AUTH}/authorize",
        revoke_url=f"{AUTH}/revoke",
        scopes=("moderator:read:followers",),
        pkce=False,
        loopback="localhost",  # the only address without https that is taken
        whoami=f"{BASE}/helix/users",
        whoami_cost=1,
        account=("data", 0, "id"),
        withdrawn=frozenset({"invalid refresh token"}),
    ),
    normalise=normalise,
    resolve=resolve,
    details=details,
    listing=listing,
    lookup=lookup,
    audience=audience,
    profiles=profiles,
    passing=frozenset({"live"}),
    page=lambda call: Page(int(call.param("first"))),
    classify=classify,
    parse=parse,
    next_page=next_page,
    rate=rate,
)
