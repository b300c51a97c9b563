"""Collecting from the sandbox: what reaches Kafka is the sandbox's truth, whatever happens on the way."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.collect import known, run
from ingest.collect.outcome import Exhausted, Refused, Throttled, Unavailable
from ingest.errors import Misconfigured
from ingest.events import moment
from ingest.land.store import S3Store

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNTERS = ("views", "likes", "comments", "shares", "saves", "quotes")
CALLS = {"youtube": "videos", "bluesky": "getAuthorFeed", "mastodon": "accounts/:id/statuses"}


def close(event, before, after, name):
    """Whether a counter read between two moments is what it was true at one of them, or between."""
    value, bounds = getattr(event, name), [before[name], after[name]]
    if value is None:
        return (
            bounds[0] is None
            or any(why.startswith(name) for why in event.unavailable or ())
            or name in {"shares", "saves", "quotes"}
        )
    return min(bounds) <= value <= max(bounds)


@pytest.mark.parametrize("platform", ["youtube", "bluesky", "mastodon"])
def test_a_full_collect_is_the_sandbox_s_truth(everybody, watch, on_kafka, truth, platform):
    accounts = everybody(platform)[:7]
    settings = watch(platform, *accounts)
    batch = run.collect(settings, platform, now=NOW, run_id="r1")
    posts, profiles, notices = on_kafka("posts"), on_kafka("accounts"), on_kafka("notices")
    assert notices == [batch]
    assert (batch.posts, batch.accounts, batch.expected_accounts) == (len(posts), len(profiles), len(accounts))
    true = {
        row["account_id"]: row
        for row in truth("accounts", platform=platform, at=NOW.isoformat())
        if row["account"] in accounts
    }
    away = {row["account"] for row in true.values() if row["suspended"] or row["deleted"]}
    assert {profile.account_id for profile in profiles if profile.state == "visible"} == {
        account_id for account_id, row in true.items() if row["account"] not in away
    }
    for profile in profiles:
        if profile.followers is not None:
            follow = true[profile.account_id]["followers"]
            assert abs(profile.followers - follow) <= (profile.followers_resolution or 1) + 2
    for account_id, row in true.items():
        own = {post.post_id: post for post in posts if post.account_id == account_id and post.state == "visible"}
        times = sorted(moment(post.observed_at) for post in own.values()) or [NOW]
        asked = {"platform": platform, "account_id": account_id}
        before = {p["post_id"]: p for p in truth("posts", **asked, at=(times[0] - timedelta(seconds=30)).isoformat())}
        after = {p["post_id"]: p for p in truth("posts", **asked, at=(times[-1] + timedelta(seconds=1)).isoformat())}
        span = (NOW - timedelta(days=90) + HOUR, NOW - HOUR)
        up = {
            post_id
            for post_id, post in before.items()
            if post["state"] == "visible" and span[0] < moment(post["published_at"]) < span[1]
        }
        up = set() if row["account"] in away else up
        omitted = {post.post_id for post in posts if post.state == "gone"} & up  # rows that the sandbox leaves out
        within = {post_id for post_id, post in own.items() if span[0] < moment(post.published_at) < span[1]}
        assert within == up - omitted
        assert len(omitted) <= 1 + len(up) / 20
        for post_id in own.keys() & before.keys() & after.keys():
            wrong = [name for name in COUNTERS if not close(own[post_id], before[post_id], after[post_id], name)]
            assert wrong == [], own[post_id]


def test_a_retried_run_publishes_the_same_ids(everybody, watch, on_kafka):
    settings = watch("youtube", *everybody("youtube")[:3])
    run.collect(settings, "youtube", now=NOW, run_id="r1")
    first = sorted(event.event_id for event in on_kafka("posts"))
    S3Store(settings).delete("state/known_posts/youtube.parquet")  # as if the run had died before its end
    run.collect(settings, "youtube", now=NOW, run_id="r1")
    both = sorted(event.event_id for event in on_kafka("posts"))
    assert both == sorted(first * 2)
    assert len({notice.event_id for notice in on_kafka("notices")}) == 1


@pytest.mark.parametrize("platform", ["youtube", "bluesky", "mastodon"])
def test_an_hourly_run_reads_what_is_due_and_a_deleted_post_becomes_a_tombstone(
    everybody, watch, on_kafka, truth, platform
):
    settings = watch(platform, *everybody(platform)[: 14 if platform == "youtube" else 5])
    run.collect(settings, platform, now=NOW, run_id="r1")
    first = {post.post_id: post for post in on_kafka("posts")}
    batch = run.collect(settings, platform, now=NOW + HOUR, run_id="r2")
    again = [post for post in on_kafka("posts") if post.run_id == "r2"]
    assert batch.expected_posts == len(again) < len(first) / 4
    for post in again:
        if post.post_id in first and first[post.post_id].published_at:
            assert NOW - moment(first[post.post_id].published_at) < timedelta(days=1)
    later = NOW + timedelta(days=7)
    run.collect(settings, platform, now=later, run_id="r3")
    third = [post for post in on_kafka("posts") if post.run_id == "r3"]
    gone, there = ({post.post_id for post in third if (post.state == "gone") is is_gone} for is_gone in (True, False))
    deleted = set()
    for account_id in {post.account_id for post in first.values()}:
        rows = truth("posts", platform=platform, account_id=account_id, at=later.isoformat())
        deleted |= {row["post_id"] for row in rows if row["state"] == "gone" and row["post_id"] in first}
    assert deleted
    assert gone >= deleted
    assert not there & deleted
    assert len(gone - deleted) <= len(third) / 20  # rows that the sandbox omits by accident
    assert all(post.account_id and post.views is None for post in third if post.state == "gone")
    seen = known.read(S3Store(settings), platform)
    assert {
        post.post_id for account in seen.accounts for post in seen.of(account)
    } >= gone  # due again, until facts say gone


@pytest.mark.parametrize("platform", ["youtube", "bluesky", "mastodon"])
@pytest.mark.parametrize("kind", ["throttled", "server_error", "unavailable", "reset"])
def test_transient_faults_are_waited_out_and_cost_nothing(everybody, watch, on_kafka, fault, platform, kind):
    settings = watch(platform, *everybody(platform)[:2])
    at = NOW.replace(minute=4, second=57)  # a little before the sandbox's rate windows end
    clean = run.collect(settings, platform, now=at, run_id="clean", accounts=None)
    S3Store(settings).delete(f"state/known_posts/{platform}.parquet")
    fault(platform=platform, kind=kind, times=1)
    batch = run.collect(settings, platform, now=at, run_id="rough")
    assert (batch.posts, batch.accounts, batch.dead_letters) == (clean.posts, clean.accounts, 0)
    assert batch.outcomes is not None
    assert any(outcome in {"throttled:1", "unavailable:1"} for outcome in batch.outcomes)


@pytest.mark.parametrize("kind", ["truncated", "html", "empty"])
@pytest.mark.parametrize("platform", ["youtube", "bluesky", "mastodon"])
def test_an_answer_that_nobody_can_read_is_a_dead_letter_and_no_tombstone(
    everybody, watch, on_kafka, fault, platform, kind
):
    settings = watch(platform, *everybody(platform)[:2])
    fault(platform=platform, endpoint=CALLS[platform], kind=kind, times=1)
    batch = run.collect(settings, platform, now=NOW, run_id="r1")
    letters = on_kafka("dead_letters")
    assert batch.dead_letters == len(letters) == 1
    assert letters[0].reason in {"no_json", "html", "empty"}
    assert letters[0].body_sha256
    posts = on_kafka("posts")
    assert posts
    assert sum(post.state == "gone" for post in posts) <= len(posts) / 20  # rows that the sandbox omits by accident


def test_one_account_s_end_stops_no_other(everybody, watch, on_kafka):
    people = everybody("mastodon")[:2]
    settings = watch("mastodon", "nobody@meadow.example", people[0], "ann@no-such-server.example", people[1])
    batch = run.collect(settings, "mastodon", now=NOW, run_id="r1")
    states = {account.account_id: account.state for account in on_kafka("accounts")}
    assert states == {people[0]: "visible", people[1]: "visible", "nobody@meadow.example": "gone"}
    assert batch.unresolved == ["nobody@meadow.example", "ann@no-such-server.example"]


def test_a_host_that_is_down_stops_only_its_own_accounts(everybody, watch, fault):
    people = everybody("mastodon")[:3]
    settings = watch("mastodon", *people)
    fault(platform="mastodon", endpoint="accounts/lookup", kind="bad_key", times=1)
    said = []
    batch = run.collect(settings, "mastodon", now=NOW, run_id="r1", progress=said.append)
    assert batch.accounts == 2
    assert len(batch.unresolved or []) == 1
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


def test_the_ledger_equals_the_sandbox_s_own_count(everybody, watch, truth):
    settings = watch("youtube", *everybody("youtube")[:4])
    units = lambda: sum(row["units"] for row in truth("requests")["units"] if row["platform"] == "youtube")  # noqa: E731
    before = units()
    batch = run.collect(settings, "youtube", now=NOW, run_id="r1")
    sampled = run.sample(settings, "youtube", now=NOW, run_id="s1")
    assert units() - before == batch.quota_units + sampled.quota_units
    assert sampled.quota_left == settings.youtube_daily_units - batch.quota_units - sampled.quota_units


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
