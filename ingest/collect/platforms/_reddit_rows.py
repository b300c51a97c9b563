"""Rows of Reddit's listings as its collector reads them (`reddit.py`): submissions, and who comments."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call
from ingest.collect.platform import Observer
from ingest.collect.values import Unreadable, count, flag, identifier, lenient, mapping, text, when

ACCOUNT_ID = re.compile(r"t2_[a-z0-9]{1,13}", re.ASCII)
DELETED, REMOVED = "[deleted]", "[removed]"
BOTS = ("[deleted]", "AutoModerator")
"""Authors of comments who are nobody of the audience."""
PICTURES = ("i.redd.it", "i.imgur.com")


def things(listing: Any, kind: str) -> list[dict[str, Any]]:
    """A listing's things of one kind."""
    children = values.rows(mapping(listing.get("data")).get("children"))
    return [mapping(child.get("data")) for child in children if child.get("kind") == kind]


def fullname(post: dict[str, Any]) -> str:
    name = post.get("name")
    return name if isinstance(name, str) and name.startswith("t3_") else f"t3_{identifier(post.get('id'))}"


def author_of(row: dict[str, Any]) -> str | None:
    """Whose it is, by fullname; old answers have none."""
    author = row.get("author_fullname")
    return author if isinstance(author, str) and ACCOUNT_ID.fullmatch(author) else None


def parse_comments(call: Call, found: list[Any], observe: Observer) -> None:
    """Who began threads below a submission, newest first; the rest of the tree is not asked for."""
    post = next((row for part in found for row in things(part, "t3")), {})
    creator, name = call.account_id or author_of(post) or text(post.get("author")), post.get("author")
    if creator in (None, DELETED):
        return  # nobody's audience any more
    for comment in [row for part in found for row in things(part, "t1")]:
        author, comment_id = text(comment.get("author")), identifier(comment.get("id"))
        native = author_of(comment) or author
        if not native or author in (*BOTS, name, None) or native == creator or comment.get("is_submitter") is True:
            continue
        body = text(comment.get("body"))
        observe.member(
            creator,
            native,
            relation="commenter",
            comment=(comment_id, None if body in (DELETED, REMOVED) else body),
            post_id=f"t3_{call.path_values['article']}",
            commented_at=when(moment_of(comment.get("created_utc"))),
            handle_length=values.length(author),
            handle_digit_share=values.digit_share(author),
        )


def parse_post(call: Call, post: dict[str, Any], observe: Observer) -> None:
    post_id, author = fullname(post), text(post.get("author"))
    listed_for = call.path_values.get("name", "")
    if listed_for and author and author != DELETED and author.lower() != listed_for.lower():
        return  # another's, such as an advertisement
    reason, written = post.get("removed_by_category"), post.get("selftext")
    is_deleted, published = DELETED in (author, written) or reason == "deleted", moment_of(post.get("created_utc"))
    if not is_deleted and not observe.listed(post_id, published):
        return
    owner = author_of(post) or call.owners.get(post_id) or call.account_id or (author if author != DELETED else None)
    if is_deleted:
        observe.post(owner, post_id, state="gone", state_reason="deleted")
        return
    reason, written = text(reason), text(written)
    removed = reason or ("removed" if written == REMOVED else None)
    title, written = text(post.get("title")), written if written not in (DELETED, REMOVED) else None
    words, link = "\n".join(filter(None, [title, written])), text(post.get("url"))
    hidden = flag(post.get("hide_score"))
    permalink, links = text(post.get("permalink")), values.links_in(written)
    if post.get("is_self") is False and link:
        links = list(dict.fromkeys([link, *links]))
    observe.post(
        owner,
        post_id,
        state="hidden" if removed else "visible",
        state_reason=removed,
        published_at=when(published),
        url=f"https://www.reddit.com{permalink}" if permalink and permalink.startswith("/") else permalink,
        format=_format(post, link or ""),
        relation="quote" if post.get("crosspost_parent") else "original",
        title=title,
        text=written,
        duration_seconds=_duration(post),
        hashtags=values.tags_in(words) if title else None,
        mentions=_mentions(words) if title else None,
        links=links if title else None,
        views=count(post.get("view_count")),
        comments=count(post.get("num_comments")),
        shares=count(post.get("num_crossposts")),
        score=None if hidden else _score(post.get("score")),
        upvote_ratio=None if hidden else _ratio(post.get("upvote_ratio")),
        unavailable=["score:hidden", "upvote_ratio:hidden"] if hidden else None,
        definition="reddit-1",
        raw=values.raw({name: value for name, value in post.items() if name != "crosspost_parent_list"}),
    )


def _format(post: dict[str, Any], link: str) -> str | None:
    hint = post.get("post_hint")
    if post.get("is_video") is True or hint in ("hosted:video", "rich:video"):
        return "video"
    if post.get("is_gallery") is True:
        return "carousel"
    if hint == "image" or post.get("domain") in PICTURES or re.search(r"\.(jpe?g|png|gif|webp)$", link):
        return "image"
    return None if (own := flag(post.get("is_self"))) is None else "text" if own else "link"


def _duration(post: dict[str, Any]) -> float | None:
    found = lenient(lenient(post.get("media")).get("reddit_video")).get("duration")
    return values.number(float(found)) if found is not None and _is_number(found) and 0 <= found < 10**9 else None


def _mentions(written: str) -> list[str]:
    names: Iterable[str] = re.findall(r"(?<![\w/])/?u/([A-Za-z0-9_-]{3,20})", written)
    return list(dict.fromkeys(name.lower() for name in names))


def _is_number(value: Any) -> bool:
    """Whether it is a number that a double can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -values.LARGEST <= value <= values.LARGEST


def moment_of(value: Any) -> datetime | None:
    """Seconds since 1970, with or without a fraction."""
    return datetime.fromtimestamp(value, UTC) if type(value) in (int, float) and 0 < value < 10**11 else None


def _score(value: Any) -> int | None:
    """Up minus down. Raises Unreadable when something else stands in its place."""
    if value is None:
        return None
    if not _is_number(value) or value != int(value):
        raise Unreadable("no_count")
    return int(value)


def _ratio(value: Any) -> float | None:
    return float(value) if _is_number(value) and 0 <= value <= 1 else None
