"""YouTube Data API v3: channels, uploads and videos, by API key.

Daily units, reset at midnight Pacific. A key missing in `statistics` is a hidden counter, never 0. Audiences are in
`_youtube_audience.py`, owners' figures in `_youtube_owner.py`.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.outcome import (
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
from ingest.collect.platform import Account, Observer, Pace, Page, Platform
from ingest.collect.platforms._youtube_audience import (
    BASE,
    COMMENTERS,
    COMMENTS,
    SUBSCRIBERS,
    audience,
    features,
    has_picture,
    parse_member,
    profiles,
    subscribers,
)
from ingest.collect.platforms._youtube_owner import OWNER, REPORTS, consented, parse_report
from ingest.collect.platforms._youtube_videos import definition, read_video
from ingest.collect.quota import next_reset
from ingest.collect.values import count, identifier, items, lenient, mapping, moment, text, when
from ingest.settings import Settings

VIDEO_PARTS = "snippet,statistics,contentDetails,status,liveStreamingDetails,paidProductPlacementDetails"

# As it comes before COMMENTERS, which is asked by the same path, recordings are read as channels.
CHANNELS = Endpoint("channels", COMMENTERS.path, COMMENTERS.params, batch=50, cost=1)
UPLOADS = Endpoint(
    "playlistItems", "/youtube/v3/playlistItems", {"part": "contentDetails,status", "maxResults": "50"}, cost=1
)
VIDEOS = Endpoint("videos", "/youtube/v3/videos", {"part": VIDEO_PARTS}, batch=50, cost=1)
# Counters alone, out of 10,000 units a day of their own: what is left of the others is for lists.
STATS = Endpoint(
    "videos:batchGetStats",
    "/youtube/v3/videos:batchGetStats",
    {"part": "snippet,statistics,contentDetails"},
    batch=50,
    apart=True,
)

CHANNEL_ID = re.compile(r"UC[\w-]{22}", re.ASCII)

DAY_SPENT = {"quotaExceeded", "dailyLimitExceeded"}
TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded", "concurrentLimitExceeded", "servingLimitExceeded"}
NOT_THERE = {
    *("playlistItemsNotAccessible", "commentsDisabled", "subscriptionForbidden", "accountClosed", "accountSuspended")
}
OF_KEY = {"keyInvalid", "keyExpired", "accessNotConfigured", "authError", "required", "insufficientPermissions"}
CHECK_KEY = "Check ASSAY_YOUTUBE_API_KEY and its restrictions in the Google Cloud console, and run again."
ADVICE = {
    "accessNotConfigured": "Enable the YouTube Data API for the key's project, wait some minutes, and run again.",
    "invalid_grant": "Connect the channel's owner anew.",
    "insufficientPermissions": "Connect the channel's owner anew, with all that is asked for.",
}


def authorise(settings: Settings) -> dict[str, str]:
    key = settings.credential("youtube_api_key")
    if not key:
        raise Refused(
            "YouTube needs an API key and there is none. Make one in the Google Cloud console (APIs & services, "
            "Credentials) and set ASSAY_YOUTUBE_API_KEY"
        )
    return {"X-Goog-Api-Key": key}


def normalise(account: str) -> str | None:
    """A channel id as it is (ids are case-sensitive), a handle in lower case with its @."""
    if CHANNEL_ID.fullmatch(account):
        return account
    handle = account.removeprefix("@").lower()
    return f"@{handle}" if re.fullmatch(r"[\w.\-·]{2,60}", handle) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    ids = [account for account in accounts if CHANNEL_ID.fullmatch(account)]
    handles = [account for account in accounts if not CHANNEL_ID.fullmatch(account)]
    by_id = CHANNELS.calls(BASE, "id", ids, separator=",")
    return by_id + [CHANNELS.call(BASE, {"forHandle": handle}) for handle in handles]


def listing(account: Account, short: bool) -> Call:
    page = {"maxResults": "20"} if short else {}
    return UPLOADS.call(BASE, page | {"playlistId": account.listing or ""}, account_id=account.account_id)


def lookup(posts: Sequence[str]) -> list[Call]:
    return VIDEOS.calls(BASE, "id", posts, separator=",")


def recount(posts: Sequence[str]) -> list[Call]:
    return STATS.calls(BASE, "id", posts, separator=",")


def instead(call: Call, verdict: Verdict) -> list[Call]:
    """Whole videos, once the budget of the counters alone is spent."""
    is_spent = call.endpoint == STATS and verdict.outcome is Outcome.EXHAUSTED
    return lookup(call.listed("id")) if is_spent else []


def next_page(call: Call, answer: Answer) -> Call | None:
    token = answer.fields.get("nextPageToken")
    return call.with_params(pageToken=token) if isinstance(token, str) and token else None


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By `errors[0].reason`, never by the status alone: 403 may be a spent day, a wrong key or haste."""
    if verdict := settled(answer, ours=call.endpoint is not None):
        return verdict
    error = answer.fields.get("error")
    if answer.status >= 400 and isinstance(error, dict):
        return _classify_error(call, error, answer, now)
    if 400 <= answer.status < 500 and answer.status != 429 and isinstance(error, str):  # the token endpoint's own form
        return Verdict(Outcome.REFUSED, error, message=ADVICE.get(error, CHECK_KEY), of_credential=True)
    if not 200 <= answer.status < 300:
        return by_status(answer, now, CHECK_KEY)
    found = answer.document
    if not isinstance(found, dict) or "error" in found or not isinstance(found.get("items", []), list):
        return malformed("unknown_shape")
    asks_one = "forHandle" in call.params or "forUsername" in call.params
    return Verdict(Outcome.GONE, "not_found") if asks_one and not found.get("items") and _shows_rows(call) else OK


