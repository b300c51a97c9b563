"""Reddit's Data API by the app's token: profiles, submissions, and commenters. Nobody is told who follows whom.

A submission has a score (up minus down, fuzzed) and no likes or views. A deleted one that is asked for by id may still
be answered for, with its author gone.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.oauth import AppToken
from ingest.collect.outcome import (
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
from ingest.collect.platform import Account, Observer, Pace, Platform, Rate
from ingest.collect.platforms._reddit_rows import ACCOUNT_ID, fullname, moment_of, parse_comments, parse_post, things
from ingest.collect.values import count, identifier, lenient, text, when

BASE = "https://oauth.reddit.com"
TOKEN = "https://www.reddit.com/api/v1/access_token"  # noqa: S105  # an address
RAW = {"raw_json": "1"}
"""Without it `&`, `<` and `>` come as HTML entities."""

ABOUT = Endpoint("user/about", "/user/{name}/about", RAW, cost=1)
SUBMITTED = Endpoint("user/submitted", "/user/{name}/submitted", {**RAW, "sort": "new", "t": "all"}, cost=1)
INFO = Endpoint("info", "/api/info", RAW, batch=100, cost=1)
COMMENTS = Endpoint("comments", "/comments/{article}", {**RAW, "sort": "new", "depth": "1", "limit": "100"}, cost=1,
                    audience=True)  # fmt: skip
USERS = Endpoint("users", "/api/user_data_by_account_ids", RAW, batch=100, cost=1)
# Commenters' profiles, asked by the path of USERS: as that comes first, recordings are read as users.
MEMBERS = Endpoint("members", USERS.path, RAW, batch=100, cost=1, audience=True)

NAME = re.compile(r"[A-Za-z0-9_-]{2,24}", re.ASCII)
NO_PICTURE = re.compile(r"avatar_default|/default")
NOT_THERE = {"USER_DOESNT_EXIST", "NO_USER", "SUBREDDIT_NOEXIST", "THREAD_NOT_FOUND", "DELETED_COMMENT", "DELETED_LINK"}
CHECK_APP = (
    "Check ASSAY_REDDIT_CLIENT_ID and ASSAY_REDDIT_CLIENT_SECRET, that Reddit has approved the app for the Data API, "
    "and that ASSAY_CONTACT names you (/u/name): agents that name nobody are turned away."
)
CHECK_CALL = "Check the account on the watch list."


def normalise(account: str) -> str | None:
    """A name in lower case without `u/`, or a fullname (`t2_...`) as it is."""
    name = re.sub(r"^/?(u|user)/|^@", "", account, flags=re.IGNORECASE).rstrip("/").lower()
    return name if NAME.fullmatch(name) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    ids = [account for account in accounts if ACCOUNT_ID.fullmatch(account)]
    names = [account for account in accounts if not ACCOUNT_ID.fullmatch(account) and NAME.fullmatch(account)]
    return USERS.calls(BASE, "ids", ids, separator=",") + [ABOUT.call(BASE, name=name) for name in names]


def details(accounts: Sequence[Account]) -> list[Call]:
    """Profiles of those found by id, whose look-up tells no followers."""
    by_id = [account for account in accounts if account.listing and account.listing.lower() not in account.names]
    return [ABOUT.call(BASE, account_id=account.account_id, name=account.listing or "") for account in by_id]


def listing(account: Account, short: bool) -> Call:
    page = {"limit": "25" if short else "100"}
    return SUBMITTED.call(BASE, page, account_id=account.account_id, name=account.listing or "")


def lookup(posts: Sequence[str]) -> list[Call]:
    return INFO.calls(BASE, "id", posts, separator=",")


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    articles = [post.removeprefix("t3_") for post in posts]
    return [COMMENTS.call(BASE, account_id=account.account_id, article=article) for article in articles]


def profiles(members: Sequence[str]) -> list[Call]:
    return MEMBERS.calls(BASE, "ids", [one for one in members if ACCOUNT_ID.fullmatch(one)], separator=",")


def next_page(call: Call, answer: Answer) -> Call | None:
    """By the last submission's fullname, up to some 1,000. An empty page, or one that leads back to itself, ends."""
    page = lenient(answer.fields.get("data"))
    after = page.get("after")
    if call.endpoint != SUBMITTED or not isinstance(after, str) or after in ("", call.param("after")):
        return None
    return call.with_params(after=after) if page.get("children") else None


def rate(answer: Answer) -> Rate | None:
    """`x-ratelimit-remaining`, a whole number or `598.0`, and seconds until the reset by the answer's own `Date`."""
    left = re.fullmatch(r"([0-9]{1,9})(\.[0-9]*)?", answer.headers.get("x-ratelimit-remaining", ""))
    if not left:
        return None
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return Rate(int(left[1]), None)
    # `Date` has no fractions of a second: a second more is never too early.
    return Rate(int(left[1]), _reset(answer, date + timedelta(seconds=1)) if date.tzinfo else None)


