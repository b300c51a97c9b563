"""TikTok: consented creators by the Display API, anybody by the Research API where we are eligible to use it.

Creators who granted access are known by their `open_id`, others by their user name, which is all that the Research API
knows: one account read both ways is two. Errors come with any status, in an envelope that is looked at first.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.oauth import AppToken, OAuth
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
from ingest.collect.platform import Account, Observer, Pace, Page, Platform
from ingest.collect.platforms import _tiktok_business as business
from ingest.collect.platforms import _tiktok_rows as rows
from ingest.collect.platforms._tiktok_rows import BASE
from ingest.collect.quota import next_reset
from ingest.collect.values import mapping, text

TOKEN = f"{BASE}/v2/oauth/token/"
CLIENT_KEY, CLIENT_SECRET = "tiktok_client_key", "tiktok_client_secret"
"""Settings of the app's key and secret."""
ELIGIBILITY = "tiktok_research_eligibility"
DAY = ZoneInfo("UTC")
"""Where the Research API's day is: 1,000 requests for profiles and videos; followers' lists have their own 20,000."""

CLIP = "id,create_time,share_url,video_description,title,duration,like_count,comment_count,share_count,view_count"
RESEARCHED = (
    "id,username,create_time,region_code,video_description,video_duration,view_count,like_count,comment_count,"
    "share_count,favorites_count,hashtag_names,video_mention_list"
)
USER = Endpoint(
    "user/info",
    "/v2/user/info/",
    {
        "fields": "open_id,union_id,avatar_url,display_name,bio_description,profile_deep_link,is_verified,username,"
        "follower_count,following_count,likes_count,video_count"
    },
    consent=True,
)
VIDEOS = Endpoint("video/list", "/v2/video/list/", {"fields": CLIP}, consent=True, method="POST")
QUERY = Endpoint("video/query", "/v2/video/query/", {"fields": CLIP}, batch=20, consent=True, method="POST")
RESEARCH_USER = Endpoint(
    "research/user/info",
    "/v2/research/user/info/",
    {
        "fields": "display_name,bio_description,avatar_url,is_verified,follower_count,following_count,likes_count,"
        "video_count"
    },
    cost=1,
    method="POST",
)
RESEARCH_VIDEOS = Endpoint(
    "research/video/query", "/v2/research/video/query/", {"fields": RESEARCHED}, batch=100, cost=1, method="POST"
)
FOLLOWERS = Endpoint("research/user/followers", "/v2/research/user/followers/", audience=True, method="POST")

OPEN_ID = re.compile(r"(?=[\w-]*-|[\w-]{25})[\w-]{3,128}", re.ASCII)
"""User names hold no hyphen and 24 characters at most."""
STRETCH = timedelta(days=30)
"""How much time one query of the Research API may ask for."""
MINUTE = timedelta(seconds=60)
"""Limits slide over a minute, and nothing says what is left of it."""
PASSING = re.compile(
    r"search ?id .*(invalid|expired)|something (went|is) wrong|server internal error|invalid count or cursor",
    re.IGNORECASE,
)
"""Faults of theirs that come with status 400, such as a search that is not known everywhere yet."""
OF_QUESTION = re.compile(r"\bfields?\b|\bscope|\bjson\b|\bbody\b|max_count|\bdate\b", re.IGNORECASE)
"""Wrong parameters that are no unknown user name."""
NO_SCOPE = {"scope_not_authorized", "scope_permission_missed"}
CHECK_APP = "Check ASSAY_TIKTOK_CLIENT_KEY and …_SECRET against the app's page at developers.tiktok.com."
CONNECT = "Connect the creator anew (`assay connect tiktok`), with all that is asked for."
NOT_APPROVED = "The app is not approved for this part of the Research API."


def normalise(account: str) -> str | None:
    """An `open_id` as it is, a user name in lower case without its @."""
    if OPEN_ID.fullmatch(account):
        return account
    name = account.removeprefix("@").lower()
    return name if re.fullmatch(r"[a-z0-9_.]{2,24}", name, re.ASCII) else None


def _is_consented(account_id: str) -> bool:
    return OPEN_ID.fullmatch(account_id) is not None


def _post(
    endpoint: Endpoint, asked: Mapping[str, Any], *, account_id: str | None = None, consented: bool = False
) -> Call:
    """A call that asks by a JSON body."""
    body = json.dumps(asked, separators=(",", ":")).encode()
    return endpoint.call(BASE, account_id=account_id, grant=account_id if consented else None, body=body)


def resolve(accounts: Sequence[str]) -> list[Call]:
    return [
        USER.call(BASE, account_id=one, grant=one)
        if _is_consented(one)
        else _post(RESEARCH_USER, {"username": one}, account_id=one)
        for one in accounts
    ]