def _classify_error(call: Call, error: dict[str, Any], answer: Answer, now: datetime) -> Verdict:
    first = next(iter(items(error.get("errors"))), {})
    info = next((part for part in items(error.get("details")) if text(part.get("reason"))), {})
    status = text(error.get("status"))
    reason = text(first.get("reason")) or text(info.get("reason")) or status or f"http_{answer.status}"
    message = values.plain(error.get("message")) or reason
    metadata = lenient(info.get("metadata"))
    limit = f"{metadata.get('quota_limit')} {metadata.get('quota_unit')} {message}"
    if answer.status >= 500 or reason in {"backendError", "internalError"}:
        return Verdict(Outcome.UNAVAILABLE, reason, retry_after(answer, now))
    if reason in DAY_SPENT or (reason in TOO_FAST and re.search(r"per ?day|1/d\b", limit, re.IGNORECASE)):
        return Verdict(Outcome.EXHAUSTED, reason, next_reset(now), message)
    if reason in TOO_FAST or (answer.status == 429 and reason not in OF_KEY):
        return Verdict(Outcome.THROTTLED, reason, retry_after(answer, now), message)
    if reason in NOT_THERE or answer.status in {404, 410}:
        return Verdict(Outcome.GONE, reason)
    if call.grant and answer.status == 401:  # an old token; a withdrawn one shows when it is renewed
        return Verdict(Outcome.REFUSED, TOKEN_EXPIRED, message=ADVICE["invalid_grant"])
    of_key = answer.status == 401 or reason in OF_KEY or reason.endswith("Unreg") or bool(info)
    advice = ADVICE.get(reason, CHECK_KEY if of_key else "Check the account on the watch list.")
    return Verdict(
        Outcome.REFUSED, reason, message=f"{message} {advice}", of_credential=of_key or status == "PERMISSION_DENIED"
    )


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304:
        return
    if call.endpoint == REPORTS:
        parse_report(call, answer, observe)
        return
    found = values.rows(answer.document.get("items", [])) if 200 <= answer.status < 300 else []
    if call.endpoint in (UPLOADS, COMMENTS, SUBSCRIBERS):
        for item in found:
            (_parse_upload if call.endpoint == UPLOADS else parse_member)(call, item, observe)
        observe.reading.reached = observe.reading.oldest
        return
    asked = call.listed("id")
    for item in found:
        if "id" not in item and len(asked) != 1:
            continue  # `fields` left the ids out
        subject = identifier(item.get("id", asked[0] if asked else None))
        _parse_found(call, subject, item, observe)
    if call.endpoint == COMMENTERS or not _shows_rows(call) or not all("id" in item for item in found):
        return
    for missing in [subject for subject in asked if subject not in {item["id"] for item in found}]:
        if call.endpoint == CHANNELS:
            observe.account(missing, state="gone", state_reason="not_found")
        else:
            observe.post(None, missing, state="gone", state_reason="not_found")


