"""What is YouTube's own: subscribers by an owner's grant, and counters out of a budget of their own."""

from datetime import timedelta

import pytest

from ingest.collect import cycle, session
from ingest.collect.grants import Grants
from ingest.events import moment
from tests.collect import conformance as must
from tests.collect.owners import grant
from tests.collect.stage import NOW, accounts, sandbox, set_up

WATCHED = must.plain("youtube", 2)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    return set_up("youtube", WATCHED, tmp_path, monkeypatch)


def by_relation(ran, account_id):
    members = [member for member in ran.events("followers") if member.account_id == account_id]
    return {kind: [one for one in members if one.relation == kind] for kind in ("commenter", "follower")}


def test_a_granted_channel_has_a_sample_of_subscribers_beside_that_of_commenters(stage):
    [granted] = (one.account_id for one in Grants(stage.settings).all())
    [other] = {row["account_id"] for row in accounts("youtube") if row["account"] in WATCHED} - {granted}
    ran = stage.run("sample", "s1")
    mine, theirs = by_relation(ran, granted), by_relation(ran, other)
    assert mine["commenter"]
    assert theirs["commenter"]
    assert theirs["follower"] == []
    followers = mine["follower"]
    assert len(followers) == stage.settings.audience_sample_size == len({one.member_id for one in followers})
    assert {(one.authorisation, one.consent_id, one.sample) for one in followers} == {
        ("consent", f"consent of {granted}", "newest")
    }
    assert [one.position for one in followers] == list(range(1, len(followers) + 1))
    joined = [one.followed_at for one in followers]
    assert joined == sorted(joined, reverse=True)
    assert sum(one.followers is not None and one.created_at is not None for one in followers) > 0.8 * len(followers)


def test_a_grant_without_the_scope_costs_the_subscribers_alone(stage):
    for one in Grants(stage.settings).all():
        Grants(stage.settings).put(
            grant("youtube", one.account_id, ("https://www.googleapis.com/auth/yt-analytics.readonly",))
        )
    ran = stage.run("sample", "s1", NOW + timedelta(minutes=1))
    assert ran.failure is None
    assert {member.relation for member in ran.events("followers")} == {"commenter"}


def read_by(ran, endpoint):
    return {post.post_id: post for post in ran.events("posts") if post.endpoint == endpoint and post.state == "visible"}


def test_known_videos_past_their_first_day_are_counted_out_of_the_other_budget(stage):
    first = stage.run("collect", "r1")
    stage.forget()
    ran = stage.run("collect", "r2", NOW + timedelta(days=1, hours=1))
    counted, whole = read_by(ran, "videos:batchGetStats"), read_by(ran, "videos")
    assert counted.keys() < first.visible
    assert counted
    assert whole.keys().isdisjoint(counted)
    assert ran.notice.quota_units == stage.units()
    at = NOW + timedelta(days=1, hours=1)
    for row in (row for row in accounts("youtube") if row["account"] in WATCHED):
        asked = {"platform": "youtube", "account_id": row["account_id"]}
        for post in (post for post in counted.values() if post.account_id == row["account_id"]):
            must.counters_are_the_truth(post, asked)
            assert post.title is None, "left to the whole readings"
            assert post.format == ("video" if post.duration_seconds > 180 else None), "nothing tells a short"
            assert at - timedelta(days=90) < moment(post.published_at) <= at - timedelta(days=1)


def test_when_the_budget_of_counters_is_spent_videos_are_read_whole(stage):
    stage.run("collect", "r1")
    before = stage.remember()
    late = NOW + timedelta(days=1, hours=1)
    clean = stage.run("collect", "r2", late)
    stage.store.objects = before
    stage.fault(kind="quota", endpoint="videos:batchGetStats", times=100)
    ran = stage.run("collect", "r3", late)
    assert ran.failure is None
    assert read_by(ran, "videos:batchGetStats") == {}
    assert read_by(ran, "videos").keys() >= read_by(clean, "videos:batchGetStats").keys() > set()
    assert ran.notice.quota_units > clean.notice.quota_units


def test_a_budget_of_counters_that_is_spent_is_not_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cycle, "CHUNK", 1)  # a call for each account
    monkeypatch.setattr(session, "WORKERS", 2)
    stage = set_up("youtube", must.plain("youtube", 8), tmp_path, monkeypatch)
    stage.run("collect", "r1")
    stage.forget()
    stage.fault(kind="quota", endpoint="videos:batchGetStats", times=100)
    late = stage.run("collect", "r2", NOW + timedelta(days=1, hours=1))
    assert late.failure is None
    asked = {name: count for (_, name, _), count in sandbox().truth.requests.items()}
    assert asked["videos:batchGetStats"] <= 2 < asked["videos"]


def test_a_video_deleted_between_its_listing_and_its_reading_is_a_tombstone(tmp_path, monkeypatch):
    losing = must.losing("youtube", 12)
    stage = set_up("youtube", losing, tmp_path, monkeypatch)
    mine = {row["account_id"] for row in accounts("youtube") if row["account"] in losing}
    since = (NOW - timedelta(days=60)).timestamp()
    found = must.world_posts("youtube").items()
    lasting = {
        name: post.deleted_at
        for name, post in found
        if post.account.account_id in mine and since < post.published_at < post.deleted_at - 7200
    }
    video, deleted = min(lasting.items(), key=lambda pair: abs(pair[1] - NOW.timestamp()))
    late = NOW + timedelta(seconds=deleted + 60 - NOW.timestamp())
    stage.fault(kind="shifted", endpoint="playlistItems", seconds=-120, times=1000)
    ran = stage.run("collect", "r1", late)
    assert ran.failure is None
    assert video in {post.post_id for post in ran.events("posts") if post.state == "gone"}
    must.no_false_tombstones(ran, "youtube", video)
    assert len(ran.visible) > 20
