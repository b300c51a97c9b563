"""Mastodon and what speaks its API: every account asked at its own home server, no key needed.

Ids are per server, so a post is `<status id>@<host>` and an account `user@host`. Counters are what the home server
knows. Followers' pages go by cursors of their own that stand only in the `Link` header.
"""

import dataclasses
import html
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.outcome import OK, Answer, Outcome, Verdict, by_status, malformed, settled
from ingest.collect.platform import Account, Observer, Pace, Platform, Rate
from ingest.collect.values import count, flag, identifier, items, lenient, mapping, moment, text, when

LOOKUP = Endpoint("accounts/lookup", "/api/v1/accounts/lookup")
ACCOUNTS = Endpoint("accounts", "/api/v1/accounts", batch=40)
# Methods of Mastodon stand in the place of an id.
AN_ID = r"(?!(?:verify_credentials|update_credentials|relationships|search|familiar_followers|lookup)$)[^/]+"
ACCOUNT = Endpoint("accounts/:id", "/api/v1/accounts/{id}", segment=AN_ID)
STATUSES = Endpoint(
    "accounts/:id/statuses", "/api/v1/accounts/{id}/statuses", {"limit": "40", "exclude_reblogs": "true"}
)
FOLLOWERS = Endpoint("accounts/:id/followers", "/api/v1/accounts/{id}/followers", {"limit": "80"}, audience=True)
POSTS = Endpoint("statuses", "/api/v1/statuses", batch=20)
POST = Endpoint("statuses/:id", "/api/v1/statuses/{id}")
WEBFINGER = Endpoint("webfinger", "/.well-known/webfinger")
LISTS = (STATUSES, FOLLOWERS, POSTS, ACCOUNTS)

DEFAULT_PICTURE = re.compile(
    r"missing\.(png|svg)|/avi\.png|default[_-]?avatar|/avatars?/default|identicon", re.IGNORECASE
)
TAG_LINK = re.compile(r'<a [^>]*class="[^"]*\b(mention|hashtag)\b[^>]*>')


def normalise(account: str) -> str | None:
    """`user@host` in lower case."""
    name = account.removeprefix("@").lower()
    return name if re.fullmatch(r"[\w.\-]+@[a-z0-9\-]+(\.[a-z0-9\-]+)+(:[0-9]{1,5})?", name) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    apart = [(account, *account.split("@", 1)) for account in accounts]
    return [LOOKUP.call(f"https://{host}", {"acct": user}, account_id=account) for account, user, host in apart]


def listing(account: Account, short: bool) -> Call:
    page = {"limit": "20"} if short else {}
    return STATUSES.call(account.base, page, account_id=account.account_id, id=account.listing or "")


def lookup(posts: Sequence[str]) -> list[Call]:
    by_host: dict[str, list[str]] = {}
    for post in posts:
        status, _, host = post.rpartition("@")
        by_host.setdefault(host, []).append(status)
    return [call for host, ids in by_host.items() for call in POSTS.calls(f"https://{host}", "id[]", ids)]


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [FOLLOWERS.call(account.base, account_id=account.account_id, id=account.listing or "")]


def instead(call: Call, verdict: Verdict) -> list[Call]:
    """Two things that servers do differently.

    Those before 4.3, and most forks, look up no several posts at once. And an account's API may be on another host than
    its handle says; that host then tells by WebFinger, whose answer leads on to the look-up there.
    """
    if call.endpoint == POSTS and verdict.reason == "no_batch":
        return [POST.call(call.base, id=status) for status in call.params.get("id", [])]
    if call.endpoint == LOOKUP and verdict.outcome in {Outcome.GONE, Outcome.MALFORMED} and call.account_id:
        resource = {"resource": f"acct:{call.account_id}"}
        return [WEBFINGER.call(call.base, resource, account_id=call.account_id)]
    return []


def next_page(call: Call, answer: Answer) -> Call | None:
    """The `Link` header's next page, always at the host that was asked; after WebFinger the look-up where it leads."""
    if call.endpoint == WEBFINGER:
        return _lead(call, answer)
    for target, attributes in re.findall(r"<([^>]*)>([^<]*)", answer.headers.get("link", "")):
        if re.search(r";\s*rel=\"?next\"?", attributes):
            link = urlsplit(urljoin(call.url, target))
            if link.path.rstrip("/") == call.path.rstrip("/"):
                return call.at(f"{call.base}{link.path}?{link.query}")
    return None


def _lead(call: Call, answer: Answer) -> Call | None:
    """The look-up at another host, where WebFinger names one for the account itself."""
    for link in items(answer.fields.get("links")):
        host = urlsplit(str(link.get("href"))).netloc.lower()
        if link.get("rel") == "self" and host != call.host and normalise(f"user@{host}"):
            user = (call.account_id or "").partition("@")[0]
            return LOOKUP.call(f"https://{host}", {"acct": user}, account_id=call.account_id)
    return None


