"""Mastodon's entities and errors as JSON, from the world's accounts, members and posts."""

from functools import lru_cache
from typing import Any

from infra.sandbox import wording
from infra.sandbox.cast import Account
from infra.sandbox.people import Member
from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, day, iso_millis

Entity = dict[str, Any]
VERSION = "4.5.2"
_STAND_IN = "A stand-in: nobody here is real."


def error(status: int, message: str) -> Answer:
    """Mastodon's error body."""
    return Answer(status, {"error": message})


def status_id(post: Post) -> str:
    """A status's number: milliseconds of its moment, then its author's place, so that ids run with time."""
    return str(round(post.published_at * 1000) << 16 | post.account.number)


def missing_picture(host: str) -> str:
    """The picture of those who have none."""
    return f"https://{host}/avatars/original/missing.png"


def _profile(host: str, name: str, account_id: str, picture: str) -> Entity:
    """What every account entity has."""
    return {
        "id": account_id,
        "username": name,
        "bot": False,
        "group": False,
        "avatar": picture,
        "avatar_static": picture,
        "header": f"https://{host}/headers/original/missing.png",
        "header_static": f"https://{host}/headers/original/missing.png",
        "emojis": [],
    }


@lru_cache(maxsize=1024)
def _creator(account: Account) -> Entity:
    base = f"https://{account.host}"
    return _profile(account.host, account.handle, account.local_id, f"{base}/avatars/{account.number}.png") | {
        "acct": account.handle,
        "display_name": account.creator_name,
        "locked": False,
        "discoverable": True,
        "indexable": True,
        "created_at": day(account.created_at) + "T00:00:00.000Z",
        "note": f"<p>{account.creator_name}. Notes on {account.topic}.</p>",
        "url": f"{base}/@{account.handle}",
        "uri": f"{base}/users/{account.handle}",
        "hide_collections": "hides_network" in account.flags,
        "noindex": False,
        "roles": [],
        "fields": [
            {"name": "web", "value": f'<a href="https://{account.topic}.example">site</a>', "verified_at": None}
        ],
    }


def creator(account: Account, followers: int, statuses: int, latest: Post | None) -> Entity:
    """A creator's account; -1 where the server hides counts."""
    return _creator(account) | {
        "followers_count": -1 if "hides_counts" in account.flags else followers,
        "following_count": 40 + account.key % 700,
        "statuses_count": statuses,
        "last_status_at": day(latest.published_at) if latest else None,
    }


def suspended(account: Account) -> Entity:
    """What is left of a suspended account."""
    picture = missing_picture(account.host)
    blank = {"display_name": "", "note": "", "avatar": picture, "avatar_static": picture, "fields": []}
    counts = {"followers_count": 0, "following_count": 0, "statuses_count": 0, "last_status_at": None}
    return _creator(account) | blank | counts | {"suspended": True}


def follower(account: Account, account_id: str, member: Member, t: float) -> Entity:
    """A member of the account's audience. Of a remote one the server knows only what has passed by it."""
    home, host = account.host, member.server or account.host
    known = member.draw * 0.4 if member.server else 1.0
    picture = f"https://{home}/avatars/{member.number}.png" if member.has_picture else missing_picture(home)
    link = f'<a href="https://links.example/{member.number}">links</a>'
    entity = _profile(home, member.handle, account_id, picture) | {
        "acct": f"{member.handle}@{host}" if member.server else member.handle,
        "display_name": member.name,
        "locked": member.is_private,
        "discoverable": None if member.server else True,
        "indexable": False,
        "created_at": day(member.created_at) + "T00:00:00.000Z",
        "note": f"<p>{member.bio}</p>" if member.bio else "",
        "url": f"https://{host}/@{member.handle}",
        "uri": f"https://{host}/users/{member.handle}",
        "followers_count": int(member.followers * known),
        "following_count": int(member.following * known),
        "statuses_count": int(member.posts * known),
        "last_status_at": day(t - 86_400 * (1 + member.draw * 90)) if member.posts else None,
        "hide_collections": None,
        "fields": [{"name": "web", "value": link, "verified_at": None}] if member.has_link else [],
    }
    return entity if member.server else entity | {"noindex": False, "roles": []}


def status(post: Post, author: Entity, t: float) -> Entity:
    """A status with its counters at t."""
    counters = post.counters(t)
    return _fixed(post) | {
        "replies_count": counters.comments,
        "reblogs_count": counters.shares,
        "favourites_count": counters.likes,
        "quotes_count": counters.quotes,
        "account": author,
    }


