"""Collecting from the sandbox: what reaches Kafka is the sandbox's truth, whatever happens on the way."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.collect import run
from ingest.collect.outcome import Exhausted, Refused, Throttled, Unavailable
from ingest.errors import Misconfigured
from ingest.events import moment

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_one_account_s_end_stops_no_other(everybody, watch, on_kafka):
    people = everybody("mastodon")[:2]
    settings = watch("mastodon", "nobody@meadow.example", people[0], "ann@no-such-server.example", people[1])
    batch = run.collect(settings, "mastodon", now=NOW, run_id="r1")
    states = {account.account_id: account.state for account in on_kafka("accounts")}
    assert states == {people[0]: "visible", people[1]: "visible", "nobody@meadow.example": "gone"}
    assert batch.unresolved == ["nobody@meadow.example", "ann@no-such-server.example"]


def test_an_account_that_two_lines_lead_to_is_read_once(everybody, watch, on_kafka, truth):
    handle = next(one for one in everybody("bluesky") if not one.startswith("did:"))
    [row] = [row for row in truth("accounts", platform="bluesky", at=NOW.isoformat()) if row["account"] == handle]
    batch = run.collect(watch("bluesky", handle, row["account_id"]), "bluesky", now=NOW, run_id="r1")
    posts = [post.post_id for post in on_kafka("posts")]
    assert (batch.unresolved, batch.observed_accounts) == (None, 1)
    assert len(posts) == len(set(posts)) > 0


def test_a_host_that_is_down_stops_only_its_own_accounts(everybody, watch, fault):
    people = everybody("mastodon")[:3]
    settings = watch("mastodon", *people)
    fault(platform="mastodon", endpoint="accounts/lookup", kind="bad_key", times=1)
    said = []
    batch = run.collect(settings, "mastodon", now=NOW, run_id="r1", progress=said.append)
    assert batch.accounts == 2
    assert (batch.unresolved, batch.skipped_accounts) == (None, 1)  # nobody knows whether it leads to anybody
    assert any("went on without" in line for line in said)


def test_an_account_gone_since_is_noticed_though_no_handle_leads_to_it(everybody, watch, on_kafka, truth):
    rows = truth("accounts", platform="bluesky", at=(NOW + timedelta(days=8)).isoformat())
    suspended = next(row for row in rows if row["suspended_since"] and not row["account"].startswith("did:"))
    settings = watch("bluesky", suspended["account"], everybody("bluesky")[0])
    before = moment(suspended["suspended_since"]) - timedelta(hours=2)
    run.collect(settings, "bluesky", now=before, run_id="r1")
    batch = run.collect(settings, "bluesky", now=before + 4 * HOUR, run_id="r2")
    assert batch.unresolved == [suspended["account"]]
    gone = [account for account in on_kafka("accounts") if account.state == "gone"]
    assert [account.account_id for account in gone] == [suspended["account_id"]]
    tombstones = [post for post in on_kafka("posts") if post.state == "gone"]
    assert {post.account_id for post in tombstones} <= {suspended["account_id"]}


def test_a_spent_day_publishes_what_was_read_and_says_when_it_begins_anew(everybody, watch, on_kafka):
    accounts = everybody("youtube")[:6]
    settings = watch("youtube", *accounts, youtube_daily_units=9)
    with pytest.raises(Exhausted) as failure:
        run.collect(settings, "youtube", now=NOW, run_id="r1")
    assert failure.value.retry_at == datetime(2026, 11, 13, 8, tzinfo=UTC)
    assert failure.value.exit_code == 1
    assert len(on_kafka("accounts")) == 6
    notice = on_kafka("notices")[0]
    assert (notice.quota_units, notice.quota_left) == (9, 0)
    run.collect(settings, "youtube", now=NOW + timedelta(days=1), run_id="r2", accounts=accounts[:1])


def test_the_platform_s_own_word_that_the_day_is_spent_ends_the_run(everybody, watch, fault, on_kafka):
    settings = watch("youtube", *everybody("youtube")[:3])
    fault(platform="youtube", endpoint="playlistItems", kind="quota", times=1)
    with pytest.raises(Exhausted) as failure:
        run.collect(settings, "youtube", now=NOW, run_id="r1")
    assert failure.value.retry_at == datetime(2026, 11, 13, 8, tzinfo=UTC)
    with pytest.raises(Exhausted, match="spent or reserved"):
        run.collect(settings, "youtube", now=NOW + HOUR, run_id="r2")
    assert len(on_kafka("accounts")) == 3


def test_a_wait_that_is_too_long_ends_the_task_and_says_until_when(everybody, watch, fault):
    settings = watch("bluesky", *everybody("bluesky")[:2])
    fault(platform="bluesky", kind="throttled", times=1)
    with pytest.raises(Throttled) as failure:
        run.collect(settings, "bluesky", now=NOW, run_id="r1")
    assert failure.value.retry_at > NOW + timedelta(minutes=4)


def test_a_platform_that_does_not_answer_is_given_up(everybody, watch, on_kafka):
    settings = watch("bluesky", *everybody("bluesky")[:2], sandbox_port=1)
    settings.__dict__.pop("sandbox", None)
    with pytest.raises(Unavailable, match="ConnectError"):
        run.collect(settings, "bluesky", now=NOW, run_id="r1")
    assert on_kafka("notices")[0].outcomes == ["unavailable:5"]


def test_without_a_key_the_real_platform_is_not_asked(everybody, watch):
    settings = watch("youtube", *everybody("youtube")[:1], source="live", youtube_api_key="")
    settings = settings.model_copy(update={"youtube_api_key": type(settings.member_key)("")})
    with pytest.raises(Refused, match="ASSAY_YOUTUBE_API_KEY"):
        run.collect(settings, "youtube", now=NOW, run_id="r1")


def test_an_account_that_is_not_watched_is_named_with_its_neighbours(watch):
    settings = watch("bluesky", "maraholloway.bsky.example", "tobindorn.bsky.example")
    with pytest.raises(Misconfigured, match=r"maraholoway.*Near: maraholloway\.bsky\.example"):
        run.collect(settings, "bluesky", now=NOW, run_id="r1", accounts=["maraholoway.bsky.example"])


def test_a_platform_without_accounts_has_nothing_to_do(watch, on_kafka):
    said = []
    batch = run.collect(watch("youtube", "@ann"), "bluesky", now=NOW, run_id="r1", progress=said.append)
    assert batch.expected_accounts == 0
    assert "nothing to do" in said[0]
    assert on_kafka("notices") == []
