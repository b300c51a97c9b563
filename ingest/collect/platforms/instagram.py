"""Instagram's Graph API: others' professional accounts by business discovery, insights and comments by owners' grants.

Discovery answers one handle a call, in the name of a professional account of one's own, and looks up neither accounts
nor posts by id: what is due is read on the listing's pages. Personal accounts are like none. Errors go by their codes,
never by their texts, which are in the token owner's language.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.outcome import (
    CONSENT_WITHDRAWN,
    OK,
    TOKEN_EXPIRED,
    Answer,
    Outcome,
    Refused,
    Verdict,
    by_status,
    malformed,
    retry_after,
    settled,
)
from ingest.collect.platform import Account, Observer, Pace, Page, Platform, Rate
from ingest.collect.platforms._instagram_owner import (
    COMMENTS,
    INSIGHTS,
    OWNER,
    SEGMENT,
    VERSION,
    audience,
    consented,
    is_never,
    parse_comment,
    parse_insights,
)
from ingest.collect.values import Unreadable, count, identifier, lenient, mapping, moment, text, when
from ingest.settings import Settings

GRAPH = "https://graph.facebook.com"
DISCOVERY = Endpoint("discovery", "/{version}/{user}", cost=1, segment=SEGMENT)
PROFILE = "username,name,biography,website,profile_picture_url,followers_count,follows_count,media_count"
MEDIA = (
    "id,caption,media_type,media_product_type,permalink,timestamp,like_count,comments_count,view_count,"
    "total_like_count,total_comments_count,reposts_count"
)
FORMATS = {"IMAGE": "image", "CAROUSEL_ALBUM": "carousel", "VIDEO": "video"}
# What discovery calls views was counted otherwise before: never compare across.
DEFINITIONS = (("2026-04-22", "views-2026-04"), ("", "views-2025-01"))

TRANSIENT = {1, 2}
TOO_FAST = {4, 17, 32, 341, 613, *range(80000, 80015)}
NOT_THERE = {24, 110, 803}
OF_TOKEN = {102, 190}
PERMISSIONS = {3, 10, *range(200, 300)}
APP_REMOVED, NOT_LOADED = 458, 33
HOUR = timedelta(hours=1)
"""The app's limit counts the calls of an hour that rolls on."""
CALLS = 200
"""Of the app in such an hour, for each person who uses it: our own account alone, at least."""
CHECK_ACCESS = (
    "Check ASSAY_INSTAGRAM_ACCESS_TOKEN and ASSAY_INSTAGRAM_USER_ID: the token of one's own professional account, with "
    "instagram_basic, instagram_manage_insights and pages_read_engagement."
)
CONNECT = "Connect the account's owner anew (`assay connect instagram`), with all that is asked for."


def authorise(settings: Settings) -> dict[str, str]:
    token = settings.credential("instagram_access_token")
    if not token or not settings.credential("instagram_user_id"):
        raise Refused(
            "Instagram shows others' accounts only in the name of a professional account of one's own. Set its token "
            "and its id (17841...): ASSAY_INSTAGRAM_ACCESS_TOKEN and ASSAY_INSTAGRAM_USER_ID"
        )
    return {"Authorization": f"Bearer {token}"}


def address(settings: Settings, call: Call) -> Call:
    """Discovery asked in the name of the account that settings name."""
    if call.endpoint != DISCOVERY or not settings.instagram_user_id:
        return call
    return call.at(call.url.replace(f"/{VERSION}/me?", f"/{VERSION}/{settings.instagram_user_id}?", 1))


def normalise(account: str) -> str | None:
    """A handle in lower case without @; nobody is found by id."""
    handle = account.removeprefix("@").lower()
    return handle if re.fullmatch(r"[a-z0-9._]{1,30}", handle, re.ASCII) else None


def _discover(handle: str, fields: str, account_id: str | None = None) -> Call:
    """The braces and brackets are Instagram's own way to nest fields and to page."""
    asked = {"fields": f"business_discovery.username({handle}){{{fields}}}"}
    return DISCOVERY.call(GRAPH, asked, account_id=account_id, version=VERSION, user="me")


def resolve(accounts: Sequence[str]) -> list[Call]:
    """What is no handle, such as an id, finds nobody: it is not asked for."""
    return [_discover(one, f"id,{PROFILE}") for one in accounts if normalise(one) and not _is_id(one)]


def _is_id(account: str) -> bool:
    return re.fullmatch(r"1784\d{13}", account, re.ASCII) is not None


def listing(account: Account, short: bool) -> Call:
    """Pages cost the same whatever they hold."""
    return _discover(account.listing or "", f"id,media_count,media.limit(50){{{MEDIA}}}", account.account_id)