def _reset(answer: Answer, since: datetime) -> datetime | None:
    """When the window ends: that header counts seconds, it names no moment."""
    left = re.fullmatch(r"([0-9]{1,6})(\.[0-9]*)?", answer.headers.get("x-ratelimit-reset", ""))
    return since + timedelta(seconds=int(left[1])) if left else None


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By the status: bodies of errors are JSON, HTML or `{"error": 403}`, as the host likes. Some come with 200."""
    if answer.status < 400 and (said := _said(answer)):
        return _refusal(call, answer, said, now)
    if verdict := settled(answer, ours=call.endpoint is not None):
        return verdict
    if 200 <= answer.status < 300:
        return _classify_success(call, answer.document)
    if answer.status == 429:
        until = retry_after(answer, now) or _reset(answer, now)
        return Verdict(Outcome.THROTTLED, "http_429", until, "Reddit asks for fewer calls.")
    if 400 <= answer.status < 500 and answer.status not in {408, 425}:
        return _refusal(call, answer, text(answer.fields.get("reason")) or "", now)
    return by_status(answer, now, CHECK_APP)


def _said(answer: Answer) -> str:
    """The code of an error that came without its status: with 200 in two forms, or as a way to the search."""
    if answer.status in {301, 302} and "/subreddits/search" in answer.headers.get("location", ""):
        return "SUBREDDIT_NOEXIST"
    if not 200 <= answer.status < 300:
        return ""
    error, rows = answer.fields.get("error"), lenient(answer.fields.get("json")).get("errors")
    first = rows[0] if isinstance(rows, list) and rows else error if not isinstance(error, dict) else None
    first = first[0] if isinstance(first, list) and first else first
    return str(first) if isinstance(first, str | int) and first else ""


def _classify_success(call: Call, found: Any) -> Verdict:
    if call.endpoint in (USERS, MEMBERS):
        known = isinstance(found, dict) and all(isinstance(row, dict) for row in found.values())
    elif call.endpoint == COMMENTS:
        known = isinstance(found, list) and len(found) > 1 and all(_is_listing(part) for part in found)
    elif call.endpoint == ABOUT:
        known = isinstance(found, dict) and found.get("kind") == "t2" and isinstance(found.get("data"), dict)
        if known and found["data"].get("is_suspended") is True:
            return Verdict(Outcome.GONE, "suspended")
    else:
        known = _is_listing(found)
    return OK if known else malformed("unknown_shape")


def _is_listing(found: Any) -> bool:
    return isinstance(found, dict) and found.get("kind") == "Listing" and isinstance(found.get("data"), dict)


def _refusal(call: Call, answer: Answer, reason: str, now: datetime) -> Verdict:
    """An error that is no haste and no fault of theirs."""
    is_json = "error" in answer.fields or "message" in answer.fields or bool(reason)
    of_token = call.path.endswith("/access_token")
    word = reason.lower() or "not_found"
    if reason == "RATELIMIT":
        return Verdict(Outcome.THROTTLED, word, retry_after(answer, now) or _reset(answer, now))
    if answer.status == 401 and not of_token:
        return Verdict(Outcome.REFUSED, TOKEN_EXPIRED, message=CHECK_APP, of_credential=True)
    if reason in NOT_THERE or (answer.status in {404, 410, 451} and is_json and not of_token and call.endpoint != INFO):
        return Verdict(Outcome.GONE, word if reason or answer.status != 451 else "http_451")
    if answer.status == 403 and reason == "private":
        return Verdict(Outcome.GONE, word)
    if answer.status in {404, 410}:
        return by_status(answer, now, CHECK_CALL)
    of_subject = call.endpoint in (SUBMITTED, COMMENTS) and is_json
    of_scope = "insufficient_scope" in answer.headers.get("www-authenticate", "")
    of_app = of_token or of_scope or (answer.status in {401, 403} and not reason and not of_subject)
    advice = CHECK_APP if of_app else CHECK_CALL
    return Verdict(Outcome.REFUSED, reason.lower() or f"http_{answer.status}", message=advice, of_credential=of_app)


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304:
        return
    if not 200 <= answer.status < 300:
        _parse_missing(call, set(), observe)
    elif call.endpoint == ABOUT:
        _parse_profile(call, answer.document["data"], observe)
    elif call.endpoint in (USERS, MEMBERS):
        for account_id, user in answer.document.items():
            if call.endpoint == MEMBERS:
                observe.reading.profiles[account_id] = _features(user)
            else:
                _parse_user(account_id, user, observe)
        _parse_missing(call, set(answer.document), observe)
    elif call.endpoint == COMMENTS:
        parse_comments(call, answer.document, observe)
    else:
        found = things(answer.document, "t3")
        for post in found:
            parse_post(call, post, observe)
        if call.endpoint == SUBMITTED:
            times = (moment_of(post.get("created_utc")) for post in found if post.get("pinned") is not True)
            observe.reading.reached = min((time for time in times if time), default=None)
        else:
            _parse_missing(call, {fullname(post) for post in found}, observe)


def _parse_missing(call: Call, seen: set[str], observe: Observer) -> None:
    """What was asked for and is not there. A name that leads nowhere is nobody's id: it makes no event."""
    if call.endpoint == USERS:
        for account_id in call.listed("ids"):
            if account_id not in seen:
                observe.account(account_id, state="gone", state_reason="not_found")
    elif call.endpoint == INFO:
        for post_id in call.listed("id"):
            if post_id not in seen and post_id.startswith("t3_"):
                observe.post(None, post_id, state="gone", state_reason="not_found")
    elif call.endpoint == COMMENTS:
        observe.post(None, f"t3_{call.path_values['article']}", state="gone", state_reason="not_found")
    elif call.endpoint in (ABOUT, SUBMITTED) and call.account_id and not seen:
        observe.account(call.account_id, state="gone", state_reason="not_found")