def listing(account: Account, short: bool) -> Call:
    """Of a researched account the last stretch of days; earlier ones follow it as its pages do."""
    if _is_consented(account.account_id):
        return _post(VIDEOS, {"max_count": 20}, account_id=account.account_id, consented=True)
    name, _, newest = (account.listing or "").partition(" ")
    end = rows.day(newest) or date.max
    return _post(RESEARCH_VIDEOS, _stretch("username", [name], end), account_id=account.account_id)


def _stretch(field: str, wanted: Sequence[str], end: date) -> dict[str, Any]:
    """A query of the Research API for the longest time that it allows, up to a day."""
    condition = {"operation": "IN", "field_name": field, "field_values": list(wanted)}
    start, until = f"{end - STRETCH:%Y%m%d}", f"{end:%Y%m%d}"
    return {"query": {"and": [condition]}, "start_date": start, "end_date": until, "max_count": 100}


def lookup(posts: Sequence[str]) -> list[Call]:
    """Posts in stretches of time, which their ids tell: the upper half of one is its second."""
    days = {post: datetime.fromtimestamp(int(post) >> 32, UTC).date() for post in posts if post.isdigit()}
    calls: list[Call] = []
    batch: list[str] = []
    for post in sorted(days, key=lambda one: days[one], reverse=True):
        if batch and (days[batch[0]] - days[post] >= STRETCH or len(batch) == RESEARCH_VIDEOS.batch):
            calls.append(_post(RESEARCH_VIDEOS, _stretch("video_id", batch, days[batch[0]])))
            batch = []
        batch.append(post)
    return [*calls, _post(RESEARCH_VIDEOS, _stretch("video_id", batch, days[batch[0]]))] if batch else calls


def lookup_of(owners: Mapping[str, str]) -> list[Call]:
    """Each consented creator's posts under that creator's grant, all others together."""
    mine: dict[str, list[str]] = {}
    for post, owner in owners.items():
        mine.setdefault(owner if _is_consented(owner) else "", []).append(post)
    researched = lookup(mine.pop("", []))
    return researched + [
        _post(QUERY, {"filters": {"video_ids": posts[at : at + QUERY.batch]}}, account_id=owner, consented=True)
        for owner, posts in mine.items()
        for at in range(0, len(posts), QUERY.batch)
    ]


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    """Followers are the Research API's alone, and never put together with what a creator's grant lets us read."""
    mine = account.account_id
    return [] if _is_consented(mine) else [_post(FOLLOWERS, {"username": mine, "max_count": 100}, account_id=mine)]


def page(call: Call) -> Page:
    """As many as were asked for; a query of the Research API shows posts of one stretch of time alone."""
    reaches = STRETCH if call.endpoint == RESEARCH_VIDEOS else timedelta.max
    return Page(int(rows.asked_of(call)["max_count"]), reaches=reaches)


def next_page(call: Call, answer: Answer) -> Call | None:
    """By cursor; research goes on with its `search_id`, and at the end of an account's stretch with the one before."""
    data, asked = values.lenient(answer.fields.get("data")), rows.asked_of(call)
    cursor = data.get("cursor")
    if data.get("has_more") is True and isinstance(cursor, int | str) and not isinstance(cursor, bool):
        if call.endpoint == business.VIDEOS:
            return call.with_params(cursor=str(cursor)) if str(cursor) != call.param("cursor") else None
        following = asked | {"cursor": cursor} | ({"search_id": data["search_id"]} if "search_id" in data else {})
        return _with(call, following) if cursor != asked.get("cursor") else None
    start = rows.day(asked.get("start_date"))
    if call.endpoint != RESEARCH_VIDEOS or call.account_id is None or start is None or "data" not in answer.fields:
        return None  # only our own listings, which end where enough was seen, go on by time
    return _with(call, _stretch("username", [call.account_id], start - timedelta(days=1)))


def _with(call: Call, asked: Mapping[str, Any]) -> Call:
    again = _post(call.endpoint or RESEARCH_VIDEOS, asked, account_id=call.account_id, consented=call.grant is not None)
    return again.at(call.url)


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By the envelope's code: an error may come with status 200, success is `ok`."""
    fields, error = answer.fields, answer.fields.get("error")
    if answer.status == 200 or 400 <= answer.status < 600:
        if isinstance(error, dict) and error.get("code") not in ("ok", 0, None):
            return _refusal(call, answer, str(error["code"]), text(error.get("message")) or "", now)
        if isinstance(error, str) and error:  # the token endpoint's form
            return _refusal(call, answer, error, text(fields.get("error_description")) or "", now)
        if business.is_error(fields):
            return business.refusal(answer, now)
    if verdict := settled(answer, ours=call.endpoint is not None):
        return verdict
    if not 200 <= answer.status < 300:
        return by_status(answer, now, CHECK_APP)
    found = fields.get("data")
    nobody = call.endpoint == RESEARCH_USER and found == {}
    return Verdict(Outcome.GONE, "no_data") if nobody else OK if isinstance(found, dict) else malformed("unknown_shape")