def next_page(call: Call, answer: Answer) -> Call | None:
    """Discovery's cursor goes into the fields, and is missing on the last page; an edge's last page has no `next`."""
    found = lenient(answer.fields.get("business_discovery")).get("media") if asks_discovery(call) else answer.fields
    paging = lenient(lenient(found).get("paging"))
    cursor = lenient(paging.get("cursors")).get("after")
    if not isinstance(cursor, str) or not re.fullmatch(r"[^(){},\s]+", cursor):
        return None
    if call.endpoint == COMMENTS:
        return call.with_params(after=cursor) if paging.get("next") and cursor != call.param("after") else None
    fields = call.param("fields")
    following = re.sub(r"\bmedia\b(?:\.after\([^)]*\))?", lambda _: f"media.after({cursor})", fields, count=1)
    return call.with_params(fields=following) if asks_discovery(call) and following != fields else None


def asks_discovery(call: Call) -> bool:
    """Whether a call to an account asks for another's: the path alone does not tell."""
    return call.endpoint == DISCOVERY and "business_discovery" in call.param("fields")


def rate(answer: Answer) -> Rate | None:
    """`X-App-Usage` tells whole percents of the rolling hour: up to the next one may be used. None says until when."""
    used = [value for value in _usage(answer, "x-app-usage").values() if isinstance(value, int | float)]
    return Rate(max(0, int(CALLS * (99 - max(used)) // 100)), None) if used else None


def _usage(answer: Answer, header: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.headers.get(header, "{}"), type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _regained(answer: Answer, now: datetime) -> datetime:
    """When calls will be answered again: as the account's usage says in minutes, else when the hour is over."""
    told = [row for rows in _usage(answer, "x-business-use-case-usage").values() for row in values.items(rows)]
    minutes = [row.get("estimated_time_to_regain_access") for row in told]
    longest = max((part for part in minutes if isinstance(part, int) and 0 < part < 100_000), default=None)
    return retry_after(answer, now) or now + (timedelta(minutes=longest) if longest else HOUR)


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By `error.code` and `error.error_subcode`, whatever the status: an error may come with 200."""
    error = answer.fields.get("error")
    if isinstance(error, dict) and answer.status and (answer.status >= 400 or "code" in error):
        return _passing_fault(error, answer, now) or _refusal(call, error, answer)
    ours = call.endpoint is not None and (call.endpoint != DISCOVERY or asks_discovery(call))
    if verdict := settled(answer, ours=ours):
        return verdict
    if not 200 <= answer.status < 300:
        return by_status(answer, now, CONNECT if call.grant else CHECK_ACCESS)
    found = answer.document if isinstance(answer.document, dict) else {}
    holds = found.get("business_discovery" if call.endpoint == DISCOVERY else "data")
    if call.endpoint == DISCOVERY and holds is None and text(found.get("id")):
        return Verdict(Outcome.GONE, "not_shown")  # age-gated: one's own id, and nothing of the other
    known = isinstance(holds, dict if call.endpoint == DISCOVERY else list) and "error" not in found
    return OK if known else malformed("unknown_shape")


def _codes(error: dict[str, Any]) -> tuple[int, int, str]:
    """Code, subcode, and both as a reason."""
    code, subcode = (part if isinstance(part, int) else 0 for part in (error.get("code"), error.get("error_subcode")))
    return code, subcode, f"{code}/{subcode}" if subcode else str(code)


def _passing_fault(error: dict[str, Any], answer: Answer, now: datetime) -> Verdict | None:
    """The verdict on what patience helps: limits, which come with 400 or 403, and faults of Instagram's own."""
    code, _, reason = _codes(error)
    if code in TOO_FAST:
        return Verdict(Outcome.THROTTLED, reason, _regained(answer, now), "Instagram asks for fewer calls.")
    if answer.status == 429:
        return Verdict(Outcome.THROTTLED, reason, retry_after(answer, now))
    if code in TRANSIENT or error.get("is_transient") is True or answer.status >= 500:
        return Verdict(Outcome.UNAVAILABLE, reason, retry_after(answer, now))
    return None


def _refusal(call: Call, error: dict[str, Any], answer: Answer) -> Verdict:
    code, subcode, reason = _codes(error)
    of_us = call.grant is None
    if code in NOT_THERE or (subcode == NOT_LOADED and not asks_discovery(call)):
        return Verdict(Outcome.GONE, reason)
    if is_never(call, answer):
        return Verdict(Outcome.OK, reason)
    if code in OF_TOKEN and not of_us:
        return Verdict(Outcome.REFUSED, CONSENT_WITHDRAWN if subcode == APP_REMOVED else TOKEN_EXPIRED, message=CONNECT)
    if code == 100 and call.endpoint == INSIGHTS:
        return Verdict(Outcome.REFUSED, "unsupported_metric", message=f"{call.path}: insights lack a metric of these.")
    of_token = code in OF_TOKEN or (call.endpoint == DISCOVERY and (code in PERMISSIONS or subcode == NOT_LOADED))
    message = f"Instagram refuses the call ({reason}). {CHECK_ACCESS if of_us else CONNECT}"
    return Verdict(Outcome.REFUSED, reason, message=message, of_credential=of_us and of_token)


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    """Of a post that insights do not find nothing is said: the same error is a missing permission's."""
    fine = 200 <= answer.status < 300 and "error" not in answer.fields
    if call.endpoint == INSIGHTS and (fine or is_never(call, answer)):
        parse_insights(call, answer, observe)
    elif call.endpoint == COMMENTS and fine:
        for comment in values.rows(answer.document["data"]):
            parse_comment(call, comment, observe)
    elif asks_discovery(call) and fine and "business_discovery" in answer.fields:
        _parse_discovery(call, mapping(answer.fields["business_discovery"]), observe)


def _parse_discovery(call: Call, found: dict[str, Any], observe: Observer) -> None:
    account_id = identifier(found["id"]) if "id" in found else call.account_id
    if account_id and found.keys() & (set(PROFILE.split(",")) - {"media_count"}):
        _parse_profile(call, account_id, found, observe)
    asked = set(re.findall(r"\w+", call.param("fields")))
    if "media" in asked and "media" not in found and count(found.get("media_count")):
        raise Unreadable("no_media")  # else every post would count as deleted
    media = mapping(found.get("media"))
    for row in values.rows(media.get("data", [])):
        _parse_media(account_id, row, asked, observe)
    observe.reading.reached = observe.reading.oldest


def _parse_profile(call: Call, account_id: str, found: dict[str, Any], observe: Observer) -> None:
    asked = re.search(r"username\(([^)]*)\)", call.param("fields"))
    handle = text(found.get("username")) or (asked[1] if asked else None)
    followers = count(found.get("followers_count")) or None  # 0 is a fault of the API's, now and then
    observe.account(
        account_id,
        state="visible",
        handle=handle,
        display_name=text(found.get("name")),
        url=f"https://www.instagram.com/{handle}/" if handle else None,
        bio=text(found.get("biography")),
        external_url=text(found.get("website")),
        followers=followers,
        followers_resolution=None if followers is None else 1,
        following=count(found.get("follows_count")),
        posts=count(found.get("media_count")),
        is_private=False,  # no professional account is
        has_picture=True if text(found.get("profile_picture_url")) else None,
        definition=_definition(observe.at),
        raw=values.raw({name: value for name, value in found.items() if name != "media"}),
    )
    if handle:
        names = {handle.lower(), asked[1].lower()} if asked else {handle.lower()}
        observe.reading.found.append(Account(account_id, frozenset(names), GRAPH, handle, followers))


def _parse_media(account_id: str | None, media: dict[str, Any], asked: set[str], observe: Observer) -> None:
    """A key that was asked for and is missing is a counter that the owner hides; views there are of reels alone."""
    post_id, caption, link = identifier(media.get("id")), text(media.get("caption")), text(media.get("permalink"))
    published, kind = moment(media.get("timestamp")), media.get("media_type")
    if not observe.listed(post_id, published):
        return
    is_reel = media.get("media_product_type") == "REELS" or (kind == "VIDEO" and "/reel/" in (link or ""))
    counters = (("view_count", "views"), ("like_count", "likes"), ("comments_count", "comments"))
    hidden = [
        f"{metric}:{'not_offered' if metric == 'views' and not is_reel else 'hidden'}"
        for name, metric in counters
        if name in asked and media.get(name) is None
    ]
    observe.post(
        account_id,
        post_id,
        state="visible",
        published_at=when(published),
        url=link,
        format="short" if is_reel else FORMATS.get(kind) if isinstance(kind, str) else None,
        relation="original",
        text=caption,
        hashtags=values.tags_in(caption) if caption else None,
        links=values.links_in(caption) if caption else None,
        views=count(media.get("view_count")),
        likes=count(media.get("like_count")),
        comments=count(media.get("comments_count")),
        unavailable=hidden or None,
        definition=_definition(observe.at),
        raw=values.raw({name: value for name, value in media.items() if not name.endswith("_url")}),  # they expire
    )


def _definition(at: datetime) -> str:
    return next(name for since, name in DEFINITIONS if at.date().isoformat() >= since)


PLATFORM = Platform(
    name="instagram",
    collector="instagram/1",
    authorisation="app",
    endpoints=(DISCOVERY, INSIGHTS, COMMENTS),
    pace=Pace(calls=CALLS, seconds=3600, at_once=4, kind="window"),
    audience_posts=20,
    relists=True,
    authorise=authorise,
    address=address,
    oauth=OWNER,
    normalise=normalise,
    resolve=resolve,
    listing=listing,
    lookup=lambda _: [],
    audience=audience,
    consented=consented,
    page=lambda _: Page(50),
    classify=classify,
    parse=parse,
    next_page=next_page,
    rate=rate,
)
