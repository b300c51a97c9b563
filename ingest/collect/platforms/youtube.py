"""YouTube Data API v3: channels, uploads, videos and commenters, by API key.

Daily units, reset at midnight Pacific. Subscribers are nobody's but the owner's to list, so an audience is sampled from
commenters. A missing key in `statistics` is a hidden counter, never 0.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.outcome import OK, Answer, Outcome, Refused, Verdict, malformed, retry_after, transient
from ingest.collect.platform import Account, Call, Endpoint, Listed, Observer, Pace, Rate
from ingest.collect.quota import next_reset
from ingest.collect.values import Unreadable, count, flag, identifier, items, mapping, moment, text, when
from ingest.settings import Settings

NAME = "youtube"
COLLECTOR = "youtube/1"
AUTHORISATION = "app"
PACE = Pace(calls=3000, seconds=60, at_once=8)
AUDIENCE_POSTS = 20
BASE = "https://youtube.googleapis.com"

PARTS = {"part": "snippet,statistics,contentDetails,status", "maxResults": "50"}
CHANNELS = Endpoint("channels", "/youtube/v3/channels", PARTS, batch=50, cost=1)
UPLOADS = Endpoint("playlistItems", "/youtube/v3/playlistItems", {"part": "contentDetails,status", "maxResults": "50"}, cost=1)
VIDEOS = Endpoint(
    "videos",
    "/youtube/v3/videos",
    {"part": "snippet,statistics,contentDetails,status,liveStreamingDetails,paidProductPlacementDetails"},
    batch=50,
    cost=1,
)
STATS = Endpoint("videos:batchGetStats", "/youtube/v3/videos:batchGetStats", batch=50, cost=1)
COMMENTS = Endpoint(
    "commentThreads",
    "/youtube/v3/commentThreads",
    {"part": "snippet", "order": "time", "maxResults": "100", "textFormat": "plainText"},
    cost=1,
    audience=True,
)
# The channels of commenters, asked by the same path: recordings of it are read as CHANNELS, which stands first.
COMMENTERS = Endpoint("commenters", "/youtube/v3/channels", {**PARTS, "part": "snippet,statistics"}, batch=50, cost=1, audience=True)
ENDPOINTS = (CHANNELS, UPLOADS, VIDEOS, STATS, COMMENTS, COMMENTERS)

# Views were counted otherwise before each of these dates: never compare across them.
DEFINITIONS = (("2026-08-24", "views-2026-08"), ("2025-03-31", "views-2025-03"), ("", "views-2012"))
SHORT_SECONDS = 180

DAY_SPENT = {"quotaExceeded", "dailyLimitExceeded"}
TOO_FAST = {
    "rateLimitExceeded", "userRateLimitExceeded", "concurrentLimitExceeded", "servingLimitExceeded", "uploadRateLimitExceeded",
}  # fmt: skip
NOT_THERE = {"playlistItemsNotAccessible", "commentsDisabled", "subscriptionForbidden", "accountClosed", "accountSuspended"}
OF_KEY = {"keyInvalid", "keyExpired", "accessNotConfigured", "authError", "required", "insufficientPermissions", "ipRefererBlocked"}


def daily_units(settings: Settings) -> int | None:
    return settings.youtube_daily_units


def authorise(settings: Settings) -> dict[str, str]:
    key = settings.youtube_api_key.get_secret_value() or ("sandbox" if settings.source == "sandbox" else "")
    if not key:
        raise Refused("YouTube needs an API key, and there is none. Set ASSAY_YOUTUBE_API_KEY (Google Cloud console, APIs & services, Credentials)")
    return {"X-Goog-Api-Key": key}


def normalise(account: str) -> str | None:
    """A channel id as it is (ids are case-sensitive), a handle in lower case with its @."""
    if re.fullmatch(r"UC[\w-]{22}", account):
        return account
    handle = account.removeprefix("@").lower()
    return f"@{handle}" if re.fullmatch(r"[\w.\-·]{2,40}", handle) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    ids = [account for account in accounts if re.fullmatch(r"UC[\w-]{22}", account)]
    calls = [CHANNELS.call(BASE, {"id": ",".join(ids[at : at + 50])}) for at in range(0, len(ids), 50)]
    return calls + [CHANNELS.call(BASE, {"forHandle": account}) for account in accounts if account not in set(ids)]


def listing(account: Account) -> Call:
    return UPLOADS.call(BASE, {"playlistId": account.listing or ""}, account_id=account.account_id)


def lookup(posts: Mapping[str, str]) -> list[Call]:
    ids = list(posts)
    return [VIDEOS.call(BASE, {"id": ",".join(ids[at : at + 50])}) for at in range(0, len(ids), 50)]


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [COMMENTS.call(BASE, {"videoId": post}, account_id=account.account_id) for post in posts]


def profiles(members: Sequence[str]) -> list[Call]:
    return [COMMENTERS.call(BASE, {"id": ",".join(members[at : at + 50])}) for at in range(0, len(members), 50)]


def instead(call: Call, verdict: Verdict) -> list[Call]:
    return []


def rate(answer: Answer) -> Rate | None:
    """There are no rate headers: the ledger counts."""
    return None


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By `errors[0].reason`, never by the status alone: 403 may be a spent day, a wrong key or haste."""
    error = answer.fields.get("error")
    if isinstance(error, str):  # the token endpoint's own form
        return Verdict(Outcome.REFUSED, error, message=_advice(error), of_credential=True) if answer.status < 500 else _fault(answer, now)
    if isinstance(error, dict) and answer.status >= 400:
        return _classify_error(error, answer, now)
    if answer.status >= 400 or answer.status == 0:
        return _fault(answer, now)
    if call.endpoint is None or answer.status == 304:
        return OK if answer.status == 304 or 200 <= answer.status < 300 else malformed(f"http_{answer.status}")
    if not 200 <= answer.status < 300:
        return malformed(f"http_{answer.status}")
    try:
        found = answer.document
    except Unreadable as fault:
        return malformed("html" if answer.is_html else str(fault))
    if not isinstance(found, dict) or "error" in found or not isinstance(found.get("items", []), list):
        return malformed("unknown_shape")
    one = call.endpoint in (CHANNELS, COMMENTERS) and ("forHandle" in call.params or "forUsername" in call.params)
    if one and not found.get("items") and _shows_items(call):
        return Verdict(Outcome.GONE, "not_found")
    return OK


