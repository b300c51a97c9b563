"""Contract-valid posts for the benches: seeded, about 500 bytes each, null fields left out, an account to a key.

Not the sandbox and not the collectors: only bytes that look like a busy month's. The same seed gives the same bytes.
"""

import random
from collections.abc import Iterator

from confluent_kafka import Producer

from ingest import events
from ingest.settings import Settings

START = 1_794_960_000  # 2026-11-18T00:00:00Z
WORDS = (  # noqa: SIM905
    "how we built the best new home studio under budget review morning routine day in my life recipe easy vegan "
    "dinner ideas travel vlog japan hidden gems unboxing camera lens battery marathon training week update honest "
    "truth about brand deal summer haul street style tutorial workout game launch café señal 東京 прогулка 🎬 ✨ live"
).split()
COUNTERS = {
    "youtube": ("views", "likes", "comments"),
    "instagram": ("likes", "comments"),
    "tiktok": ("views", "likes", "comments", "shares"),
    "bluesky": ("likes", "comments", "shares", "quotes"),
    "mastodon": ("likes", "comments", "shares"),
    "x": ("impressions", "likes", "comments", "shares", "saves", "quotes"),
}
ENDPOINTS = {"youtube": "videos", "bluesky": "author_feed", "mastodon": "account_statuses"}
FORMATS = ("video", "short", "image", "text", "link")


def posts(count: int, seed: int = 1, accounts: int = 5_000) -> Iterator[tuple[bytes, bytes]]:
    """`count` pairs of key and payload."""
    chance = random.Random(seed)
    audience = [_account(chance) for _ in range(accounts)]
    for number in range(count):
        platform, account, catalogue = chance.choice(audience)
        post = chance.choice(catalogue)
        seconds = START + number // 400
        moment = f"2026-11-{18 + (seconds - START) // 86_400:02d}T{_clock(seconds)}.{chance.randrange(1000):03d}Z"
        views = int(chance.lognormvariate(8, 2))
        counters = {name: views // divisor for divisor, name in enumerate(COUNTERS[platform], start=1)}
        run = f"collect_{platform}/2026-11-18T{number // 100_000 % 24:02d}:00:00Z"
        event = events.PostObserved(
            event_id=_id(chance),
            contract=events.CONTRACT,
            platform=platform,
            account_id=account,
            observed_at=moment,
            run_id=run,
            endpoint=ENDPOINTS.get(platform, "media"),
            collector=f"{platform}/1",
            authorisation="public",
            state="visible",
            **post,
            **counters,
        )
        yield f"{platform}:{account}".encode(), events.encode(event)


def produce(settings: Settings, count: int, *, seed: int = 1, topic: str = "posts") -> None:
    """Publish `count` posts to the topic and wait until all are acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "enable.idempotence": True,
            "compression.type": "zstd",
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 200_000,
        }
    )
    failed: list[object] = []
    for number, (key, payload) in enumerate(posts(count, seed)):
        while True:
            try:
                producer.produce(
                    settings.topic(topic), key=key, value=payload, on_delivery=lambda e, _: e and failed.append(e)
                )
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    if failed:
        raise RuntimeError(f"{len(failed)} events were not delivered: {failed[0]}")


def _account(chance: random.Random) -> tuple[str, str, list[dict[str, object]]]:
    platform = chance.choice(list(COUNTERS))
    account = "UC" + "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", k=22))
    return platform, account, [_post(chance, platform) for _ in range(chance.randint(3, 40))]


def _post(chance: random.Random, platform: str) -> dict[str, object]:
    post_id = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=11))
    kind = chance.choice(FORMATS)
    post: dict[str, object] = {
        "post_id": post_id,
        "published_at": f"2026-10-{chance.randint(1, 28):02d}T{_clock(chance.randrange(86400))}Z",
        "url": f"https://{platform}.example/{post_id}",
        "format": kind,
        "relation": "original",
        "text": " ".join(chance.choices(WORDS, k=chance.randint(1, 7))),
        "language": chance.choice(("en", "en", "en", "es", "de", "ja")),
    }
    if platform == "youtube":
        post["title"] = " ".join(chance.choices(WORDS, k=4))
        post["definition"] = "2026-08-24"
    if kind in ("video", "short"):
        post["duration_seconds"] = float(chance.randint(15, 900))
    if chance.random() < 0.3:
        post["hashtags"] = chance.sample(WORDS[:40], 2)
    if chance.random() < 0.04:
        post["unavailable"] = ["saves:hidden"]
    return post


def _id(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
