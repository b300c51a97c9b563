"""What TikTok's Display and Research APIs say of accounts, videos and followers."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call
from ingest.collect.outcome import Answer
from ingest.collect.platform import Account, Observer
from ingest.collect.values import count, flag, identifier, text

BASE = "https://open.tiktokapis.com"
SHORT_SECONDS = 180


def asked_of(call: Call) -> dict[str, Any]:
    """The JSON body of a call."""
    return Answer(200, {}, call.body).fields


def day(written: Any) -> date | None:
    """A day as the Research API writes it; None where it is none."""
    if not isinstance(written, str) or not re.fullmatch(r"\d{8}", written, re.ASCII):
        return None
    try:
        return datetime.strptime(written, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def parse_user(call: Call, user: dict[str, Any], observe: Observer) -> None:
    """A consented creator. An answer about somebody else than whose grant it was says nothing."""
    account_id, handle = text(user.get("open_id")) or call.account_id, text(user.get("username"))
    if account_id is None:
        return  # `fields` left it out
    if call.grant and account_id != call.grant:
        raise values.Unreadable("other_account")
    _observe_user(account_id, handle, user, text(user.get("profile_deep_link")), observe)
    names = {account_id, handle.lower()} if handle else {account_id}
    followers = count(user.get("follower_count"))
    observe.reading.found.append(Account(account_id, frozenset(names), BASE, account_id, followers))


def parse_researched_user(call: Call, user: dict[str, Any], observe: Observer) -> None:
    """Deleted, banned, private, renamed, under age and never there look all the same."""
    name = text(asked_of(call).get("username"))
    if name is None:
        return
    if not user:
        observe.account(name, state="gone", state_reason="not_found")
        return
    _observe_user(name, name, user, f"https://www.tiktok.com/@{name}", observe)
    listed = f"{name} {observe.at:%Y%m%d}"
    found = Account(name, frozenset({name.lower()}), BASE, listed, count(user.get("follower_count")))
    observe.reading.found.append(found)


def _observe_user(
    account_id: str, handle: str | None, user: dict[str, Any], url: str | None, observe: Observer
) -> None:
    followers = count(user.get("follower_count"))
    observe.account(
        account_id,
        state="visible",
        handle=handle,
        display_name=text(user.get("display_name")),
        url=url,
        bio=text(user.get("bio_description")),
        external_url=text(user.get("bio_url")),
        followers=followers,
        followers_resolution=None if followers is None else 1,
        following=count(user.get("following_count")),
        posts=count(user.get("video_count")),
        likes_received=count(user.get("likes_count")),
        is_verified=flag(user.get("is_verified")),
        has_picture=True if text(user.get("avatar_url")) else None,
        definition="tiktok-1",
        raw=values.raw({name: value for name, value in user.items() if not name.startswith("avatar")}),  # they expire
    )


def parse_follower(call: Call, follower: dict[str, Any], observe: Observer) -> None:
    """User name and display name are all that is told; a name may hold anything, NUL included."""
    name = identifier(follower.get("username"))
    observe.member(
        call.account_id or text(asked_of(call).get("username")),
        name,
        relation="follower",
        handle_length=values.length(name),
        handle_digit_share=values.digit_share(name),
        name_length=values.length(follower.get("display_name")),
    )


def parse_videos(call: Call, data: dict[str, Any], observe: Observer, *, researched: bool) -> None:
    """A page of a listing, or what was looked up by id: then a missing one is a tombstone, once all have been shown."""
    asked, looked_up = asked_of(call), _looked_up(asked_of(call))
    found = values.rows(data.get("videos", []))
    ids = [_parse_video(video, observe, researched=researched) for video in found]
    times = [post.published_at for post in observe.reading.listed if post.published_at]
    more = data.get("has_more") is True
    start, end = day(asked.get("start_date")), day(asked.get("end_date"))
    if researched and call.account_id:
        _require_asked(call.account_id, found, times, start, end)
    if not researched:
        observe.reading.reached = min(times, default=None)
    elif start and not more:  # in no promised order, so that only a whole stretch is past
        observe.reading.reached = datetime.combine(start, time(), UTC)
    if more or "cursor" in asked:
        return  # the missing ones may be on other pages
    for post in looked_up:
        if post not in ids:
            observe.post(None, post, state="gone", state_reason="not_found")


def _require_asked(
    account_id: str, found: list[dict[str, Any]], times: list[datetime], start: date | None, end: date | None
) -> None:
    """An answer to another question, as a cache may give it, must not count as what a stretch of days holds."""
    if any((text(video.get("username")) or account_id).lower() != account_id.lower() for video in found):
        raise values.Unreadable("other_account")
    if start and end and not all(start <= at.date() <= end for at in times):
        raise values.Unreadable("other_days")


def _looked_up(asked: dict[str, Any]) -> list[str]:
    """The ids of posts that a call asks for, and nothing else."""
    conditions = values.items(values.lenient(asked.get("query")).get("and"))
    only = conditions[0] if len(conditions) == 1 and conditions[0].get("field_name") == "video_id" else {}
    wanted = only.get("field_values") or values.lenient(asked.get("filters")).get("video_ids")
    return list(dict.fromkeys(str(one) for one in wanted)) if isinstance(wanted, list) else []


def _parse_video(video: dict[str, Any], observe: Observer, *, researched: bool) -> str:
    """One video; its id, which research writes as a number beyond 2^53. A counter that is left out is unknown."""
    post_id, owner = identifier(video.get("id", video.get("video_id"))), text(video.get("username"))
    seconds = count(video.get("create_time"))
    published = datetime.fromtimestamp(seconds, UTC) if seconds and seconds < 2**32 else None
    if not observe.listed(post_id, published):
        return post_id
    written, duration = text(video.get("video_description")), count(video.get("video_duration", video.get("duration")))
    named = video.get("hashtag_names")
    mentioned = video.get("video_mention_list")
    share = text(video.get("share_url"))
    observe.post(
        owner if researched else None,
        post_id,
        state="visible",
        published_at=values.when(published),
        url=share or (f"https://www.tiktok.com/@{owner}/video/{post_id}" if owner else None),
        format=_format(duration),
        relation="original",
        title=text(video.get("title")),
        text=written,
        duration_seconds=duration or None,
        hashtags=values.tags(named) if isinstance(named, list) else values.tags_in(written) if written else None,
        mentions=[one for one in mentioned if isinstance(one, str)] if isinstance(mentioned, list) else None,
        links=values.links_in(written) if written else None,
        views=count(video.get("view_count")),
        likes=count(video.get("like_count")),
        comments=count(video.get("comment_count")),
        shares=count(video.get("share_count")),
        saves=count(video.get("favorites_count")) if researched else None,
        unavailable=None if researched else ["saves:not_offered"],
        definition="tiktok-1",
        raw=values.raw({name: value for name, value in video.items() if name != "cover_image_url"}),  # six hours
    )
    return post_id


def _format(seconds: int | None) -> str | None:
    """Photographs last no time."""
    return None if seconds is None else "image" if seconds == 0 else "short" if seconds <= SHORT_SECONDS else "video"