def _parse_found(call: Call, subject: str, item: dict[str, Any], observe: Observer) -> None:
    """One of the things that were looked up."""
    if call.endpoint == COMMENTERS:
        observe.reading.profiles[subject] = features(item)
    elif call.endpoint == CHANNELS:
        _parse_channel(call, subject, item, observe)
    else:
        read_video(call, subject, item, observe, counters_alone=call.endpoint == STATS)


def _shows_rows(call: Call) -> bool:
    """Whether a missing row means a missing subject: not where `fields` keeps the rows from us."""
    return "items" in (call.param("fields") or "items") or call.param("fields") == "*"


def _parse_channel(call: Call, account_id: str, item: dict[str, Any], observe: Observer) -> None:
    snippet, statistics = mapping(item.get("snippet")), mapping(item.get("statistics"))
    hidden = statistics.get("hiddenSubscriberCount") is True
    followers = None if hidden else count(statistics.get("subscriberCount"))
    handle = text(snippet.get("customUrl"))
    observe.account(
        account_id,
        state="visible",
        handle=handle.removeprefix("@") if handle else None,
        display_name=text(snippet.get("title")),
        created_at=when(moment(snippet.get("publishedAt"))),
        url=f"https://www.youtube.com/channel/{account_id}",
        country=text(snippet.get("country")),
        language=text(snippet.get("defaultLanguage")),
        bio=text(snippet.get("description")),
        followers=followers,
        followers_resolution=resolution(followers),
        posts=count(statistics.get("videoCount")),
        views=count(statistics.get("viewCount")),
        has_picture=has_picture(snippet),
        unavailable=["followers:hidden"] if hidden else None,
        definition=definition(observe.at),
        raw=values.raw(item),
    )
    names = {account_id, normalise(handle or ""), normalise(call.param("forHandle"))}
    uploads = text(lenient(lenient(item.get("contentDetails")).get("relatedPlaylists")).get("uploads"))
    found = Account(account_id, frozenset(name for name in names if name), BASE, uploads, followers)
    observe.reading.found.append(found)


def resolution(followers: int | None) -> int | None:
    """The step that a count is rounded to: that of three significant figures where it has no more, else 1."""
    if followers is None:
        return None
    step: int = 10 ** max(0, len(str(followers)) - 3)
    return step if followers % step == 0 else 1


def _parse_upload(call: Call, item: dict[str, Any], observe: Observer) -> None:
    """An id in a list: no event, but for a private item that the list still names."""
    snippet, details = mapping(item.get("snippet")), mapping(item.get("contentDetails"))
    post_id = text(details.get("videoId")) or text(lenient(snippet.get("resourceId")).get("videoId"))
    published = moment(details.get("videoPublishedAt"))
    untitled = snippet.get("title") == "Private video" and not ("videoOwnerChannelTitle" in snippet or published)
    if post_id and (untitled or lenient(item.get("status")).get("privacyStatus") == "private"):
        observe.post(None, post_id, state="hidden", state_reason="private")
    elif post_id:
        observe.listed(post_id, published)


PLATFORM = Platform(
    name="youtube",
    collector="youtube/1",
    authorisation="app",
    endpoints=(CHANNELS, UPLOADS, VIDEOS, STATS, COMMENTS, SUBSCRIBERS, COMMENTERS, REPORTS),
    pace=Pace(calls=3000, seconds=60, at_once=8, kind="sliding"),
    audience_posts=20,
    authorise=authorise,
    oauth=OWNER,
    consented=consented,
    daily_units=lambda settings: settings.youtube_daily_units,
    normalise=normalise,
    resolve=resolve,
    listing=listing,
    lookup=lookup,
    recount=recount,
    instead=instead,
    audience=audience,
    granted_audience=subscribers,
    profiles=profiles,
    page=lambda call: Page(int(call.param("maxResults")), whole=False),
    classify=classify,
    parse=parse,
    next_page=next_page,
)