def _parse_profile(call: Call, user: dict[str, Any], observe: Observer) -> None:
    """A suspended account tells its name alone: that stands for its id, as with old answers."""
    asked, name = call.path_values["name"], text(user.get("name"))
    own_id = identifier(user["id"]) if user.get("id") is not None else None
    account_id = f"t2_{own_id.removeprefix('t2_')}" if own_id else call.account_id or identifier(name)
    if user.get("is_suspended") is True:
        observe.account(account_id, state="gone", state_reason="suspended", handle=name)
        return
    own = lenient(user.get("subreddit"))
    # Reddit shows 0 where followers are hidden, and cannot be told from nobody.
    accepts = [part.get("accept_followers") for part in (user, own)]
    followers = None if False in accepts else count(own.get("subscribers")) or None
    observe.account(
        account_id,
        state="visible",
        handle=name,
        display_name=text(own.get("title")),
        created_at=when(moment_of(user.get("created_utc"))),
        url=f"https://www.reddit.com/user/{asked}",
        bio=text(own.get("public_description")),
        followers=followers,
        followers_resolution=1 if followers is not None else None,
        has_picture=_has_picture(text(user.get("snoovatar_img")) or user.get("icon_img")),
        unavailable=["followers:hidden"] if followers is None and "subscribers" in own else None,
        definition="reddit-1",
        raw=values.raw(user),
    )
    names = frozenset({account_id, asked.lower()})
    observe.reading.found.append(Account(account_id, names, BASE, asked, followers))


def _parse_user(account_id: str, user: dict[str, Any], observe: Observer) -> None:
    name = text(user.get("name"))
    observe.account(
        account_id,
        state="visible",
        handle=name,
        created_at=when(moment_of(user.get("created_utc"))),
        url=f"https://www.reddit.com/user/{name}" if name else None,
        has_picture=_has_picture(user.get("profile_img")),
        definition="reddit-1",
        raw=values.raw(user),
    )
    listed = name if name and NAME.fullmatch(name) else None
    observe.reading.found.append(Account(account_id, frozenset({account_id}), BASE, listed))


def _features(user: dict[str, Any]) -> dict[str, Any]:
    """Karma is neither followers nor posts: a commenter's age and picture are what is told."""
    return {
        "created_at": when(moment_of(user.get("created_utc"))),
        "has_picture": _has_picture(user.get("profile_img")),
    }


def _has_picture(url: Any) -> bool | None:
    return not NO_PICTURE.search(url) if isinstance(url, str) and url else None


PLATFORM = Platform(
    name="reddit",
    collector="reddit/1",
    authorisation="app",
    endpoints=(ABOUT, SUBMITTED, INFO, COMMENTS, USERS, MEMBERS),
    pace=Pace(calls=1_000, seconds=600, at_once=4, kind="window"),
    app=AppToken(
        token_url=TOKEN,
        id_setting="reddit_client_id",
        secret_setting="reddit_client_secret",  # noqa: S106  # a field's name
        sent="basic",
        agent="python:assay",
    ),
    normalise=normalise,
    resolve=resolve,
    details=details,
    listing=listing,
    lookup=lookup,
    audience=audience,
    audience_posts=20,
    profiles=profiles,
    made_up=lambda _, __, number: f"t2_{number}",
    classify=classify,
    parse=parse,
    next_page=next_page,
    rate=rate,
)
