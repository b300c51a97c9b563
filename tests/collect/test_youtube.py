"""What is YouTube's own: subscribers by an owner's grant."""

from datetime import timedelta

import pytest

from ingest.collect.grants import Grants
from tests.collect import conformance as must
from tests.collect.stage import NOW, set_up
from tests.collect.stage_youtube import grant

WATCHED = must.plain("youtube", 2)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    return set_up("youtube", WATCHED, tmp_path, monkeypatch)


def by_relation(ran, account_id):
    members = [member for member in ran.events("followers") if member.account_id == account_id]
    return {kind: [one for one in members if one.relation == kind] for kind in ("commenter", "follower")}


def test_a_granted_channel_has_a_sample_of_subscribers_beside_that_of_commenters(stage):
    kept, ended = Grants(stage.settings).all()
    Grants(stage.settings).put(ended.ended("withdrawn", NOW))
    granted, other = kept.account_id, ended.account_id
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
        Grants(stage.settings).put(grant(one.account_id, ("https://www.googleapis.com/auth/yt-analytics.readonly",)))
    ran = stage.run("sample", "s1", NOW + timedelta(minutes=1))
    assert ran.failure is None
    assert {member.relation for member in ran.events("followers")} == {"commenter"}
