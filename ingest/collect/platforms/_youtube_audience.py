"""A YouTube channel's audience: who comments on its videos and, by its owner's grant, who subscribes.

Subscribers are a biased list: it names those alone who show whom they subscribe to.
"""

from collections.abc import Sequence
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.platform import Account, Observer
from ingest.collect.values import count, lenient, mapping, moment, text, when

BASE = "https://youtube.googleapis.com"

COMMENTS = Endpoint(
    "commentThreads",
    "/youtube/v3/commentThreads",
    {"part": "snippet", "order": "time", "maxResults": "100", "textFormat": "plainText"},
    cost=1,
    audience=True,
)
# Of the owner's two lists the one that is in order: newest first, about a thousand long. `mySubscribers` has none.
SUBSCRIBERS = Endpoint(
    "subscriptions",
    "/youtube/v3/subscriptions",
    {"part": "snippet,subscriberSnippet", "myRecentSubscribers": "true", "maxResults": "50"},
    cost=1,
    audience=True,
    consent=True,
)
# Members' channels. Without maxResults a look-up of 50 answers 5, and the others would count as missing.
COMMENTERS = Endpoint(
    "commenters",
    "/youtube/v3/channels",
    {"part": "snippet,statistics,contentDetails,status", "maxResults": "50"},
    batch=50,
    cost=1,
    audience=True,
)


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [COMMENTS.call(BASE, {"videoId": post}, account_id=account.account_id) for post in posts]


def subscribers(account: Account) -> list[Call]:
    return [SUBSCRIBERS.call(BASE, account_id=account.account_id, grant=account.account_id)]


def profiles(members: Sequence[str]) -> list[Call]:
    return COMMENTERS.calls(BASE, "id", members, separator=",")


def has_picture(snippet: dict[str, Any]) -> bool | None:
    """Whether a channel has a picture of its own."""
    return _is_own(lenient(lenient(snippet.get("thumbnails")).get("default")).get("url"))


def _is_own(url: Any) -> bool | None:
    return "default-user" not in url if isinstance(url, str) and url else None


def features(item: dict[str, Any]) -> dict[str, Any]:
    """What a member's channel adds to what a list says."""
    snippet, statistics = mapping(item.get("snippet")), mapping(item.get("statistics"))
    hidden = statistics.get("hiddenSubscriberCount") is True
    handle = (text(snippet.get("customUrl")) or "").removeprefix("@") or None
    return {
        "followers": None if hidden else count(statistics.get("subscriberCount")),
        "posts": count(statistics.get("videoCount")),
        "created_at": when(moment(snippet.get("publishedAt"))),
        "has_picture": has_picture(snippet),
        "bio_length": values.length(snippet.get("description")),
        "handle_length": values.length(handle),
        "handle_digit_share": values.digit_share(handle),
        "name_length": values.length(snippet.get("title")),
    }


def parse_member(call: Call, item: dict[str, Any], observe: Observer) -> None:
    """A row of one of the two lists."""
    (_parse_comment if call.endpoint == COMMENTS else _parse_subscriber)(call, item, observe)


def _parse_comment(call: Call, thread: dict[str, Any], observe: Observer) -> None:
    about = mapping(thread.get("snippet"))
    top = mapping(about.get("topLevelComment"))
    comment = mapping(top.get("snippet"))
    creator = call.account_id or text(about.get("channelId"))
    author = text(lenient(comment.get("authorChannelId")).get("value"))
    comment_id = text(top.get("id")) or text(thread.get("id"))
    if not (creator and author and comment_id) or author == creator:
        return  # a closed account's comment, or the creator's own
    name, written = text(comment.get("authorDisplayName")), text(comment.get("textOriginal"))
    handle = name.removeprefix("@") if name and name.startswith("@") else None
    observe.member(
        creator,
        author,
        relation="commenter",
        comment=(comment_id, written or values.plain(comment.get("textDisplay"))),
        post_id=text(about.get("videoId")) or text(call.param("videoId")),
        commented_at=when(moment(comment.get("publishedAt"))),
        has_picture=_is_own(comment.get("authorProfileImageUrl")),
        handle_length=values.length(handle),
        handle_digit_share=values.digit_share(handle),
        name_length=values.length(name) if handle is None else None,
    )


def _parse_subscriber(call: Call, item: dict[str, Any], observe: Observer) -> None:
    """`snippet` is the subscription, to the channel of its `resourceId`; who subscribes is in `subscriberSnippet`."""
    about, who = mapping(item.get("snippet")), mapping(item.get("subscriberSnippet"))
    creator = call.account_id or text(lenient(about.get("resourceId")).get("channelId"))
    subscriber = text(who.get("channelId"))
    is_asked = "true" in (call.param("myRecentSubscribers"), call.param("mySubscribers"))
    if not (is_asked and subscriber) or subscriber == creator:
        return  # whom somebody subscribes to is no audience
    observe.member(
        creator,
        subscriber,
        relation="follower",
        followed_at=when(moment(about.get("publishedAt"))),
        has_picture=has_picture(who),
        bio_length=values.length(who.get("description")),
        name_length=values.length(who.get("title")),
    )
