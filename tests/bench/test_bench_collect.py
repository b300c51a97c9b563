"""The collectors' bench in short: every event is there once and no limit is broken. Timings decide nothing here."""

import socket
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.collect.ladder import is_due
from ingest.collect.platform import Pace
from ingest.settings import Settings
from tests.bench import collect
from tests.bench.collect import Chosen
from tests.bench.collect_report import ideal
from tests.bench.collect_world import HOUR, last_seen
from tests.bench.collecting import Way

SMALL = {"mastodon": Chosen(60, 60)}


def own_port(settings: Settings) -> Settings:
    """The same with a port for a sandbox of our own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return settings.model_copy(update={"sandbox_port": free.getsockname()[1]})


@pytest.mark.stack
def test_a_cycle_publishes_what_is_due_of_every_account_once_without_a_breach(settings: Settings) -> None:
    (found,) = collect.cycles(own_port(settings), SMALL)
    assert not found.wrong
    assert found.breaches == 0
    assert (found.counted.notice.accounts, found.again.notice.accounts) == (60, 60)
    assert found.events >= 60 + 2 * 60  # an account has more than two posts that are due
    assert found.served == found.counted.sent
    assert found.again.sent < found.counted.sent / 4  # the second pass reads answers, all but batches made otherwise


@pytest.mark.stack
def test_what_is_missing_and_what_is_too_much_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = collect.Cycles({"mastodon": 3}, collect.NOW)
    own = own_port(settings).model_copy(update={"watchlist_path": settings.var_dir / "bench.csv"})
    work = worlds.prepare(own, "mastodon")
    assert [fault.partition(",")[0] for fault in collect.wrong(own, worlds, work, "mastodon")] == [
        "3 accounts are missing",
        f"{len(work.posts)} posts are missing",
    ]


def test_the_ideal_is_that_of_the_slowest_limit() -> None:
    sliding = Pace(calls=600, seconds=60, at_once=8, kind="sliding", per_endpoint=True)
    ways = [Way("a", "one", calls=400), Way("a", "two", calls=100), Way("b", "one", calls=200)]
    by_rate = ideal(ways, sliding, 4, 0.08)
    assert (by_rate.seconds, by_rate.limit) == (10.0, "rate")  # 400 calls at 40 a second
    shared = ideal(ways, replace(sliding, per_endpoint=False), 4, 0.08)
    assert shared.seconds == 12.5  # 500 calls to the host
    by_latency = ideal(ways, replace(sliding, at_once=1), 4, 0.08)
    assert (by_latency.seconds, by_latency.limit) == (32.0, "latency")


def test_a_window_may_be_used_up_as_soon_as_it_begins() -> None:
    pace = Pace(calls=300, seconds=300, at_once=4, kind="window")
    assert ideal([Way("a", "one", calls=300)], pace, 20, 0.08).limit == "latency"
    third = ideal([Way("a", "one", calls=650, limit=300)], pace, 20, 0.08)
    assert (third.seconds, third.limit) == (31.0, "rate")  # two windows of 15 s, and 50 calls at 50 a second
    assert ideal([Way("a", "one", calls=650, limit=200)], pace, 20, 0.08).seconds == 46.0  # headers know better


def test_known_posts_were_last_read_within_their_step_and_a_share_of_them_is_due() -> None:
    for age, share in ((timedelta(hours=5), 1.0), (timedelta(days=3), 1 / 6), (timedelta(days=20), 1 / 24)):
        published = collect.NOW - age
        seen = [last_seen(published, draw, collect.NOW) for draw in range(2_000)]
        assert all(published <= one <= collect.NOW - HOUR for one in seen)
        found = sum(is_due(published, one, collect.NOW) for one in seen)
        assert found / len(seen) == pytest.approx(share, abs=0.03)