def boost(number: int, booster: Account, author: Entity, boosted: Entity) -> Entity:
    """The wrapper of another's status that an account boosted: its counters are the other's."""
    url = f"https://{booster.host}/users/{booster.handle}/statuses/{number}/activity"
    return boosted | {
        "id": str(number),
        "created_at": iso_millis((number >> 16) / 1000),
        "uri": url,
        "url": url,
        "account": author,
        "reblog": boosted,
        "media_attachments": [],
        "tags": [],
    }


@lru_cache(maxsize=16384)
def _fixed(post: Post) -> Entity:
    """What of a status never changes."""
    account, number = post.account, status_id(post)
    base = f"https://{account.host}"
    text, tags, link = wording.note(post)
    words = [text]
    words += [f'<a href="{base}/tags/{t}" class="mention hashtag" rel="tag">#<span>{t}</span></a>' for t in tags]
    if link:
        words.append(f'<a href="{link}" rel="nofollow noopener" target="_blank">{link.removeprefix("https://")}</a>')
    stranger = str(10**17 + post.key % 10**9)
    is_reply = post.relation == "reply"
    mention = {"id": stranger, "username": "someone", "url": f"{base}/@someone", "acct": "someone"}
    card = {"url": link, "title": wording.title(post), "description": "", "type": "link", "image": None}
    return {
        "id": number,
        "created_at": iso_millis(post.published_at),
        "in_reply_to_id": str(int(number) - (900_000 << 16)) if is_reply else None,
        "in_reply_to_account_id": stranger if is_reply else None,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "unlisted" if post.key % 13 == 0 else "public",
        "language": account.language,
        "uri": f"{base}/users/{account.handle}/statuses/{number}",
        "url": f"{base}/@{account.handle}/{number}",
        "edited_at": None,
        "content": f"<p>{' '.join(words)}</p>",
        "reblog": None,
        "quote": {"state": "accepted", "quoted_status": None} if post.relation == "quote" else None,
        "application": None,
        "media_attachments": _media(post, f"{base}/media/{number}"),
        "mentions": [mention] if is_reply else [],
        "tags": [{"name": tag, "url": f"{base}/tags/{tag}"} for tag in tags],
        "emojis": [],
        "card": card if post.format == "link" else None,
        "poll": None,
    }


def _media(post: Post, url: str) -> list[Entity]:
    if post.format not in ("image", "video"):
        return []
    meta = {"original": {"duration": float(post.duration)}} if post.format == "video" else {}
    known = {"id": str(post.key % 10**18), "type": post.format, "url": url, "preview_url": f"{url}?small"}
    return [known | {"remote_url": None, "meta": meta, "description": None, "blurhash": None}]


def instance(host: str, domain: str) -> Entity:
    """A server, as /api/v2/instance tells it."""
    return {
        "domain": domain,
        "title": f"{host.partition('.')[0].title()} (assay's sandbox)",
        "version": VERSION,
        "source_url": "https://github.com/mastodon/mastodon",
        "description": _STAND_IN,
        "usage": {"users": {"active_month": 4200}},
        "languages": ["en", "de"],
        "configuration": {"statuses": {"max_characters": 500}, "accounts": {"max_featured_tags": 10}},
        "registrations": {"enabled": False, "approval_required": False, "message": None},
        "api_versions": {"mastodon": 7},
        "contact": {"email": f"admin@{host}", "account": None},
        "rules": [],
    }


def instance_v1(host: str) -> Entity:
    """A server, as /api/v1/instance tells it; clients ask it for the version."""
    return {
        "uri": host,
        "title": f"{host.partition('.')[0].title()} (assay's sandbox)",
        "short_description": _STAND_IN,
        "description": "",
        "email": f"admin@{host}",
        "version": VERSION,
        "urls": {"streaming_api": f"wss://{host}"},
        "stats": {"user_count": 5000, "status_count": 100_000, "domain_count": 900},
        "languages": ["en"],
        "registrations": False,
        "approval_required": False,
        "invites_enabled": False,
        "rules": [],
    }


def webfinger(account: Account) -> Entity:
    """Where the account of a handle lives."""
    page = f"https://{account.host}/@{account.handle}"
    actor = f"https://{account.host}/users/{account.handle}"
    return {
        "subject": f"acct:{account.account_id}",
        "aliases": [page, actor],
        "links": [
            {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": page},
            {"rel": "self", "type": "application/activity+json", "href": actor},
        ],
    }