def _refusal(call: Call, answer: Answer, code: str, message: str, now: datetime) -> Verdict:
    """An error of the envelope."""
    until = retry_after(answer, now)
    if answer.status >= 500 or code == "internal_error" or PASSING.search(message):
        return Verdict(Outcome.UNAVAILABLE, code, until)
    if code.startswith("daily_quota"):
        return Verdict(Outcome.EXHAUSTED, code, next_reset(now, DAY), "Its day ends at midnight UTC.")
    if answer.status == 429 or code == "rate_limit_exceeded":
        return Verdict(Outcome.THROTTLED, code, until or now + MINUTE, "TikTok asks for fewer calls.")
    about_user = call.endpoint in (RESEARCH_USER, FOLLOWERS)
    if answer.status == 404 or (about_user and code == "invalid_params" and not OF_QUESTION.search(message)):
        return Verdict(Outcome.GONE, "not_found")
    if call.endpoint == FOLLOWERS and answer.status == 403:
        return Verdict(Outcome.GONE, "not_public")
    return _refused(call, answer, code, message)


def _refused(call: Call, answer: Answer, code: str, message: str) -> Verdict:
    """What no patience helps: tokens, scopes, our own parameters."""
    of_app, researched = call.grant is None, call.endpoint in (RESEARCH_USER, RESEARCH_VIDEOS, FOLLOWERS)
    if code.startswith("access_token"):
        advice = CHECK_APP if of_app else CONNECT
        return Verdict(Outcome.REFUSED, TOKEN_EXPIRED, message=advice, of_credential=of_app)
    if code in NO_SCOPE:
        # Lists of followers are kept from many an app that may read everything else.
        of_credential = of_app and call.endpoint != FOLLOWERS
        return Verdict(
            Outcome.REFUSED, code, message=NOT_APPROVED if researched else CONNECT, of_credential=of_credential
        )
    said = "" if call.endpoint == FOLLOWERS else f"{message}. "  # it may name a member
    return Verdict(Outcome.REFUSED, code, message=f"{said}{CHECK_APP}", of_credential=answer.status == 401 and of_app)


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    data = mapping(answer.fields.get("data")) if 200 <= answer.status < 300 else {}
    if call.endpoint in (business.PROFILE, business.VIDEOS):
        business.parse(call, data, observe)
    elif call.endpoint == RESEARCH_USER:
        rows.parse_researched_user(call, data, observe)
    elif call.endpoint == USER and "user" in data:
        rows.parse_user(call, mapping(data["user"]), observe)
    elif call.endpoint == FOLLOWERS:
        for follower in values.rows(data.get("user_followers", [])):
            rows.parse_follower(call, follower, observe)
    elif call.endpoint in (VIDEOS, QUERY, RESEARCH_VIDEOS) and data:
        rows.parse_videos(call, data, observe, researched=call.endpoint == RESEARCH_VIDEOS)


PLATFORM = Platform(
    name="tiktok",
    collector="tiktok/1",
    authorisation="app",
    endpoints=(
        *(USER, VIDEOS, QUERY, RESEARCH_USER, RESEARCH_VIDEOS, FOLLOWERS),
        *(business.PROFILE, business.VIDEOS),
    ),
    pace=Pace(calls=600, seconds=60, at_once=4, kind="sliding", per_endpoint=True),
    app=AppToken(
        token_url=TOKEN, id_setting=CLIENT_KEY, secret_setting=CLIENT_SECRET, id_name="client_key", needs=ELIGIBILITY
    ),
    oauth=OAuth(
        token_url=TOKEN,
        id_setting=CLIENT_KEY,
        secret_setting=CLIENT_SECRET,
        id_name="client_key",
        authorize_url="https://www.tiktok.com/v2/auth/authorize/",
        revoke_url=f"{BASE}/v2/oauth/revoke/",
        scopes=("user.info.basic", "user.info.profile", "user.info.stats", "video.list"),
        scope_separator=",",
        pkce=False,  # its own, not the standard's, and for desktops alone
        loopback="",
        account=("open_id",),
        rotates=True,
        access_seconds=86_400,
    ),
    daily_units=lambda settings: settings.tiktok_daily_units if settings.tiktok_research_eligibility else None,
    budget_zone=DAY,
    normalise=normalise,
    resolve=resolve,
    listing=listing,
    lookup=lookup,
    lookup_of=lookup_of,
    audience=audience,
    page=page,
    classify=classify,
    parse=parse,
    next_page=next_page,
)
