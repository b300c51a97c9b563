"""TikTok's Accounts API (API for Business): what a creator or business grants there, of its own account and posts.

Its envelope and its codes are its own, nearly always with status 200. Its credential is another than the Display API's:
an app of the business portal, tokens of its own authorisation in a header of their own, and terms that forbid ranking
creators by it. So these answers are read, and none are asked for: a creator's grant to the Display API opens nothing
here.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.outcome import TOKEN_EXPIRED, Answer, Outcome, Verdict, retry_after
from ingest.collect.platform import Observer
from ingest.collect.quota import next_reset
from ingest.collect.values import count, flag, identifier, text

PROFILE = Endpoint("business/get", "/open_api/{version}/business/get/", consent=True)
VIDEOS = Endpoint("business/video/list", "/open_api/{version}/business/video/list/", consent=True)
TOO_FAST = 40100
OLD_TOKENS = {40102, 40104, 40105}
THEIRS = 50000
"""Codes from here on are faults of theirs."""
PAUSE = timedelta(minutes=5)
FORMATS = {"PHOTO": "image", "VIDEO": "short"}


def is_error(fields: dict[str, Any]) -> bool:
    """Whether an answer is one of the Accounts API's errors."""
    code = fields.get("code")
    return isinstance(code, int) and not isinstance(code, bool) and code != 0 and "request_id" in fields


def refusal(answer: Answer, now: datetime) -> Verdict:
    """What an error means, by its code."""
    code, message = int(answer.fields["code"]), text(answer.fields.get("message")) or ""
    if code == TOO_FAST and re.search(r"\bdaily\b|\bday\b", message, re.IGNORECASE):
        return Verdict(Outcome.EXHAUSTED, str(code), next_reset(now, ZoneInfo("UTC")), message)
    if code == TOO_FAST or answer.status == 429:
        return Verdict(Outcome.THROTTLED, str(code), retry_after(answer, now) or now + PAUSE, message)
    if code in OLD_TOKENS:
        return Verdict(Outcome.REFUSED, TOKEN_EXPIRED, message="Authorise the account anew.")
    if code >= THEIRS or answer.status >= 500:
        return Verdict(Outcome.UNAVAILABLE, str(code), retry_after(answer, now))
    return Verdict(Outcome.REFUSED, str(code), message=f"{message}. Authorise the account anew, with all scopes.")


def parse(call: Call, data: dict[str, Any], observe: Observer) -> None:
    """The profile as it is now (its figures by day have no place in an event), or a page of posts."""
    owner = call.account_id or text(call.param("business_id"))
    if call.endpoint == VIDEOS:
        for video in values.rows(data.get("videos", [])):
            _parse_video(owner, video, observe)
        observe.reading.reached = observe.reading.oldest
    elif owner and data:
        followers = count(data.get("followers_count"))
        observe.account(
            owner,
            state="visible",
            handle=text(data.get("username")),
            display_name=text(data.get("display_name")),
            url=text(data.get("profile_deep_link")),
            bio=text(data.get("bio_description")),
            followers=followers,
            followers_resolution=None if followers is None else 1,
            following=count(data.get("following_count")),
            posts=count(data.get("videos_count")),
            likes_received=count(data.get("total_likes")),
            is_verified=flag(data.get("is_verified")),
            definition="tiktok-business-1",
            raw=values.raw({name: value for name, value in data.items() if name != "profile_image"}),
        )


def _parse_video(owner: str | None, video: dict[str, Any], observe: Observer) -> None:
    """Views are organic and paid ones; most figures are one or two days old, and stand still after a year."""
    post_id, caption = identifier(video.get("item_id")), text(video.get("caption"))
    seconds = count(video.get("create_time"))
    published = datetime.fromtimestamp(seconds, UTC) if seconds and seconds < 2**32 else None
    watched, kind = video.get("total_time_watched"), video.get("media_type")
    observe.post(
        owner,
        post_id,
        state="visible",
        published_at=values.when(published),
        url=text(video.get("share_url")),
        format=FORMATS.get(kind) if isinstance(kind, str) else None,
        relation="original",
        text=caption,
        hashtags=values.tags_in(caption) if caption else None,
        links=values.links_in(caption) if caption else None,
        views=count(video.get("video_views")),
        reach=count(video.get("reach")),
        likes=count(video.get("likes")),
        comments=count(video.get("comments")),
        shares=count(video.get("shares")),
        saves=count(video.get("favorites")),
        watch_seconds=_seconds(watched),
        definition="tiktok-business-1",
        raw=values.raw({name: value for name, value in video.items() if name != "thumbnail_url"}),
    )
    observe.listed(post_id, published)


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e15 else None
