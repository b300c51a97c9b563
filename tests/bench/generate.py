"""Contract-valid posts for the benches: about 450 bytes each, null fields left out, an account to a key.

Not the sandbox and not the collectors: only bytes that look like a busy month's. The world is walked hour by hour;
the accounts that are due tell of some of their posts. Each post is encoded once, by the structs of `ingest.events`,
and what changes from look to look (id, moment, run, counters) is filled into the bytes: that is fast enough to fill a
topic with 12 million events in a minute. The same seed gives the same bytes.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest import events
from tests.bench.poison import broken

START = datetime(2026, 11, 18, tzinfo=UTC)
ACCOUNTS = 5_000
WORDS = (  # noqa: SIM905
    "how we built the best new home studio under budget review morning routine day in my life recipe easy vegan "
    "dinner ideas travel vlog japan hidden gems unboxing camera lens battery marathon training week update honest "
    "truth about brand deal summer haul street style tutorial workout game launch café señal 東京 прогулка 🎬 ✨ live"
).split()
COUNTERS = {
    "youtube": ("views", "likes", "comments"),
    "instagram": ("likes", "comments"),
    "tiktok": ("views", "likes", "comments", "shares"),
    "x": ("impressions", "likes", "comments", "shares", "saves", "quotes"),
    "bluesky": ("likes", "comments", "shares", "quotes"),
    "mastodon": ("likes", "comments", "shares"),
    "reddit": ("comments", "score"),
    "twitch": ("viewers",),
}
"""What each platform counts, in the contract's order."""
SHARES = (28, 20, 20, 12, 7, 5, 5, 3)
"""How many of a hundred accounts are on each."""
ENDPOINTS = {"youtube": "videos", "bluesky": "author_feed", "mastodon": "account_statuses", "x": "user_posts"}
FORMATS = ("video", "short", "image", "text", "link")
B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# What stands in a post's bytes where something is filled in.
ID = "00000000-0000-5000-a000-000000000000"
MOMENT, RUN, RAW = "2026-01-01T00:00:00.000Z", "@run@", "@raw@"
COUNT = 9_000_000_000_000_000_000


@dataclass(frozen=True)
class Post:
    """A post's event but for what changes: bytes for `%`, and the divisors that make its counters of its views."""

    text: bytes
    divisors: tuple[int, ...]
    views: int
    step: int


@dataclass(frozen=True)
class Account:
    """Who is asked, how often, and what there is to tell."""

    key: bytes
    platform: str
    due: float
    posts: list[Post]


