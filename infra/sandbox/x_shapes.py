"""X's users, posts and problems as JSON, in either vocabulary, from the world's accounts and posts."""

import html
from typing import Any

from infra.sandbox import wording
from infra.sandbox.cast import Account
from infra.sandbox.draw import mix
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, Headers, iso_millis

Row = dict[str, Any]
PICTURES = "https://pbs.example"
NO_PICTURE = f"{PICTURES}/sticky/default_profile_images/default_profile_normal.png"
LEGACY = {
    "repost_count": "retweet_count",
    "post_count": "tweet_count",
    "referenced_posts": "referenced_tweets",
    "edit_history_post_ids": "edit_history_tweet_ids",
    "note_post": "note_tweet",
}
"""What the old vocabulary calls things."""
_PHRASES = {
    401: "Unauthorized",
    402: "CreditsDepleted",
    403: "Forbidden",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def in_tweets(value: Any) -> Any:
    """A row as the old vocabulary has it."""
    if isinstance(value, list):
        return [in_tweets(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {LEGACY.get(name, name): in_tweets(one) for name, one in value.items()}


def type_of(kind: str, host: str = "api.x.com") -> str:
    """The address that names a kind of problem."""
    return f"https://{host}/2/problems/{kind}"


def problem(status: int, detail: str = "", kind: str = "", headers: Headers = (), **more: object) -> Answer:
    """A problem of the whole request."""
    title = _PHRASES[status]
    named = type_of(kind) if kind else "about:blank"
    body = {"title": title, "detail": detail or title, "type": named, "status": status}
    return Answer(status, body | more, headers, "application/problem+json")


def invalid(name: str, value: str, message: str) -> Answer:
    """A parameter that is refused; such problems have no `status`."""
    body = {
        "errors": [{"parameters": {name: [value]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": type_of("invalid-request"),
    }
    return Answer(400, body, (), "application/problem+json")


def missing(kind: str, parameter: str, value: str, *, suspended: bool = False) -> Row:
    """An error among `errors`: what was asked for and is not there."""
    detail = f"Could not find {kind} with {parameter}: [{value}]."
    return {
        "value": value,
        "detail": f"User has been suspended: [{value}]." if suspended else detail,
        "title": "Forbidden" if suspended else "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": type_of("resource-not-found"),
    }


def protected(account_id: str) -> Row:
    """An error among `errors`: posts or followers that only followers are shown."""
    return {
        "value": account_id,
        "detail": f"Sorry, you are not authorized to see the user with id: [{account_id}].",
        "title": "Authorization Error",
        "resource_type": "user",
        "parameter": "id",
        "resource_id": account_id,
        "section": "data",
        "type": type_of("not-authorized-for-resource"),
    }


def private_field(post_id: str) -> Row:
    """An error among `errors`: metrics that only a post's owner is told, for 30 days."""
    return {
        "value": post_id,
        "detail": f"Sorry, you are not authorized to access 'non_public_metrics' on the Tweet with ids : [{post_id}].",
        "title": "Field Authorization Error",
        "resource_type": "tweet",
        "parameter": "ids",
        "resource_id": post_id,
        "section": "data",
        "field": "non_public_metrics",
        "type": type_of("not-authorized-for-field"),
    }


def creator(account: Account, t: float, followers: int, posts: int) -> Row:
    """A creator's user."""
    site = f"https://{account.topic}.example/{account.handle}"
    large = account.first_followers > 20_000
    return {
        "id": account.local_id,
        "username": account.handle_at(t),
        "name": account.display_name,
        "created_at": iso_millis(account.created_at),
        "description": f"{account.creator_name} on {account.topic} &amp; more.",
        "location": account.market,
        "url": "https://t.co/aaaaaaaaaa",
        "entities": {
            "url": {"urls": [{"start": 0, "end": 23, "url": "https://t.co/aaaaaaaaaa", "expanded_url": site}]}
        },
        "profile_image_url": f"{PICTURES}/profile_images/{account.local_id}/a_normal.jpg",
        "protected": "protected" in account.flags,
        "verified": large,
        "verified_type": "blue" if large else "none",
        "public_metrics": {
            "followers_count": followers,
            "following_count": 60 + account.key % 900,
            "post_count": posts,
            "listed_count": followers // 900,
            "like_count": account.key % 40_000,
            "media_count": posts // 3,
        },
    }


def member(user_id: str, one: Member) -> Row:
    """A follower's user."""
    entities: Row = {"description": {}}
    if one.has_link:
        entities = {"url": {"urls": [{"url": "https://t.co/bbbbbbbbbb", "expanded_url": "https://links.example/me"}]}}
    return {
        "id": user_id,
        "username": one.handle[:15],
        "name": one.name,
        "created_at": iso_millis(one.created_at),
        "description": one.bio,
        "url": "https://t.co/bbbbbbbbbb" if one.has_link else "",
        "entities": entities,
        "profile_image_url": f"{PICTURES}/profile_images/{user_id}/b_normal.jpg" if one.has_picture else NO_PICTURE,
        "protected": one.is_private,
        "verified": one.is_verified,
        "verified_type": "blue" if one.is_verified else "none",
        "public_metrics": {
            "followers_count": one.followers,
            "following_count": one.following,
            "post_count": one.posts,
            "listed_count": 0,
        },
    }


def media_key(post: Post, post_id: str) -> str | None:
    """The key of a post's picture or video, whose beginning says which it is."""
    return {"image": f"3_{post_id}", "video": f"13_{post_id}"}.get(post.format)


def media(post: Post, post_id: str, t: float) -> Row | None:
    """A post's picture or video, as `includes` have it."""
    key = media_key(post, post_id)
    if key is None or post.format == "image":
        return key and {"media_key": key, "type": "photo"}
    metrics = {"view_count": post.counters(t).views}
    return {"media_key": key, "type": "video", "duration_ms": post.duration * 1000, "public_metrics": metrics}


def post(post: Post, post_id: str, t: float, other: tuple[Account, str], *, is_owner: bool) -> Row:
    """A post in the new vocabulary with everything that can be asked for. `other` is what it answers or quotes."""
    written, tags, link = wording.note(post)
    stranger, other_id = other
    urls = [(f"https://t.co/{post.key % 10**10:010d}", link)] if link else []
    kinds = {"reply": "replied_to", "quote": "quoted"}
    if post.relation == "reply":
        written = f"@{stranger.handle} {written}"
    elif post.relation == "quote":
        urls.append(
            (f"https://t.co/{mix(post.key) % 10**10:010d}", f"https://x.com/{stranger.handle}/status/{other_id}")
        )
    plain = " ".join([written, *(f"#{tag}" for tag in tags), *(short for short, _ in urls)])
    counters = post.counters(t)
    row: Row = {
        "id": post_id,
        "text": html.escape(plain, quote=False),
        "author_id": post.account.local_id,
        "created_at": iso_millis(post.published_at),
        "conversation_id": other_id if post.relation == "reply" else post_id,
        "edit_history_post_ids": [post_id],
        "edit_controls": {"edits_remaining": 5, "is_edit_eligible": False,
                          "editable_until": iso_millis(post.published_at + 3600)},
        "lang": post.account.language,
        "possibly_sensitive": False,
        "paid_partnership": post.is_sponsored and post.is_declared,
        "public_metrics": {
            "repost_count": counters.shares,
            "reply_count": counters.comments,
            "like_count": counters.likes,
            "quote_count": counters.quotes,
            "bookmark_count": counters.saves,
            "impression_count": counters.views,
        },
    }  # fmt: skip
    entities: Row = {
        "hashtags": [{"start": plain.index(f"#{tag}"), "end": plain.index(f"#{tag}") + len(tag) + 1, "tag": tag}
                     for tag in tags],
        "urls": [{"start": plain.index(short), "end": plain.index(short) + len(short), "url": short,
                  "expanded_url": long, "display_url": long[8:30]} for short, long in urls],
    }  # fmt: skip
    if post.relation == "reply":
        entities["mentions"] = [{"start": 0, "end": len(stranger.handle) + 1, "username": stranger.handle,
                                 "id": stranger.local_id}]  # fmt: skip
    if found := {name: value for name, value in entities.items() if value}:
        row["entities"] = found
    if post.relation in kinds:
        row["referenced_posts"] = [{"type": kinds[post.relation], "id": other_id}]
    if key := media_key(post, post_id):
        row["attachments"] = {"media_keys": [key]}
    if post.key % 13 == 0:  # a long post: the text is cut, the note holds it all
        long = row["text"] + " " + "And so it went on, a page further. " * 9
        row |= {"note_post": {"text": long, "entities": found}, "text": long[:275] + "…"}
    if is_owner:
        row["non_public_metrics"] = {
            "impression_count": counters.views,
            "url_link_clicks": counters.views // 60 if link else 0,
            "user_profile_clicks": counters.views // 90,
        }
    return row


def repost(account: Account, at: float, row_id: str, other: Row, handle: str) -> Row:
    """The row of a repost: counters are the wrapper's, but for the reposts, which are the original's."""
    metrics = dict.fromkeys(other["public_metrics"], 0)
    return {
        "id": row_id,
        "text": f"RT @{handle}: {other['text']}"[:140],
        "author_id": account.local_id,
        "created_at": iso_millis(at),
        "conversation_id": row_id,
        "edit_history_post_ids": [row_id],
        "referenced_posts": [{"type": "retweeted", "id": other["id"]}],
        "public_metrics": metrics | {"repost_count": other["public_metrics"]["repost_count"]},
    }
