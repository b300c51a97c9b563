"""Twitch's users, channels, followers, streams and videos, read into events."""

from typing import Any

from ingest.collect import values
from ingest.collect.call import Call
from ingest.collect.platform import Account, Observer
from ingest.collect.values import count, identifier, moment, text, when

NO_PICTURE = "user-default-pictures"


def read_user(user: dict[str, Any], base: str, observe: Observer) -> None:
    """`view_count` stands still since 2022: never read."""
    account_id, login, kind = identifier(user.get("id")), text(user.get("login")), user.get("broadcaster_type")
    observe.account(
        account_id,
        state="visible",
        handle=login,
        display_name=text(user.get("display_name")),
        created_at=when(moment(user.get("created_at"))),
        url=f"https://www.twitch.tv/{login}" if login else None,
        bio=text(user.get("description")),
        is_verified=kind == "partner" if isinstance(kind, str) else None,  # whom Twitch gives the badge
        has_picture=_has_picture(user.get("profile_image_url")),
        definition="twitch-1",
        raw=values.raw({name: value for name, value in user.items() if name != "email"}),
    )
    names = frozenset({account_id, login.lower()} if login else {account_id})
    observe.reading.found.append(Account(account_id, names, base, account_id))


def features(user: dict[str, Any]) -> dict[str, Any]:
    """What a follower's profile adds to what the list says. Nobody tells how many follow whom."""
    return {
        "created_at": when(moment(user.get("created_at"))),
        "is_verified": user.get("broadcaster_type") == "partner",
        "has_picture": _has_picture(user.get("profile_image_url")),
        "bio_length": values.length(user.get("description")),
    }


def _has_picture(url: Any) -> bool | None:
    return bool(url) and NO_PICTURE not in url if isinstance(url, str) else None


def read_channel(channel: dict[str, Any], observe: Observer) -> None:
    """`is_branded_content` is the channel's setting of the moment, of no single video: it stays in `raw`."""
    observe.account(
        identifier(channel.get("broadcaster_id")),
        state="visible",
        handle=text(channel.get("broadcaster_login")),
        display_name=text(channel.get("broadcaster_name")),
        language=text(channel.get("broadcaster_language")),
        category=text(channel.get("game_name")),
        definition="twitch-1",
        raw=values.raw(channel),
    )


def read_followers(call: Call, page: dict[str, Any], found: list[dict[str, Any]], observe: Observer) -> None:
    """The total, and with the owner's token the newest followers. One follower's absence (`user_id`) is no total."""
    account_id = text(call.param("broadcaster_id"))
    total = None if call.param("user_id") else count(page.get("total"))
    if account_id and total is not None:
        observe.account(account_id, state="visible", followers=total, followers_resolution=1, definition="twitch-1")
    for follower in found:
        login, name = text(follower.get("user_login")), text(follower.get("user_name"))
        observe.member(
            account_id,
            identifier(follower.get("user_id")),
            relation="follower",
            followed_at=when(moment(follower.get("followed_at"))),
            handle_length=values.length(login),
            handle_digit_share=values.digit_share(login),
            name_length=values.length(name),
        )


def read_stream(stream: dict[str, Any], observe: Observer) -> None:
    """A stream that is on: a post of its own."""
    title = text(stream.get("title"))
    login = text(stream.get("user_login"))
    observe.post(
        identifier(stream.get("user_id")),
        identifier(stream.get("id")),
        state="visible",
        published_at=when(moment(stream.get("started_at"))),
        url=f"https://www.twitch.tv/{login}" if login else None,
        format="live",
        relation="original",
        title=title,
        language=text(stream.get("language")),
        hashtags=values.tags_in(title) if title else None,
        links=values.links_in(title) if title else None,
        viewers=count(stream.get("viewer_count")),
        definition="twitch-1",
        raw=values.raw(stream),
    )


def read_video(video: dict[str, Any], observe: Observer) -> None:
    """Archives (recordings of streams), highlights and uploads."""
    post_id, title, description = identifier(video.get("id")), text(video.get("title")), text(video.get("description"))
    written = "\n".join(part for part in (title, description) if part)
    published = moment(video.get("published_at")) or moment(video.get("created_at"))
    if not observe.listed(post_id, published):
        return
    private = video.get("viewable") == "private"
    observe.post(
        identifier(video.get("user_id")),
        post_id,
        state="hidden" if private else "visible",
        state_reason="private" if private else None,
        published_at=when(published),
        url=text(video.get("url")) or f"https://www.twitch.tv/videos/{post_id}",
        format="video",
        relation="original",
        title=title,
        text=description,
        language=text(video.get("language")),
        duration_seconds=_duration(video.get("duration")),
        hashtags=values.tags_in(written) if title else None,
        links=values.links_in(written) if title else None,
        views=count(video.get("view_count")),
        definition="twitch-1",
        raw=values.raw(video),
    )


def _duration(written: Any) -> float | None:
    """`3h8m33s` in seconds."""
    return values.seconds(f"PT{written.upper()}") if isinstance(written, str) and written else None
