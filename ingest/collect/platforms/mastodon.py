"""Mastodon and what speaks its API: every account asked at its own home server, no key needed.

Ids are per server, so a post is `<status id>@<host>` and an account `user@host`. Counters are what the home server
knows. Followers' pages go by cursors of their own that stand only in the `Link` header.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from ingest.collect import values
from ingest.collect.outcome import OK, Answer, Outcome, Verdict, malformed, retry_after, transient
from ingest.collect.platform import Account, Call, Endpoint, Listed, Observer, Pace, Rate
from ingest.collect.values import Unreadable, count, flag, identifier, items, mapping, moment, text, when
from ingest.settings import Settings

NAME = "mastodon"
COLLECTOR = "mastodon/1"
AUTHORISATION = "public"
PACE = Pace(calls=300, seconds=300, at_once=4)
AUDIENCE_POSTS = 0

LOOKUP = Endpoint("accounts/lookup", "/api/v1/accounts/lookup")
ACCOUNTS = Endpoint("accounts", "/api/v1/accounts", batch=40)
ACCOUNT = Endpoint("accounts/:id", "/api/v1/accounts/{id}")
STATUSES = Endpoint("accounts/:id/statuses", "/api/v1/accounts/{id}/statuses", {"limit": "40", "exclude_reblogs": "true"})
FOLLOWERS = Endpoint("accounts/:id/followers", "/api/v1/accounts/{id}/followers", {"limit": "80"}, audience=True)
POSTS = Endpoint("statuses", "/api/v1/statuses", batch=20)
POST = Endpoint("statuses/:id", "/api/v1/statuses/{id}")
ENDPOINTS = (LOOKUP, ACCOUNTS, ACCOUNT, STATUSES, FOLLOWERS, POSTS, POST)
NOT_IDS = {"verify_credentials", "update_credentials", "relationships", "search", "familiar_followers", "lookup"}
ONE = (LOOKUP, ACCOUNT, POST)
LISTS = (STATUSES, FOLLOWERS, POSTS, ACCOUNTS)

DEFAULT_PICTURES = re.compile(r"missing\.(png|svg)|/avi\.png|default[_-]?avatar|/avatars?/default|identicon", re.IGNORECASE)


def daily_units(settings: Settings) -> int | None:
    return None


def authorise(settings: Settings) -> dict[str, str]:
    return {}


def normalise(account: str) -> str | None:
    """`user@host` in lower case."""
    name = account.removeprefix("@").lower()
    return name if re.fullmatch(r"[\w.\-]+@[a-z0-9\-]+(\.[a-z0-9\-]+)+(:[0-9]{1,5})?", name) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    calls = []
    for account in accounts:
        user, _, host = account.partition("@")
        calls.append(LOOKUP.call(f"https://{host}", {"acct": user}, account_id=account))
    return calls


def listing(account: Account) -> Call:
    return STATUSES.call(account.base, account_id=account.account_id, id=account.listing or "")


def lookup(posts: Mapping[str, str]) -> list[Call]:
    by_host: dict[str, list[str]] = {}
    for post in posts:
        status, _, host = post.partition("@")
        by_host.setdefault(host, []).append(status)
    return [
        POSTS.call(f"https://{host}", {"id[]": ids[at : at + 20]}) for host, ids in by_host.items() for at in range(0, len(ids), 20)
    ]


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [FOLLOWERS.call(account.base, account_id=account.account_id, id=account.listing or "")]


def profiles(members: Sequence[str]) -> list[Call]:
    return []


def instead(call: Call, verdict: Verdict) -> list[Call]:
    """Servers before 4.3, and most forks, have no batch look-up: one call a post."""
    if call.endpoint != POSTS or verdict.reason != "no_batch":
        return []
    return [POST.call(call.base, id=status) for status in call.params.get("id", [])]


def rate(answer: Answer) -> Rate | None:
    """`X-RateLimit-Remaining`, and `X-RateLimit-Reset` as an ISO 8601 moment."""
    left, reset = answer.headers.get("x-ratelimit-remaining", ""), answer.headers.get("x-ratelimit-reset")
    if not (left or reset):
        return None
    return Rate(int(left) if re.fullmatch(r"[0-9]{1,9}", left) else None, moment(reset))


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    """By the status: errors are `{"error": text}`, and the text is in the server's language."""
    if answer.status == 304 or (_other(call) and 200 <= answer.status < 300):
        return OK
    if 200 <= answer.status < 300:
        return _classify_success(call, answer)
    if 0 < answer.status < 400:
        return malformed(f"http_{answer.status}")
    if answer.status == 429:
        limits = rate(answer)
        return Verdict(Outcome.THROTTLED, "http_429", retry_after(answer, now) or (limits.reset if limits else None))
    if verdict := transient(answer):
        return verdict
    reason = f"http_{answer.status}"
    if call.endpoint == POSTS and answer.status in {400, 404, 405, 406, 410, 422, 501}:
        return Verdict(Outcome.REFUSED, "no_batch", message="This server knows no look-up of several posts at once.")
    if answer.status in {404, 410, 451}:
        told = "error" in answer.fields or not answer.body.strip() and (answer.status == 410 or _other(call))
        return Verdict(Outcome.GONE, reason) if told else malformed("html" if answer.is_html else reason)
    of_host = answer.status in {401, 403}
    advice = (
        f"{call.host} does not let us read without an account of its own; take its accounts off the watch list or ask its administrators."
    )
    return Verdict(Outcome.REFUSED, reason, message=advice if of_host else "Check the account on the watch list.", of_credential=of_host)