def _fault(answer: Answer, now: datetime) -> Verdict:
    """An error without Google's envelope: what the status and the headers say."""
    if verdict := transient(answer):
        return verdict
    if answer.status == 429:
        return Verdict(Outcome.THROTTLED, "http_429", retry_after(answer, now))
    if answer.status in {404, 410}:
        return malformed(f"http_{answer.status}")
    return Verdict(Outcome.REFUSED, f"http_{answer.status}", message=_advice(""), of_credential=answer.status in {401, 403})


def _classify_error(error: dict[str, Any], answer: Answer, now: datetime) -> Verdict:
    first = next(iter(items(error.get("errors"))), {})
    details = items(error.get("details"))
    info = next((part for part in details if "reason" in part), {})
    reason = text(first.get("reason")) or text(info.get("reason")) or text(error.get("status")) or f"http_{answer.status}"
    metadata = info.get("metadata") if isinstance(info.get("metadata"), dict) else {}
    limit = f"{metadata.get('quota_limit', '')} {metadata.get('quota_unit', '')} {error.get('message', '')}".lower()
    message = values.plain(error.get("message")) or reason
    if answer.status >= 500:
        return Verdict(Outcome.UNAVAILABLE, reason, retry_after(answer, now))
    if reason in DAY_SPENT or (reason in TOO_FAST and re.search(r"perday|per day|1/d", limit)):
        return Verdict(Outcome.EXHAUSTED, reason, next_reset(now), f"YouTube's units of the day are spent: {message}")
    if reason in TOO_FAST or (answer.status == 429 and reason not in OF_KEY):
        return Verdict(Outcome.THROTTLED, reason, retry_after(answer, now), message)
    if reason in NOT_THERE or (answer.status in {404, 410} and answer.status != 401):
        return Verdict(Outcome.GONE, reason)
    of_key = answer.status == 401 or reason in OF_KEY or reason.endswith("Unreg") or bool(info.get("reason"))
    of_key = of_key or (answer.status == 403 and text(error.get("status")) == "PERMISSION_DENIED")
    return Verdict(Outcome.REFUSED, reason, message=f"{message} {_advice(reason)}", of_credential=of_key)


def _advice(reason: str) -> str:
    if reason == "accessNotConfigured":
        return "Enable the YouTube Data API for the key's project in the Google Cloud console, wait some minutes, and run again."
    if reason in {"invalid_grant", "invalid_client"}:
        return "Connect the channel's owner anew."
    return "Check ASSAY_YOUTUBE_API_KEY and its restrictions in the Google Cloud console, and run again."


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304:
        return
    if not 200 <= answer.status < 300:
        _parse_gone(call, observe)
        return
    found = values.rows(answer.document.get("items", []))
    if call.endpoint == CHANNELS:
        _parse_channels(call, found, observe)
    elif call.endpoint == COMMENTERS:
        for item in found:
            observe.reading.profiles[identifier(item.get("id"))] = _features(item)
    elif call.endpoint == UPLOADS:
        _parse_uploads(found, observe)
    elif call.endpoint == COMMENTS:
        _parse_comments(call, found, observe)
    else:
        _parse_videos(call, found, observe)


