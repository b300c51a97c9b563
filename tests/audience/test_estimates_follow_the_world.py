"""Estimates against a world whose truth is known: sampled, landed, checked and built through the real path.

Nothing of the world is in the score or the draws; they know it by its platforms' answers alone.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from socket import socket
from statistics import mean, median

import duckdb
import httpx2
import pytest

from ingest import watchlist
from ingest.collect.run import sample
from ingest.events import instant
from ingest.land.worker import drain
from ingest.settings import ROOT, Settings, load
from ingest.warehouse.build import build
from ingest.warehouse.check import check_landed

pytestmark = pytest.mark.stack

ONCE = datetime(2026, 11, 2, 4, tzinfo=UTC)
TWICE = ONCE + timedelta(days=1)
WITH_FOLLOWER_LISTS = ("bluesky", "mastodon")


@contextmanager
def world_with_twice_the_fakes(settings: Settings) -> Iterator[Settings]:
    """The same platforms, but with every audience's share of fakes doubled."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "infra.sandbox", "--port", str(port), "--fakes", "2"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        own = {field: getattr(settings, field) for field in settings.model_fields_set} | {"sandbox_port": port}
        doubled = load(_env_file=None, **own)
        deadline = time.monotonic() + 30
        while not is_up(doubled):
            assert process.poll() is None, "the sandbox ended"
            assert time.monotonic() < deadline, "the sandbox does not answer"
            time.sleep(0.1)
        yield doubled
    finally:
        process.terminate()
        process.wait(10)


def is_up(settings: Settings) -> bool:
    try:
        return httpx2.get(f"{settings.sandbox}/_health", trust_env=False).is_success
    except httpx2.TransportError:
        return False


def true_shares(settings: Settings, now: datetime) -> dict[tuple[str, str], float]:
    answer = httpx2.get(f"{settings.sandbox}/_truth/accounts", params={"at": instant(now)}, trust_env=False)
    return {(one["platform"], one["account_id"]): one["fake_share"] for one in answer.raise_for_status().json()}


def test_intervals_cover_the_truth_and_estimates_follow_when_the_fakes_double(settings):
    truth = {ONCE.date(): true_shares(settings, ONCE)}
    for platform in WITH_FOLLOWER_LISTS:
        sample(settings, platform, now=ONCE, run_id="once")
    channels = [one.account for one in watchlist.read(settings.watchlist_path) if one.platform == "youtube"]
    sample(settings, "youtube", now=ONCE, run_id="once", accounts=channels[:3])
    with world_with_twice_the_fakes(settings) as doubled:
        truth[TWICE.date()] = true_shares(doubled, TWICE)
        for platform in WITH_FOLLOWER_LISTS:
            sample(doubled, platform, now=TWICE, run_id="twice")
    drain(settings)
    check_landed(settings, now=TWICE)
    build(settings)

    with duckdb.connect(str(settings.warehouse), read_only=True) as con:
        rows = con.sql(
            """
            select platform, account_id, estimate_date, reason, fake_share_low, fake_share, fake_share_high
            from marts.mart_fake_followers where sampled > 0
            """
        ).fetchall()
    applies = [row for row in rows if row[3] not in {"features_missing", "sample_too_small"}]
    estimated = [row for row in applies if row[3] is None]
    covered = [low <= truth[day][platform, account] <= high for platform, account, day, _, low, _, high in estimated]
    print(f"{len(rows)} samples, {len(applies)} apply, {len(estimated)} estimated, {mean(covered):.2f} covered")
    print(f"median width {median(row[6] - row[4] for row in estimated):.2f}")
    assert len(estimated) >= len(applies) / 2
    assert mean(covered) >= 0.8
    assert {row[0] for row in rows if row[3] == "features_missing"} <= {"youtube"}

    found = {(platform, account, day): share for platform, account, day, _, _, share, _ in estimated}
    both = [key[:2] for key in found if key[2] == ONCE.date() and (*key[:2], TWICE.date()) in found]
    rises = [found[(*key, TWICE.date())] - found[(*key, ONCE.date())] for key in both]
    assert len(both) >= 10
    assert mean(rises) > 0.04
    assert mean(rise > 0 for rise in rises) > 0.8
