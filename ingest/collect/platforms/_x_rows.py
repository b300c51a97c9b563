"""X's users and posts, in either vocabulary, as events: what each field means, and which is null. Pure."""

import html
import re
from datetime import UTC, datetime
from typing import Any

from ingest.collect import values
from ingest.collect.platform import Account, Observer
from ingest.collect.values import count, flag, identifier, items, lenient, mapping, moment, text, when

IMPRESSIONS_SINCE = datetime(2022, 12, 15, tzinfo=UTC)
"""Before, X counted none, and says 0."""
STATUS = re.compile(r"https?://(?:www\.|mobile\.)?(?:x|twitter)\.com/\w+/status/\d+", re.IGNORECASE)


def first(row: dict[str, Any], *names: str) -> Any:
    """The value under the first of these names that there is: the new vocabulary's, then the old one's."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def read_user(user: dict[str, Any], base: str, observe: Observer) -> None:
    """A profile; its calls go to `base`."""
    account_id, name = identifier(user.get("id")), text(user.get("username"))
    metrics = mapping(user.get("public_metrics"))
    followers = count(metrics.get("followers_count"))
    observe.account(
        account_id,
        state="visible",
        handle=name,
        display_name=text(user.get("name")),
        created_at=when(moment(user.get("created_at"))),
        url=f"https://x.com/{name}" if name else None,
        bio=text(html.unescape(text(user.get("description")) or "")),
        external_url=_website(user),
        followers=followers,
        following=count(metrics.get("following_count")),
        posts=count(first(metrics, "post_count", "tweet_count")),
        followers_resolution=None if followers is None else 1,
        is_verified=flag(user.get("verified")),
        is_private=flag(user.get("protected")),
        has_picture=_has_picture(user),
        definition="x-1",
        raw=values.raw(user),
    )
    names = frozenset({account_id, name.lower()} if name else {account_id})
    # Of a protected account only followers are shown the posts.
    listed = None if user.get("protected") is True else account_id
    observe.reading.found.append(Account(account_id, names, base, listed, followers))


def _website(user: dict[str, Any]) -> str | None:
    urls = items(lenient(lenient(user.get("entities")).get("url")).get("urls"))
    return text(urls[0].get("expanded_url")) if urls else text(user.get("url"))


def _has_picture(user: dict[str, Any]) -> bool | None:
    url = user.get("profile_image_url")
    return bool(url) and "default_profile" not in url if isinstance(url, str) else None


def member_features(user: dict[str, Any]) -> dict[str, Any]:
    """What an event tells of a follower: never who it is."""
    metrics, name = mapping(user.get("public_metrics")), text(user.get("username"))
    bio = text(user.get("description"))
    return {
        "followers": count(metrics.get("followers_count")),
        "following": count(metrics.get("following_count")),
        "posts": count(first(metrics, "post_count", "tweet_count")),
        "created_at": when(moment(user.get("created_at"))),
        "is_verified": flag(user.get("verified")),
        "is_private": flag(user.get("protected")),
        "has_picture": _has_picture(user),
        "bio_length": len(html.unescape(bio)) if bio else 0 if user.get("description") == "" else None,
        "has_external_url": bool(_website(user)) if "url" in user or "entities" in user else None,
        "handle_length": values.length(name),
        "handle_digit_share": values.digit_share(name),
        "name_length": values.length(text(user.get("name"))),
    }


def references(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The posts that a post reposts, quotes or answers, each with its type."""
    return items(first(row, "referenced_posts", "referenced_tweets"))


def read_post(
    row: dict[str, Any], owner: str | None, media: dict[Any, dict[str, Any]], is_incomplete: bool, observe: Observer
) -> None:
    """`is_incomplete`: X says that it could not fetch a field, so a counter of 0 may be none."""
    post_id, published = identifier(row.get("id")), moment(row.get("created_at"))
    versions = first(row, "edit_history_post_ids", "edit_history_tweet_ids")
    if isinstance(versions, list) and versions and versions[-1] != post_id and post_id in versions:
        observe.post(owner, post_id, state="gone", state_reason="edited")  # the newest version counts on
        return
    if not observe.listed(post_id, published):
        return
    note = lenient(first(row, "note_post", "note_tweet"))
    written = text(html.unescape(text(note.get("text")) or text(row.get("text")) or ""))
    entities = [lenient(row.get("entities")), lenient(note.get("entities"))]
    tags, mentions, urls = (
        [one for part in entities for one in items(part.get(name))] for name in ("hashtags", "mentions", "urls")
    )
    addresses = [
        url for one in urls if "media_key" not in one and (url := first(one, "unwound_url", "expanded_url", "url"))
    ]
    # The address of a post at the end of another is how a quote is written.
    links = [url for url in addresses if isinstance(url, str) and not STATUS.fullmatch(url)]
    keys = lenient(row.get("attachments")).get("media_keys")
    shown = (
        [media.get(key, {"media_key": key}) for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    )
    videos = [one for one in shown if _is_video(one)]
    length = videos[0].get("duration_ms") if videos else None
    metrics = {} if is_incomplete else mapping(row.get("public_metrics"))
    impressions, views = count(metrics.get("impression_count")), _views(videos)
    uncounted = impressions == 0 and published is not None and published < IMPRESSIONS_SINCE
    missing = {"impressions": uncounted, "views": bool(metrics) and not videos}
    own = mapping(row.get("non_public_metrics"))
    observe.post(
        owner,
        post_id,
        state="visible",
        published_at=when(published),
        url=f"https://x.com/i/status/{post_id}",
        format="video"
        if videos
        else "carousel"
        if len(shown) > 1
        else "image"
        if shown
        else "link"
        if links
        else "text",
        relation=_relation(row, is_quote=len(links) < len(addresses)),
        text=written,
        language=text(row.get("lang")),
        duration_seconds=values.number(length / 1000) if isinstance(length, int) and 0 <= length < 2**53 else None,
        hashtags=values.tags(one.get("tag") for one in tags) or values.tags_in(written),
        mentions=list(dict.fromkeys(who for one in mentions if (who := first(one, "id", "username")) and text(who))),
        links=list(dict.fromkeys(links)),
        is_paid_partnership=flag(row.get("paid_partnership")),
        impressions=None if uncounted else impressions,
        views=views,
        likes=count(metrics.get("like_count")),
        comments=count(metrics.get("reply_count")),
        shares=count(first(metrics, "repost_count", "retweet_count")),
        quotes=count(metrics.get("quote_count")),
        saves=count(metrics.get("bookmark_count")),
        clicks=count(own.get("url_link_clicks")),
        unavailable=[f"{name}:not_offered" for name, said in missing.items() if said] or None,
        definition="x-1",
        raw=values.raw(row),
    )


def _views(videos: list[dict[str, Any]]) -> int | None:
    """Plays of a post's only video. X counts them over all posts that use it."""
    return count(mapping(videos[0].get("public_metrics")).get("view_count")) if len(videos) == 1 else None


def _is_video(media: dict[str, Any]) -> bool:
    """By its type, else by how its key begins."""
    kind = text(media.get("type"))
    return kind in ("video", "animated_gif") if kind else str(media.get("media_key")).split("_")[0] in ("7", "13", "16")


def _relation(row: dict[str, Any], *, is_quote: bool) -> str:
    """By what it refers to, where that is said; else by its conversation, and by the post that it links to."""
    kinds = [one.get("type") for one in references(row)]
    conversation = text(row.get("conversation_id"))
    if "replied_to" in kinds or row.get("in_reply_to_user_id") or conversation not in (None, row.get("id")):
        return "reply"
    return "quote" if "quoted" in kinds or is_quote else "original"