def next_page(call: Call, answer: Answer) -> Call | None:
    token = answer.fields.get("nextPageToken")
    return call.with_params(pageToken=token) if isinstance(token, str) and token else None


def _parse_gone(call: Call, observe: Observer) -> None:
    """A subject that is not there. A playlist that is not found only says that the channel shows no uploads."""
    if call.endpoint in (VIDEOS, STATS):
        for post_id in call.listed("id"):
            observe.post(None, post_id, state="gone", state_reason="not_found")
    elif call.endpoint == CHANNELS:
        for account_id in call.listed("id"):
            observe.account(account_id, state="gone", state_reason="not_found")


def _shows_items(call: Call) -> bool:
    """Whether a missing row means a missing subject: not where `fields` keeps the rows (or their ids) from us."""
    fields = call.param("fields")
    return not fields or "items" in fields or fields == "*"


def _missing(call: Call, found: list[dict[str, Any]]) -> list[str]:
    """Ids asked for and not answered; none where rows come without their ids."""
    if not _shows_items(call) or not all("id" in item for item in found):
        return []
    seen = {item["id"] for item in found}
    return [asked for asked in call.listed("id") if asked not in seen]


def _parse_channels(call: Call, found: list[dict[str, Any]], observe: Observer) -> None:
    for item in found:
        asked = call.listed("id")
        if "id" not in item and len(asked) != 1:
            continue
        account_id = identifier(item.get("id", asked[0] if asked else None))
        snippet, statistics = mapping(item.get("snippet")), mapping(item.get("statistics"))
        handle = text(snippet.get("customUrl"))
        hidden = statistics.get("hiddenSubscriberCount") is True
        followers = None if hidden else count(statistics.get("subscriberCount"))
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
            has_picture=_has_picture(snippet),
            unavailable=["followers:hidden"] if hidden else None,
            definition=_definition(observe.at),
            raw=values.raw(item),
        )
        names = {account_id, normalise(handle or ""), normalise(call.param("forHandle"))} - {None}
        uploads = mapping(mapping(item.get("contentDetails")).get("relatedPlaylists")).get("uploads")
        observe.reading.found.append(Account(account_id, frozenset(n for n in names if n), BASE, text(uploads), followers))
    for account_id in _missing(call, found):
        observe.account(account_id, state="gone", state_reason="not_found")


def resolution(followers: int | None) -> int | None:
    """The step that a count is rounded to: that of three significant figures where it has no more, else 1."""
    if followers is None:
        return None
    step = 10 ** max(0, len(str(followers)) - 3)
    return step if followers % step == 0 else 1


def _has_picture(snippet: dict[str, Any]) -> bool | None:
    url = mapping(mapping(snippet.get("thumbnails")).get("default")).get("url")
    return "default-user" not in url if isinstance(url, str) and url else None


def _features(item: dict[str, Any]) -> dict[str, Any]:
    snippet, statistics = mapping(item.get("snippet")), mapping(item.get("statistics"))
    handle, bio = text(snippet.get("customUrl")), snippet.get("description")
    handle = handle.removeprefix("@") if handle else None
    return {
        "followers": None if statistics.get("hiddenSubscriberCount") is True else count(statistics.get("subscriberCount")),
        "posts": count(statistics.get("videoCount")),
        "created_at": when(moment(snippet.get("publishedAt"))),
        "has_picture": _has_picture(snippet),
        "bio_length": values.length(bio),
        "handle_length": values.length(handle),
        "handle_digit_share": values.digit_share(handle),
        "name_length": values.length(snippet.get("title")),
    }


def _parse_uploads(found: list[dict[str, Any]], observe: Observer) -> None:
    """A list of ids: no events, but for private items that the list still names."""
    for item in found:
        snippet, details = mapping(item.get("snippet")), mapping(item.get("contentDetails"))
        video = details.get("videoId") or mapping(snippet.get("resourceId")).get("videoId")
        if not isinstance(video, str) or not video:
            continue
        published = moment(details.get("videoPublishedAt"))
        private = mapping(item.get("status")).get("privacyStatus") == "private"
        untitled = snippet.get("title") == "Private video" and "videoOwnerChannelTitle" not in snippet and not published
        if private or untitled:
            observe.post(None, video, state="hidden", state_reason="private")
        else:
            observe.reading.listed.append(Listed(video, published))
    times = [listed.published_at for listed in observe.reading.listed if listed.published_at]
    observe.reading.reached = min(times, default=None)