def rate(answer: Answer) -> Rate | None:
    """`X-RateLimit-Remaining`, and `X-RateLimit-Reset` as an ISO 8601 moment."""
    left, reset = answer.headers.get("x-ratelimit-remaining", ""), answer.headers.get("x-ratelimit-reset")
    if not (left or reset):
        return None
    return Rate(int(left) if re.fullmatch(r"[0-9]{1,9}", left) else None, moment(reset))


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By the status: errors are `{"error": text}`, and the text is in the server's language."""
    if verdict := settled(answer, ours=call.endpoint is not None):
        return verdict
    if 200 <= answer.status < 300:
        return _classify_success(call, answer.document)
    if call.endpoint == POSTS and answer.status in {400, 404, 405, 406, 410, 422, 501}:
        return Verdict(Outcome.REFUSED, "no_batch", message="This server looks up no several posts at once.")
    bare = not answer.body.strip()  # how old servers say that somebody is gone, and all that WebFinger knows nobody
    says_so = "error" in answer.fields or (bare and (answer.status == 410 or call.endpoint in (None, WEBFINGER)))
    if answer.status in {404, 410, 451} and says_so:
        return Verdict(Outcome.GONE, f"http_{answer.status}")
    advice = f"{call.host} may let nobody read without an account there. Check its accounts on the watch list."
    verdict = by_status(answer, now, advice)
    limits = rate(answer) if verdict.outcome is Outcome.THROTTLED and verdict.retry_at is None else None
    return dataclasses.replace(verdict, retry_at=limits.reset) if limits else verdict


def _classify_success(call: Call, found: Any) -> Verdict:
    if call.endpoint in LISTS:
        return OK if isinstance(found, list) else malformed("unknown_shape")
    if not isinstance(found, dict) or (call.endpoint != WEBFINGER and "id" not in found):
        return malformed("unknown_shape")
    suspended = call.endpoint in (LOOKUP, ACCOUNT) and found.get("suspended") is True
    return Verdict(Outcome.GONE, "suspended") if suspended else OK


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304 or call.endpoint == WEBFINGER:
        return
    if not 200 <= answer.status < 300:
        _parse_gone(call, observe)
    elif call.endpoint in (LOOKUP, ACCOUNT):
        _parse_account(call, answer.document, observe)
    elif call.endpoint == POST:
        _post(call, answer.document, observe)
    else:
        _parse_list(call, values.rows(answer.document), observe)


def _parse_gone(call: Call, observe: Observer) -> None:
    if call.endpoint == POST:
        observe.post(None, f"{call.path_values['id']}@{call.host}", state="gone", state_reason="not_found")
    elif call.endpoint == LOOKUP and normalise(asked := _full_name(call, call.param("acct"))):
        observe.account(call.account_id or asked, state="gone", state_reason="not_found")
    elif call.account_id and call.endpoint in (ACCOUNT, STATUSES):
        observe.account(call.account_id, state="gone", state_reason="not_found")


def _parse_list(call: Call, found: list[dict[str, Any]], observe: Observer) -> None:
    if call.endpoint == ACCOUNTS:
        for account in found:
            _parse_account(call, account, observe)
        return
    if call.endpoint == FOLLOWERS:
        for member in found:
            name = _full_name(call, identifier(member.get("acct") or member.get("username")))
            fallback = f"{call.path_values['id']}@{call.host}"
            observe.member(None, name, relation="follower", fallback_account=fallback, **_features(member))
        return
    for status in found:
        author = mapping(status.get("account")).get("id")
        if call.endpoint == STATUSES and author is not None and identifier(author) != call.path_values["id"]:
            continue
        _post(call, status, observe)
    if call.endpoint == STATUSES:
        pinned = call.param("pinned").lower() == "true"
        times = [] if pinned else [moment(status.get("created_at")) for status in found]
        observe.reading.reached = min((time for time in times if time), default=None)
        return
    seen = {identifier(status.get("id")) for status in found}
    for status_id in dict.fromkeys(call.params.get("id", [])):
        if status_id not in seen:
            observe.post(None, f"{status_id}@{call.host}", state="gone", state_reason="not_found")


def _full_name(call: Call, acct: str) -> str:
    """`user@host`: local accounts come without their host."""
    return (acct if "@" in acct else f"{acct}@{call.host}").lower()