def posts(count: int, seed: int = 1, *, raw_bytes: int = 0, poison: float = 0.0) -> Iterator[tuple[bytes, bytes]]:
    """`count` pairs of key and payload; `raw_bytes` fills `raw` with about so many, `poison` is the share broken."""
    chance, breaking = random.Random(seed), random.Random(f"poison/{seed}")
    ids = _ids(chance)
    text = _prose(chance) if raw_bytes else b""
    audience: dict[int, Account] = {}
    hour = made = 0
    while True:
        at = START + timedelta(hours=hour)
        run = f"{at:%Y-%m-%dT%H:00:00Z}".encode()
        for number in range(ACCOUNTS):
            account = audience.get(number)
            if account is None:
                account = audience[number] = _account(random.Random(f"{seed}/{number}"), with_raw=raw_bytes > 0)
            if chance.random() >= account.due:
                continue
            seen = at + timedelta(milliseconds=chance.randrange(3_000_000))
            moment = f"{seen:%Y-%m-%dT%H:%M:%S}.{seen.microsecond // 1000:03d}Z".encode()
            for post in chance.sample(account.posts, chance.randint(1, len(account.posts))):
                views = post.views + post.step * hour
                filled = [next(ids), moment, run, *(views // divisor for divisor in post.divisors)]
                if raw_bytes:
                    filled.append(_cut(text, raw_bytes, chance.random()))
                payload = post.text % tuple(filled)
                if poison and breaking.random() < poison:
                    payload = broken(payload, breaking)
                yield account.key, payload
                made += 1
                if made == count:
                    return
        hour += 1


def _account(chance: random.Random, *, with_raw: bool) -> Account:
    platform = chance.choices(list(COUNTERS), SHARES)[0]
    youtube = platform == "youtube"
    account_id = "UC" + "".join(chance.choices(B64, k=22)) if youtube else str(chance.randrange(10**9, 10**15))
    many = min(50, int(chance.lognormvariate(1.5, 0.9)) + 1)
    return Account(
        key=f"{platform}:{account_id}".encode(),
        platform=platform,
        due=chance.choice((1, 0.5, 0.25, 0.25, 0.25, 0.1)),
        posts=[_post(chance, platform, account_id, with_raw=with_raw) for _ in range(many)],
    )


def _post(chance: random.Random, platform: str, account_id: str, *, with_raw: bool) -> Post:
    names = COUNTERS[platform]
    views = int(chance.lognormvariate(8, 2.2)) + 1
    event = events.PostObserved(
        event_id=ID,
        contract=events.CONTRACT,
        platform=platform,
        account_id=account_id,
        observed_at=MOMENT,
        run_id=f"collect_{platform}/{RUN}",
        endpoint=ENDPOINTS.get(platform, "media"),
        collector=f"{platform}/1",
        authorisation="public",
        state="visible",
        raw=RAW if with_raw else None,
        **_unchanging(chance, platform),
        **{name: COUNT + place for place, name in enumerate(names)},
    )
    text = events.encode(event).replace(b"%", b"%%")
    for place in range(len(names)):
        text = text.replace(b"%d" % (COUNT + place), b"%d")
    for mark in (ID, MOMENT, RUN, RAW):
        text = text.replace(mark.encode(), b"%b")
    divisors = tuple(2 + 7 * place for place in range(len(names)))
    return Post(text, divisors, views, views // 25 + 1)


def _unchanging(chance: random.Random, platform: str) -> dict[str, object]:
    """The fields of a post that each look at it finds the same."""
    kind = chance.choice(FORMATS)
    published = START - timedelta(seconds=chance.randrange(60, 30 * 86_400))
    post: dict[str, object] = {
        "post_id": "".join(chance.choices(B64, k=11)),
        "published_at": f"{published:%Y-%m-%dT%H:%M:%SZ}",
        "format": kind,
    }
    if platform == "mastodon":
        post["url"] = f"https://{platform}.example/{post['post_id']}"
    if platform in ("x", "bluesky", "mastodon"):
        post["relation"] = chance.choice(("original", "original", "original", "reply", "quote"))
    if platform in ("youtube", "reddit", "twitch"):
        post["title"] = " ".join(chance.choices(WORDS, k=chance.randint(2, 4)))
    if chance.random() < 0.15:
        post["text"] = " ".join(chance.choices(WORDS, k=chance.randint(1, 6)))
    if chance.random() < 0.2:
        post["language"] = chance.choice(("en", "en", "en", "es", "de", "ja"))
    if kind in ("video", "short") and platform in ("youtube", "tiktok", "twitch"):
        post["duration_seconds"] = float(chance.randint(3, 900))
    if chance.random() < 0.2:
        post["hashtags"] = chance.sample(WORDS[:40], chance.choice((1, 1, 2, 4)))
    if chance.random() < 0.1:
        post["is_paid_partnership"] = chance.random() < 0.2
    if chance.random() < 0.04:
        post["unavailable"] = ["saves:hidden"]
    if platform == "youtube":
        post["definition"] = "2026-08-24"
    return post


def _ids(chance: random.Random) -> Iterator[bytes]:
    """Texts of the form of an event's id, no two alike."""
    while True:
        digits = chance.randbytes(16 * 1024).hex().encode()
        for at in range(0, len(digits), 32):
            one = digits[at : at + 32]
            yield b"%b-%b-5%b-a%b-%b" % (one[:8], one[8:12], one[13:16], one[17:20], one[20:])


def _prose(chance: random.Random) -> bytes:
    """A megabyte of what a platform's own objects say, as it stands in a JSON text within a JSON text."""
    said, size = [], 0
    while size < 1 << 20:
        name = chance.choice(("description", "localized", "thumbnail", "caption", "owner", "embed"))
        words = " ".join(chance.choices(WORDS, k=chance.randint(3, 30)))
        number = chance.getrandbits(60)
        said.append(f'{{\\"{name}\\":\\"{words}\\",\\"id\\":\\"{number:015x}\\",\\"width\\":{number % 1920}}}, ')
        size += len(said[-1])
    return "".join(said).encode()


def _cut(text: bytes, size: int, where: float) -> bytes:
    """About `size` bytes of whole objects, as a list of them."""
    start = text.find(b", {", int(where * (len(text) - 2 * size - 1000))) + 2
    return b"[" + text[start : text.find(b", {", start + size - 160)] + b"]"
