"""A budget that does not hold the whole cycle: what comes first, and that what is skipped is counted."""

from datetime import timedelta

import pytest

from ingest.collect import ladder, run, session
from ingest.collect.ladder import Known
from ingest.collect.outcome import Exhausted
from tests.collect import conformance as must
from tests.collect.stage import NOW, Kept, set_up

HOUR = timedelta(hours=1)
PLATFORM = "youtube"


def test_the_unseen_and_the_fresh_come_first_and_then_the_longest_unread():
    def one(age, unread):
        return Known("p", "a", NOW - age * HOUR, NOW - unread * HOUR)

    accounts = {
        "old, read lately": [one(800, 24)],
        "old, unread for long": [one(800, 200)],
        "fresh, read lately": [one(800, 1), one(20, 1)],
        "fresh, unread for longer": [one(20, 9)],
        "fresh, not due": [one(20, 0.5)],
        "never seen": [],
    }
    ordered = sorted(accounts, key=lambda name: ladder.urgency(accounts[name], NOW))
    assert ordered == [
        *("never seen", "fresh, unread for longer", "fresh, read lately"),
        *("old, unread for long", "old, read lately", "fresh, not due"),
    ]


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Six accounts, of which four were collected yesterday."""
    names = must.plain(PLATFORM, 6)
    stage = set_up(PLATFORM, names[:4], tmp_path, monkeypatch)
    stage.wire_before = stage.run("collect", "r1", NOW - timedelta(days=1)).events("accounts")
    stage.settings = set_up(PLATFORM, names, tmp_path, monkeypatch).settings
    monkeypatch.setattr(session, "Publisher", lambda _: Kept(stage))
    monkeypatch.setattr(run, "S3Store", lambda _: stage.store)
    return stage


def accounts_of(events):
    return {event.account_id for event in events}


def test_a_budget_that_is_short_reads_the_unseen_first_and_counts_what_it_skips(stage):
    kept = stage.remember()
    ample = stage.run("collect", "r2")
    seen = accounts_of(stage.wire_before)
    unseen = accounts_of(ample.events("accounts")) - seen
    assert len(unseen) == 2
    stage.store.objects = kept
    stage.settings = stage.settings.model_copy(update={"youtube_daily_units": 9})
    short = stage.run("collect", "r2")
    assert isinstance(short.failure, Exhausted)
    [notice] = short.events("notices")
    read = {post.post_id for post in short.events("posts")}
    assert unseen <= accounts_of(short.events("posts")) < accounts_of(ample.events("posts"))
    assert notice.skipped_posts == notice.expected_posts - len(read) > 0
    assert 0 < notice.skipped_accounts <= 4
    assert (notice.observed_accounts, notice.quota_units) == (6, 9)


def test_a_budget_that_holds_all_skips_nothing_and_reads_the_same_in_any_order(stage):
    kept = stage.remember()
    ample = stage.run("collect", "r2")
    assert (ample.notice.skipped_accounts, ample.notice.skipped_posts) == (0, 0)
    stage.store.objects = kept
    stage.settings = stage.settings.model_copy(update={"youtube_daily_units": ample.notice.quota_units + 1})
    tight = stage.run("collect", "r2")
    assert any("may not hold" in line for line in tight.said)
    assert tight.failure is None
    assert {event.event_id for event in tight.events("posts")} == {event.event_id for event in ample.events("posts")}