def _parse_account(call: Call, account: dict[str, Any], observe: Observer) -> None:
    acct = identifier(account.get("acct") or account.get("username"))
    known = call.account_id if call.endpoint == LOOKUP else None
    account_id = known or _full_name(call, acct)
    suspended = account.get("suspended") is True
    followers = count(account.get("followers_count"))
    hidden = ["followers:hidden"] if account.get("followers_count") is not None and followers is None else None
    links = [link for field in items(account.get("fields")) for link in _links(field.get("value"))]
    observe.account(
        account_id,
        state="gone" if suspended else "visible",
        state_reason="suspended" if suspended else "moved" if account.get("moved") else None,
        handle=_full_name(call, acct),
        display_name=text(account.get("display_name")),
        created_at=when(moment(account.get("created_at"))),
        url=text(account.get("url")),
        bio=values.readable(account.get("note")),
        external_url=links[0] if links else None,
        followers=None if suspended else followers,
        followers_resolution=None if suspended or followers is None else 1,
        following=None if suspended else count(account.get("following_count")),
        posts=None if suspended else count(account.get("statuses_count")),
        is_private=flag(account.get("locked")),
        has_picture=_has_picture(account),
        unavailable=hidden,
        definition="mastodon-1",
        raw=values.raw(account),
    )
    if not suspended:
        names = frozenset({account_id, _full_name(call, acct)})
        observe.reading.found.append(Account(account_id, names, call.base, identifier(account.get("id")), followers))


def _has_picture(account: dict[str, Any]) -> bool | None:
    picture = account.get("avatar")
    return not DEFAULT_PICTURE.search(picture) if isinstance(picture, str) and picture else None


def _links(markup: Any) -> list[str]:
    """Where the links of a piece of HTML lead, those to people and tags left out; or the addresses of plain text."""
    if not isinstance(markup, str):
        return []
    found = [html.unescape(link) for link in re.findall(r'href="(https?://[^"]+)"', TAG_LINK.sub("", markup))]
    return found or values.links_in(values.plain(markup))


def _features(member: dict[str, Any]) -> dict[str, Any]:
    handle = text(member.get("username")) or identifier(member.get("acct")).partition("@")[0]
    fields = member.get("fields")
    return {
        "followers": count(member.get("followers_count")),
        "following": count(member.get("following_count")),
        "posts": count(member.get("statuses_count")),
        "created_at": when(moment(member.get("created_at"))),
        "is_private": flag(member.get("locked")),
        "has_picture": _has_picture(member),
        "bio_length": values.length(values.plain(member.get("note"))),
        "has_external_url": any("http" in str(field.get("value")) for field in items(fields))
        if isinstance(fields, list)
        else None,
        "handle_length": len(handle),
        "handle_digit_share": values.digit_share(handle),
        "name_length": values.length(member.get("display_name")),
    }


def _post(call: Call, status: dict[str, Any], observe: Observer) -> None:
    """A post of the account's own; a boost shows another's post, with the other's counters."""
    if status.get("reblog"):
        return
    post_id, published = f"{identifier(status.get('id'))}@{call.host}", moment(status.get("created_at"))
    if not observe.listed(post_id, published):
        return
    acct = text(mapping(status.get("account")).get("acct"))
    content, tags, card = status.get("content"), status.get("tags"), lenient(status.get("card"))
    links = [*_links(content), *filter(None, [text(card.get("url"))])]
    named = values.tags(tag.get("name") for tag in items(tags))
    observe.post(
        call.account_id or (_full_name(call, acct) if acct else None),
        post_id,
        state="visible",
        published_at=when(published),
        url=text(status.get("url") or status.get("uri")),
        format=_format(items(status.get("media_attachments")), card),
        relation="reply" if status.get("in_reply_to_id") else "quote" if status.get("quote") else "original",
        title=text(status.get("spoiler_text")),
        text=values.readable(content),
        language=text(status.get("language")),
        hashtags=named if isinstance(tags, list) else values.tags_in(values.plain(content)),
        mentions=[_full_name(call, m["acct"]) for m in items(status.get("mentions")) if isinstance(m.get("acct"), str)],
        links=list(dict.fromkeys(links)),
        likes=count(status.get("favourites_count")),
        comments=count(status.get("replies_count")),
        shares=count(status.get("reblogs_count")),
        quotes=count(status.get("quotes_count")),
        definition="mastodon-1",
        raw=values.raw(status),
    )


def _format(media: list[dict[str, Any]], card: dict[str, Any]) -> str:
    kinds = [attachment.get("type") for attachment in media]
    if "video" in kinds or "gifv" in kinds:
        return "video"
    if "audio" in kinds:
        return "audio"
    if kinds:
        return "carousel" if len(kinds) > 1 else "image"
    return "link" if card.get("url") else "text"


PLATFORM = Platform(
    name="mastodon",
    collector="mastodon/1",
    authorisation="public",
    endpoints=(LOOKUP, ACCOUNTS, ACCOUNT, STATUSES, FOLLOWERS, POSTS, POST),
    pace=Pace(calls=300, seconds=300, at_once=4, kind="window"),
    normalise=normalise,
    resolve=resolve,
    listing=listing,
    lookup=lookup,
    audience=audience,
    made_up=lambda account, _, number: f"{number}@{urlsplit(account.base).netloc}",
    classify=classify,
    parse=parse,
    next_page=next_page,
    instead=instead,
    rate=rate,
)
