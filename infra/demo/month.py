"""The simulated month: the pipeline's own functions, called with `now` moved on."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest.collect import run
from ingest.events import instant
from ingest.land import worker
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.warehouse import build, check, known_posts, publish

PLATFORMS = ("youtube", "bluesky", "mastodon")
DAYS = 30
HOURLY_DAYS = 2


def moments(since: datetime, until: datetime) -> Iterator[datetime]:
    """Collection moments after `since`: every 6 hours, the last two days every hour; the last one is `until`."""
    at = since
    while at < until:
        at = min(until, at + timedelta(hours=1 if at >= until - timedelta(days=HOURLY_DAYS) else 6))
        yield at


def play(settings: Settings, *, until: datetime, progress: Callable[[str], None]) -> None:
    """Collect, land, check and build from thirty days before `until` (or where an earlier demo stopped) up to it."""
    begin = until - timedelta(days=DAYS)
    since = max(begin, _collected_until(settings) or begin)
    next_build = since + timedelta(days=7)
    cycles = list(moments(since, until))
    progress(f"simulating {instant(since)} to {instant(until)}: {len(cycles)} rounds of three platforms")
    published = 0
    for number, at in enumerate(cycles, start=1):
        weekly = number == 1 or at >= next_build or at == until
        for platform in PLATFORMS:
            batch = run.collect(settings, platform, now=at, run_id=f"demo/{instant(at)}")
            published += (batch.posts or 0) + (batch.accounts or 0)
            if weekly:
                members = run.sample(settings, platform, now=at, run_id=f"demo_sample/{instant(at)}")
                published += members.followers or 0
        worker.drain(settings)
        if weekly:
            progress(
                f"{instant(at)}: round {number} of {len(cycles)}, {published:,} events published; checking and building"
            )
            check.check_landed(settings, now=datetime.now(UTC))
            build.build(settings)
            known_posts.write(settings)
            next_build = at + timedelta(days=7)
    progress("publishing the marts to Postgres")
    check.check_marts(settings)
    publish.publish(settings, now=datetime.now(UTC))


def _collected_until(settings: Settings) -> datetime | None:
    """When the newest known post was last seen: where an earlier demo on this `var/` stopped."""
    newest = []
    for platform in PLATFORMS:
        found = S3Store(settings).get(f"state/known_posts/{platform}.parquet")
        if found is not None:
            seen = pc.max(pq.read_table(io.BytesIO(found.body)).column("last_seen_at")).as_py()
            newest += [seen] if seen else []
    return max(newest, default=None)
