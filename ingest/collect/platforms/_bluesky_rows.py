"""Bluesky's profiles and posts, read into events."""

from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.platform import Account, Observer
from ingest.collect.values import count, identifier, items, lenient, mapping, moment, text, when


def read_profile(profile: dict[str, Any], base: str, observe: Observer) -> None:
    """An account, found at `base`."""
    did, handle = identifier(profile.get("did")), text(profile.get("handle"))
    followers = count(profile.get("followersCount"))
    closed = any(
        label.get("val") == "!no-unauthenticated" and not label.get("neg") for label in items(profile.get("labels"))
    )
    observe.account(
        did,
        state="visible",
        state_reason="members_only" if closed else None,  # who asks that only members read them is not read further
        handle=handle,
        display_name=text(profile.get("displayName")),
        created_at=when(moment(profile.get("createdAt"))),
        url=f"https://bsky.app/profile/{did}",
        bio=text(profile.get("description")),
        external_url=text(profile.get("website")),
        followers=followers,
        followers_resolution=None if followers is None else 1,
        following=count(profile.get("followsCount")),
        posts=count(profile.get("postsCount")),
        is_verified=_is_verified(profile),
        has_picture=bool(profile.get("avatar")),
        definition="bluesky-1",
        raw=values.raw(profile),
    )
    names = frozenset({did, handle.lower()} if handle else {did})
    listing = None if closed else did
    observe.reading.found.append(Account(did, names, base, listing, followers))


def _is_verified(profile: dict[str, Any]) -> bool | None:
    """Verified, or trusted to verify others; profiles of before verification say nothing."""
    verification = profile.get("verification")
    if not isinstance(verification, dict):
        return None
    return "valid" in (verification.get("verifiedStatus"), verification.get("trustedVerifierStatus"))


def features(profile: dict[str, Any]) -> dict[str, Any]:
    """What a member of an audience looks like."""
    handle = text(profile.get("handle"))
    return {
        "followers": count(profile.get("followersCount")),
        "following": count(profile.get("followsCount")),
        "posts": count(profile.get("postsCount")),
        "created_at": when(moment(profile.get("createdAt"))),
        "is_verified": _is_verified(profile),
        "has_picture": bool(profile.get("avatar")),
        "bio_length": len(profile["description"]) if isinstance(profile.get("description"), str) else 0,
        "handle_length": values.length(handle),
        "handle_digit_share": values.digit_share(handle),
        "name_length": len(profile["displayName"]) if isinstance(profile.get("displayName"), str) else 0,
    }


def author_of(post: dict[str, Any]) -> dict[str, Any]:
    """Whose a post is."""
    return mapping(post.get("author"))


def published(post: dict[str, Any]) -> datetime | None:
    """The earlier of the author's claim and of when the AppView first saw it."""
    claimed, indexed = moment(mapping(post.get("record")).get("createdAt")), moment(post.get("indexedAt"))
    return min(claimed, indexed) if claimed and indexed else claimed or indexed


def read_post(post: dict[str, Any], observe: Observer) -> None:
    """A post, with its counters."""
    uri, author, record = (
        identifier(post.get("uri")),
        identifier(author_of(post).get("did")),
        mapping(post.get("record")),
    )
    written, embed, languages = text(record.get("text")), lenient(record.get("embed")), record.get("langs")
    media = lenient(embed.get("media")) or embed
    features = [feature for facet in items(record.get("facets")) for feature in items(facet.get("features"))]
    own_tags = record.get("tags")
    tags = values.tags([*(f.get("tag") for f in features), *(own_tags if isinstance(own_tags, list) else [])])
    links = [*(feature.get("uri") for feature in features), lenient(media.get("external")).get("uri")]
    observe.post(
        author,
        uri,
        state="visible",
        published_at=when(published(post)),
        url=f"https://bsky.app/profile/{author}/post/{uri.rpartition('/')[2]}",
        format=_format(media),
        relation="reply" if record.get("reply") else "quote" if _is_quote(embed) else "original",
        text=written,
        language=text(languages[0]) if isinstance(languages, list) and languages else None,
        hashtags=tags or values.tags_in(written),
        mentions=list(dict.fromkeys(did for feature in features if (did := text(feature.get("did"))))),
        links=list(dict.fromkeys(link for link in links if isinstance(link, str) and link)),
        likes=count(post.get("likeCount")),
        comments=count(post.get("replyCount")),
        shares=count(post.get("repostCount")),
        saves=count(post.get("bookmarkCount")),
        quotes=count(post.get("quoteCount")),
        definition="bluesky-1",
        raw=values.raw(post),
    )


def _format(media: dict[str, Any]) -> str:
    kind = str(media.get("$type", ""))
    if kind.startswith("app.bsky.embed.images"):
        return "carousel" if len(items(media.get("images"))) > 1 else "image"
    return next((name for name, word in (("video", "embed.video"), ("link", "embed.external")) if word in kind), "text")


def _is_quote(embed: dict[str, Any]) -> bool:
    """Whether a post is embedded; lists, feeds and starter packs are embedded likewise and are no quotes."""
    record = lenient(embed.get("record"))
    return "/app.bsky.feed.post/" in str((lenient(record.get("record")) or record).get("uri", ""))
