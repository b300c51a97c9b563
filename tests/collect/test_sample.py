"""Audience samples: features of real members, and never who they are."""

import json
import urllib.request
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from ingest.collect import run
from ingest.collect.members import MemberKey, configured, required
from ingest.errors import Misconfigured
from ingest.settings import load

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)


def asked(settings, host, path, **params):
    """The sandbox's own answer to a call."""
    headers = {"Host": host, "X-Sandbox-Now": NOW.isoformat(), "X-Goog-Api-Key": "sandbox"}
    url = f"{settings.sandbox}{path}?{urlencode(params)}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


@pytest.mark.stack
def test_bluesky_followers_are_sampled_with_their_profiles_counts(everybody, watch, on_kafka, truth):
    account = everybody("bluesky")[0]
    settings = watch("bluesky", account, audience_sample_size=150)
    batch = run.sample(settings, "bluesky", now=NOW, run_id="s1")
    members = on_kafka("followers")
    assert batch.followers == len(members) == 150
    listed = asked(settings, "public.api.bsky.app", "/xrpc/app.bsky.graph.getFollowers", actor=account, limit=100)
    dids = [follower["did"] for follower in listed["followers"]]
    key = MemberKey(settings.member_key.get_secret_value().encode())
    by_position = {member.position: member for member in members}
    assert sorted(by_position) == list(range(1, 151))
    assert [by_position[n].member_id for n in range(1, len(dids) + 1)] == [key.digest("bluesky", did) for did in dids]
    assert {member.member_key_id for member in members} == {key.key_id}
    assert {(member.relation, member.sample) for member in members} == {("follower", "newest")}
    profile = asked(settings, "public.api.bsky.app", "/xrpc/app.bsky.actor.getProfiles", actors=dids[0])["profiles"][0]
    first = by_position[1]
    assert (first.followers, first.following, first.posts) == (
        profile["followersCount"], profile["followsCount"], profile["postsCount"]
    )  # fmt: skip
    assert first.handle_length == len(profile["handle"])
    assert first.has_picture == ("avatar" in profile)
    known = sum(member.followers is not None for member in members)
    assert 0.9 * len(members) < known  # some have closed their account since


@pytest.mark.stack
def test_a_list_read_to_its_end_is_complete_and_one_cut_short_is_not(everybody, watch, on_kafka, truth):
    rows = {row["account"]: row for row in truth("accounts", platform="mastodon", at=NOW.isoformat())}
    small = min(
        (a for a in everybody("mastodon") if "hides_network" not in rows[a]["flags"]),
        key=lambda a: rows[a]["followers"],
    )
    run.sample(watch("mastodon", small, audience_sample_size=100_000), "mastodon", now=NOW, run_id="s1")
    members = on_kafka("followers")
    assert len(members) >= 0.9 * rows[small]["followers"]
    assert {member.sample for member in members} == {"complete"}
    assert len({member.member_id for member in members}) == len(members)
    run.sample(watch("mastodon", small, audience_sample_size=50), "mastodon", now=NOW, run_id="s2")
    short = [member for member in on_kafka("followers") if member.run_id == "s2"]
    assert len(short) == 50
    assert {member.sample for member in short} == {"newest"}


@pytest.mark.stack
def test_a_hidden_network_gives_no_members(watch, on_kafka, truth):
    rows = truth("accounts", platform="mastodon", at=NOW.isoformat())
    hidden = next(row["account"] for row in rows if "hides_network" in row["flags"])
    batch = run.sample(watch("mastodon", hidden), "mastodon", now=NOW, run_id="s1")
    assert (batch.followers, batch.accounts) == (0, 1)


@pytest.mark.stack
def test_youtube_commenters_come_from_several_videos_each_once_with_their_channels(everybody, watch, on_kafka):
    account = everybody("youtube")[0]
    settings = watch("youtube", account, audience_sample_size=120)
    run.sample(settings, "youtube", now=NOW, run_id="s1")
    members = on_kafka("followers")
    assert 20 < len(members) <= 120
    assert len({member.member_id for member in members}) == len(members)
    assert len({member.post_id for member in members}) > 3
    assert {member.relation for member in members} == {"commenter"}
    assert all(member.comment_key and member.commented_at and member.comment_length is not None for member in members)
    assert sum(member.created_at is not None for member in members) > 0.9 * len(members)


@pytest.mark.stack
def test_without_a_member_key_nothing_is_sampled(watch, everybody):
    settings = watch("bluesky", everybody("bluesky")[0], member_key=SecretStr(""))
    with pytest.raises(Misconfigured, match="make up"):
        run.sample(settings, "bluesky", now=NOW, run_id="s1")


def test_the_key_comes_from_the_settings_else_from_its_file(tmp_path):
    settings = load(_env_file=None, var_dir=tmp_path)
    assert configured(settings) is None
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "member_key").write_text("a secret of this machine\n")
    from_file = required(settings)
    from_settings = required(load(_env_file=None, var_dir=tmp_path, member_key="a secret of this machine"))
    assert from_file.key_id == from_settings.key_id
    assert from_file.digest("x", "1") == from_settings.digest("x", "1")
    assert "secret" not in repr(from_file)
    (tmp_path / "secrets" / "member_key").write_text("short")
    with pytest.raises(Misconfigured, match="too short"):
        required(settings)


def test_members_under_different_keys_never_join():
    one, other = MemberKey(b"one key of some length"), MemberKey(b"another key of a length")
    assert one.key_id != other.key_id
    assert one.digest("bluesky", "did:plc:a") != other.digest("bluesky", "did:plc:a")
    assert one.digest("bluesky", "did:plc:a") != one.digest("mastodon", "did:plc:a")