def _other(call: Call) -> bool:
    """Whether the collector never makes such a call; some of Mastodon's methods stand where an id would."""
    return call.endpoint is None or call.path_values.get("id") in NOT_IDS


def _classify_success(call: Call, answer: Answer) -> Verdict:
    try:
        found = answer.document
    except Unreadable as fault:
        return malformed("html" if answer.is_html else str(fault))
    if not isinstance(found, list if call.endpoint in LISTS else dict):
        return malformed("unknown_shape")
    if call.endpoint in ONE and "id" not in found:
        return malformed("unknown_shape")
    if call.endpoint in (LOOKUP, ACCOUNT) and found.get("suspended") is True:
        return Verdict(Outcome.GONE, "suspended")
    return OK


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304 or _other(call):
        return
    if not 200 <= answer.status < 300:
        _parse_gone(call, observe)
    elif call.endpoint in (LOOKUP, ACCOUNT):
        _parse_account(call, answer.document, observe)
    elif call.endpoint == POST:
        _post(call, answer.document, observe)
    else:
        _parse_list(call, values.rows(answer.document), observe)


def next_page(call: Call, answer: Answer) -> Call | None:
    """The `Link` header's next page, at the host that was asked, whatever host the link names."""
    for target, attributes in re.findall(r"<([^>]*)>([^<]*)", answer.headers.get("link", "")):
        if re.search(r";\s*rel=\"?next\"?", attributes):
            link = urlsplit(urljoin(call.url, target))
            if link.path.rstrip("/") == call.path.rstrip("/"):
                return call.at(f"{call.base}{link.path}?{link.query}")
    return None


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
            name = _full_name(call, identifier(member.get("acct")))
            fallback = f"{call.path_values['id']}@{call.host}"
            observe.member(None, name, relation="follower", fallback_account=fallback, **_features(member))
        return
    for status in found:
        author = mapping(status.get("account")).get("id")
        if call.endpoint == STATUSES and author is not None and author != call.path_values["id"]:
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
    fields = [values.links_in(values.plain(link) or "") or _hrefs(link) for link in (f.get("value") for f in items(account.get("fields")))]
    observe.account(
        account_id,
        state="gone" if suspended else "visible",
        state_reason="suspended" if suspended else "moved" if account.get("moved") else None,
        handle=_full_name(call, acct),
        display_name=text(account.get("display_name")),
        created_at=when(moment(account.get("created_at"))),
        url=text(account.get("url")),
        bio=values.readable(account.get("note")),
        external_url=next((link for links in fields for link in links), None),
        followers=None if suspended else followers,
        followers_resolution=None if suspended or followers is None else 1,
        following=None if suspended else count(account.get("following_count")),
        posts=None if suspended else count(account.get("statuses_count")),
        is_private=flag(account.get("locked")),
        has_picture=_has_picture(account),
        unavailable=hidden,
        definition=COLLECTOR,
        raw=values.raw(account),
    )
    if not suspended:
        names = frozenset({account_id, _full_name(call, acct)})
        observe.reading.found.append(Account(account_id, names, call.base, identifier(account.get("id")), followers))


def _has_picture(account: dict[str, Any]) -> bool | None:
    picture = account.get("avatar")
    return not DEFAULT_PICTURES.search(picture) if isinstance(picture, str) and picture else None


def _hrefs(markup: Any) -> list[str]:
    return re.findall(r'href="(https?://[^"]+)"', markup) if isinstance(markup, str) else []


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
        "has_external_url": any("http" in str(field.get("value")) for field in items(fields)) if isinstance(fields, list) else None,
        "handle_length": len(handle),
        "handle_digit_share": values.digit_share(handle),
        "name_length": values.length(member.get("display_name")),
    }


def _post(call: Call, status: dict[str, Any], observe: Observer) -> None:
    """A post of the account's own; a boost shows another's post, with the other's counters."""
    if status.get("reblog"):
        return
    status_id, published = identifier(status.get("id")), moment(status.get("created_at"))
    acct = text(mapping(status.get("account")).get("acct"))
    content, tags = status.get("content"), status.get("tags")
    card = status.get("card") if isinstance(status.get("card"), dict) else {}
    links = [link for link in _hrefs(re.sub(r'<a [^>]*class="[^"]*\b(mention|hashtag)\b[^>]*>', "", content)) ] if isinstance(content, str) else []
    named = values.tags(tag.get("name") for tag in items(tags))
    observe.post(
        call.account_id or (_full_name(call, acct) if acct else None),
        f"{status_id}@{call.host}",
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
        links=list(dict.fromkeys([*links, *([card["url"]] if isinstance(card.get("url"), str) else [])])),
        likes=count(status.get("favourites_count")),
        comments=count(status.get("replies_count")),
        shares=count(status.get("reblogs_count")),
        quotes=count(status.get("quotes_count")),
        definition=COLLECTOR,
        raw=values.raw(status),
    )
    observe.reading.listed.append(Listed(f"{status_id}@{call.host}", published))


def _format(media: list[dict[str, Any]], card: dict[str, Any]) -> str:
    kinds = [attachment.get("type") for attachment in media]
    if "video" in kinds or "gifv" in kinds:
        return "video"
    if "audio" in kinds:
        return "audio"
    if kinds:
        return "carousel" if len(kinds) > 1 else "image"
    return "link" if card.get("url") else "text"