def _parse_videos(call: Call, found: list[dict[str, Any]], observe: Observer) -> None:
    asked = call.listed("id")
    for item in found:
        if "id" not in item and len(asked) != 1:
            continue
        post_id = identifier(item.get("id", asked[0] if asked else None))
        observe.post(text(mapping(item.get("snippet")).get("channelId")), post_id, **_video(call, item, observe.at))
    for post_id in _missing(call, found):
        observe.post(None, post_id, state="gone", state_reason="not_found")


def _video(call: Call, item: dict[str, Any], at: datetime) -> dict[str, Any]:
    snippet, details = mapping(item.get("snippet")), mapping(item.get("contentDetails"))
    statistics, status = mapping(item.get("statistics")), mapping(item.get("status"))
    live = mapping(item.get("liveStreamingDetails"))
    title, description = text(snippet.get("title")), text(snippet.get("description"))
    written = "\n".join(part for part in (title, description) if part)
    seconds = count(details.get("durationMillis"))
    duration = values.seconds(details.get("duration")) if seconds is None else values.number(seconds / 1000)
    streaming = snippet.get("liveBroadcastContent") in {"live", "upcoming"}
    whole = bool(statistics) and not call.param("fields")
    absent = [f"{name}:{why}" for name, key, why in (("likes", "likeCount", "hidden"), ("comments", "commentCount", "disabled"))
              if whole and key not in statistics]  # fmt: skip
    private = status.get("privacyStatus") == "private"
    removed = status.get("uploadStatus") in {"deleted", "rejected"}
    return {
        "state": "hidden" if private else "gone" if removed else "visible",
        "state_reason": "private" if private else text(status.get("rejectionReason") or status.get("uploadStatus")) if removed else None,
        "published_at": when(moment(snippet.get("publishedAt") or snippet.get("publishTime"))),
        "url": f"https://www.youtube.com/watch?v={item.get('id') or call.param('id')}",
        "format": ("live" if streaming else "short" if _is_short(snippet, duration, written) else "video") if snippet or details else None,
        "relation": "original",
        "title": title,
        "text": description,
        "language": text(snippet.get("defaultAudioLanguage") or snippet.get("defaultLanguage")),
        "duration_seconds": duration,
        "hashtags": values.tags_in(written) if title else None,
        "links": values.links_in(description) if "description" in snippet else None,
        "is_paid_partnership": flag(mapping(item.get("paidProductPlacementDetails")).get("hasPaidProductPlacement")),
        "views": count(statistics.get("viewCount")),
        "likes": count(statistics.get("likeCount")),
        "dislikes": count(statistics.get("dislikeCount")),
        "comments": count(statistics.get("commentCount")),
        "viewers": count(live.get("concurrentViewers")) if streaming else None,
        "unavailable": absent or None,
        "definition": _definition(at),
        "raw": values.raw(item),
    }


def _is_short(snippet: dict[str, Any], duration: float | None, written: str) -> bool:
    """There is no such field: at most three minutes, and upright pictures or the tag."""
    if duration is None or duration > SHORT_SECONDS:
        return False
    pictures = [picture for picture in mapping(snippet.get("thumbnails")).values() if isinstance(picture, dict)]
    upright = any((count(p.get("height")) or 0) > (count(p.get("width")) or 0) for p in pictures)
    return upright or bool({"short", "shorts"} & set(values.tags_in(written)))


def _definition(at: datetime) -> str:
    return next(name for since, name in DEFINITIONS if at.date().isoformat() >= since)


def _parse_comments(call: Call, found: list[dict[str, Any]], observe: Observer) -> None:
    for thread in found:
        about = mapping(thread.get("snippet"))
        top = mapping(about.get("topLevelComment"))
        comment = mapping(top.get("snippet"))
        creator = call.account_id or text(about.get("channelId"))
        author = mapping(comment.get("authorChannelId")).get("value")
        comment_id = top.get("id") or thread.get("id")
        if not (isinstance(author, str) and author and isinstance(comment_id, str) and creator) or author == creator:
            continue  # a closed account's comment, or the creator's own
        name = text(comment.get("authorDisplayName"))
        handle = name.removeprefix("@") if name and name.startswith("@") else None
        written = comment.get("textOriginal")
        written = written if isinstance(written, str) else values.plain(comment.get("textDisplay"))
        picture = comment.get("authorProfileImageUrl")
        observe.member(
            creator,
            author,
            relation="commenter",
            comment=(comment_id, written),
            post_id=text(about.get("videoId")) or call.param("videoId") or None,
            commented_at=when(moment(comment.get("publishedAt"))),
            has_picture="default-user" not in picture if isinstance(picture, str) and picture else None,
            handle_length=values.length(handle),
            handle_digit_share=values.digit_share(handle),
            name_length=values.length(name) if handle is None else None,
        )
