"""What is Twitch's alone, against the sandbox: streams, owners' grants, tokens of the app."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from pydantic import SecretStr

from infra.sandbox import posts
from ingest.collect.grants import Grants
from ingest.collect.known import object_key, read
from ingest.collect.outcome import Refused
from ingest.collect.platforms import twitch
from ingest.errors import Misconfigured
from tests.collect.owners import grant
from tests.collect.stage import NOW, Stage, accounts, sandbox, set_up


def rows(*flags: str) -> list[dict]:
    """The watched channels that have these flags, none without any."""
    return [row for row in accounts("twitch") if set(flags) <= set(row["flags"]) and (flags or not row["flags"])]


def asked(endpoint: str) -> int:
    """How often a call was made."""
    counted = sandbox().truth.requests.items()
    return sum(times for (platform, name, _), times in counted if (platform, name) == ("twitch", endpoint))


@pytest.fixture
def channel() -> dict:
    return rows()[0]


@pytest.fixture
def stage(channel, tmp_path, monkeypatch) -> Stage:
    return set_up("twitch", [channel["account"]], tmp_path, monkeypatch)


def on_air(channel: dict) -> datetime:
    """A moment at which the channel streams, after NOW."""
    world = sandbox().world
    account = world.by_account_id["twitch", channel["account_id"]]
    archive = next(post for post in posts.after(account, NOW.timestamp(), 2e9, world.fakes) if post.format == "archive")
    return datetime.fromtimestamp(archive.published_at + archive.duration / 2, UTC)


def test_a_stream_is_a_post_with_viewers_and_is_never_looked_up_again(stage, channel):
    live = on_air(channel)
    first = stage.run("collect", "r1", live)
    [stream] = [post for post in first.events("posts") if post.format == "live"]
    assert (stream.account_id, stream.views, stream.state) == (channel["account_id"], None, "visible")
    assert stream.viewers > 0
    archive = next(post for post in first.events("posts") if stream.post_id in post.raw and post.format == "video")
    assert archive.post_id != stream.post_id
    assert 0 < archive.duration_seconds < 12 * 3600
    assert first.notice.expected_posts == first.notice.posts
    known = {post.post_id for post in read(stage.store, "twitch").of(channel["account_id"])}
    assert archive.post_id in known
    assert stream.post_id not in known
    later = stage.run("collect", "r2", live + timedelta(days=3))
    assert stream.post_id not in {post.post_id for post in later.events("posts")}
    assert object_key("twitch") in stage.store.objects


def test_one_run_tells_profile_total_language_and_category(stage, channel):
    seen = stage.run("collect", "r1").events("accounts")
    assert {event.endpoint for event in seen} == {"users", "channels", "channels/followers"}
    told = {name: value for event in seen for name, value in msgspec.to_builtins(event).items()}
    assert told["followers"] == channel["followers"]
    assert {"handle", "created_at", "language", "category", "is_verified"} <= told.keys()
    assert {event.authorisation for event in seen} == {"app"}


def test_followers_come_by_the_owner_s_consent_alone(stage, channel):
    sampled = stage.run("sample", "s1").events("followers")
    assert len(sampled) == 110
    assert {(event.authorisation, event.consent_id) for event in sampled} == {
        ("consent", f"consent of {channel['account_id']}")
    }
    assert all(event.followed_at and event.handle_length for event in sampled)
    assert sum(event.created_at is not None for event in sampled) > 100  # a few have closed their accounts since
    assert all(event.followers is None for event in sampled)


def test_without_a_grant_no_followers_are_asked_for(stage, channel):
    Grants(stage.settings).put(grant("twitch", channel["account_id"]).ended("withdrawn", NOW))
    ran = stage.run("sample", "s1")
    assert (ran.failure, ran.events("followers")) == (None, [])
    assert asked("channels/followers") == 1  # the total


def test_a_consent_withdrawn_at_twitch_ends_the_grant_and_nothing_else(stage, channel):
    old = msgspec.structs.replace(grant("twitch", channel["account_id"]), expires_at=NOW - timedelta(hours=1))
    Grants(stage.settings).put(old)
    oauth = sandbox().surfaces["twitch"].oauth
    oauth.withdraw(channel["account_id"])
    try:
        ran = stage.run("sample", "s1")
    finally:
        oauth._revoked.clear()
    assert (ran.failure, ran.events("followers")) == (None, [])
    assert Grants(stage.settings).get("twitch", channel["account_id"]).state == "withdrawn"
    assert ran.events("accounts")


def test_another_channel_s_grant_lists_nobody(stage, channel):
    other = rows("branded")[0]
    swapped = msgspec.structs.replace(grant("twitch", other["account_id"]), account_id=channel["account_id"])
    Grants(stage.settings).put(swapped)
    ran = stage.run("sample", "s1")
    assert (ran.failure, ran.events("followers")) == (None, [])


def test_an_old_token_of_the_app_is_minted_anew(stage):
    stage.fault(kind="bad_key", endpoint="videos", times=1)
    assert stage.run("collect", "r1").failure is None
    minted = [
        name for platform, name, _ in sandbox().truth.requests.elements() if (platform, name) == ("twitch", "token")
    ]
    assert len(minted) == 2


@pytest.mark.parametrize("changes", [{"twitch_client_id": "another"}, {"twitch_client_secret": SecretStr("wrong")}])
def test_the_wrong_id_or_secret_of_the_app_is_refused_by_name(stage, changes):
    stage.settings = stage.settings.model_copy(update=changes)
    failure = stage.run("collect", "r1").failure
    assert isinstance(failure, Refused)
    assert "ASSAY_TWITCH_CLIENT_ID" in str(failure)
    assert "wrong" not in str(failure)


@pytest.mark.parametrize("flag", ["banned", "renamed"])
def test_a_channel_that_its_line_does_not_lead_to_is_named_unresolved(flag, tmp_path, monkeypatch, channel):
    [row] = rows(flag)
    stage = set_up("twitch", [row["account"], channel["account"]], tmp_path, monkeypatch)
    ran = stage.run("collect", "r1")
    assert ran.notice.unresolved == [row["account"]]
    assert {event.account_id for event in ran.events("accounts")} == {channel["account_id"]}


def test_an_empty_channel_has_a_profile_and_no_posts(tmp_path, monkeypatch):
    [row] = rows("empty")
    ran = set_up("twitch", [row["account"]], tmp_path, monkeypatch).run("collect", "r1")
    assert (ran.failure, ran.events("posts")) == (None, [])
    assert row["account_id"] in {event.account_id for event in ran.events("accounts")}


@pytest.mark.parametrize(
    ("written", "name"),
    [("@Ann_Plays", "ann_plays"), ("9007199254740993", "9007199254740993"), ("änn", None), ("a.b", None), ("", None),
     ("a" * 26, None), ("ann\x00", None), ("ann/../x", None)],
)  # fmt: skip
def test_names_of_the_watch_list(written, name):
    assert twitch.normalise(written) == name


def test_a_name_that_twitch_would_refuse_is_named_before_anything_is_asked(tmp_path, monkeypatch, channel):
    stage = set_up("twitch", ["änn.b", channel["account"]], tmp_path, monkeypatch)
    with pytest.raises(Misconfigured, match=r"änn\.b"):
        stage.run("collect", "r1")


def test_calls_hold_a_hundred_ids_each():
    calls = twitch.resolve([str(number) for number in range(250)] + ["ann"])
    assert [len(call.listed("id")) for call in calls] == [100, 100, 50, 0]
    assert calls[-1].listed("login") == ["ann"]
    assert [len(call.listed("id")) for call in twitch.lookup([str(number) for number in range(101)])] == [100, 1]
