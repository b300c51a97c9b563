"""The simulated month: the pipeline's own functions, called with `now` moved on.

Platforms do not wait for each other, so each plays its rounds of a week in a process of its own while this one lands;
then the week is checked and built, and the known posts go back to the collectors.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

from infra.demo import rounds
from ingest.collect import known
from ingest.collect.platforms import REGISTRY
from ingest.events import instant
from ingest.land import worker
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.warehouse import build, check, known_posts, publish

PLATFORMS = tuple(REGISTRY)
DAYS = 30
HOURLY_DAYS = 2
LANDING_SECONDS = 2.0


def plan(since: datetime, until: datetime) -> Iterator[datetime]:
    """Collection moments after `since`: every 6 hours, the last two days every hour; the last one is `until`."""
    at = since
    while at < until:
        at = min(until, at + timedelta(hours=1 if at >= until - timedelta(days=HOURLY_DAYS) else 6))
        yield at


def weeks(since: datetime, until: datetime) -> Iterator[list[datetime]]:
    """The moments in groups that end with a build: the first one alone, then a simulated week each."""
    group: list[datetime] = []
    due = since
    for at in plan(since, until):
        group.append(at)
        if at >= due or at == until:
            yield group
            group, due = [], at + timedelta(days=7)


def play(settings: Settings, *, until: datetime, progress: Callable[[str], None]) -> None:
    """Collect, land, check and build from thirty days before `until` (or where an earlier demo stopped) up to it."""
    begin = until - timedelta(days=DAYS)
    since = max(begin, _collected_until(settings) or begin)
    groups = list(weeks(since, until))
    rounds_due = sum(map(len, groups))
    progress(f"simulating {instant(since)} to {instant(until)}: {rounds_due} rounds of {len(PLATFORMS)} platforms")
    processes = get_context("spawn")
    with ProcessPoolExecutor(len(PLATFORMS), mp_context=processes, initializer=rounds.belong_to_the_parent) as pool:
        for moments in groups:
            played = [pool.submit(rounds.play, settings, platform, moments) for platform in PLATFORMS]
            while wait(played, timeout=LANDING_SECONDS).not_done:
                worker.drain(settings)
            events = sum(one.result() for one in played)
            landed = sum(row["rows"] for row in worker.drain(settings))
            progress(f"up to {instant(moments[-1])}: {events:,} events published, the last {landed:,} landed")
            check.check_landed(settings, now=datetime.now(UTC))
            build.build(settings)
            known_posts.write(settings)
            progress("checked and built")
    check.check_marts(settings)
    publish.publish(settings, now=datetime.now(UTC))
    progress("marts checked and published to Postgres")


def _collected_until(settings: Settings) -> datetime | None:
    """When the newest known post was last seen: where an earlier demo on this `var/` stopped."""
    store, newest = S3Store(settings), []
    for platform in PLATFORMS:
        with known.read(store, platform) as posts:
            newest.append(posts.last_seen_at)
    return max(filter(None, newest), default=None)
