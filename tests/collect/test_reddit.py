"""What is Reddit's alone: names and ids, the agent, the pace, what a batch's 404 says, oddities of accounts."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from ingest import __version__, watchlist
from ingest.collect import oauth
from ingest.collect.outcome import Answer, Refused
from ingest.collect.platform import Account
from ingest.collect.platforms import reddit
from ingest.settings import load
from tests.collect.stage import NOW, set_up, truth


def row(flag: str | None = None) -> dict:
    """An account with this flag; without any for None."""
    everyone = truth("accounts", NOW, platform="reddit", all="1")
    return next(one for one in everyone if (flag in one["flags"] if flag else not one["flags"]))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("u/Ann_Bakes", "ann_bakes"),
        ("/user/ann-bakes/", "ann-bakes"),
        ("@ann_bakes", "ann_bakes"),
        ("t2_annann1", "t2_annann1"),
        ("u/ann bakes", None),
        ("u/änn", None),
        ("r/bread", None),
    ],
)
def test_a_watch_list_may_write_names_in_several_ways(written, name):
    assert reddit.normalise(written) == name


def test_an_account_known_by_id_gets_its_followers_by_a_call_more():
    by_id, by_name = (Account("t2_a", frozenset(names), reddit.BASE, "Ann") for names in ({"t2_a"}, {"t2_a", "ann"}))
    assert [call.path for call in reddit.details([by_id, by_name])] == ["/user/Ann/about"]


def test_a_watched_id_is_collected_with_its_followers(tmp_path, monkeypatch):
    one = row()
    ran = set_up("reddit", [one["account_id"]], tmp_path, monkeypatch).run("collect", "r1")
    told = {event.followers for event in ran.events("accounts") if event.account_id == one["account_id"]}
    assert told == {None, one["followers"]}
    assert ran.visible


def test_calls_and_mints_name_us_and_mints_send_the_secret_by_basic():
    settings = load(_env_file=None, contact="/u/somebody", reddit_client_secret=SecretStr("s"))
    agent = f"python:assay:{__version__} (by /u/somebody)"
    app = reddit.PLATFORM.app
    assert app.headers(settings, "token") == {"Authorization": "Bearer token", "User-Agent": agent}
    asked = oauth.mint(app, settings)
    assert asked.headers["User-Agent"] == agent
    assert asked.headers["Authorization"].startswith("Basic ")
    assert asked.body == b"grant_type=client_credentials"


@pytest.mark.parametrize(("left", "calls"), [("598.0", 598), ("0", 0), ("0.4", 0)])
def test_the_headers_say_how_many_calls_are_left_and_for_how_many_seconds(left, calls):
    headers = {"x-ratelimit-remaining": left, "x-ratelimit-reset": "244", "date": "Wed, 02 Sep 2026 12:00:00 GMT"}
    told = reddit.rate(Answer(200, headers, b""))
    assert (told.left, told.reset) == (calls, datetime(2026, 9, 2, 12, 4, 5, tzinfo=UTC))
    assert reddit.rate(Answer(200, headers | {"date": "soon"}, b"")).reset is None
    assert reddit.rate(Answer(200, {}, b"")) is None


def test_without_the_app_or_with_a_wrong_secret_nothing_is_read_and_the_next_step_is_said(tmp_path, monkeypatch):
    stage = set_up("reddit", [row()["account"]], tmp_path, monkeypatch)
    stage.settings = stage.settings.model_copy(update={"reddit_client_secret": SecretStr("wrong")})
    ran = stage.run("collect", "r1")
    assert isinstance(ran.failure, Refused)
    assert "ASSAY_REDDIT_CLIENT_ID" in str(ran.failure)
    assert "wrong" not in str(ran.failure)


@pytest.mark.parametrize("flag", ["suspended", "deleted", "shadow_banned"])
def test_accounts_that_are_away_are_unresolved(tmp_path, monkeypatch, flag):
    away = row(flag)
    ran = set_up("reddit", [away["account"], row()["account"]], tmp_path, monkeypatch).run("collect", "r1")
    assert ran.failure is None
    assert ran.notice.unresolved == [away["account"]]
    gone = [(event.handle, event.state_reason) for event in ran.events("accounts") if event.state == "gone"]
    assert gone == ([(away["handle"], "suspended")] if flag == "suspended" else [])


def test_a_hidden_history_leaves_out_submissions_and_calls_none_of_them_gone(tmp_path, monkeypatch):
    hiding = row("hides_history")
    ran = set_up("reddit", [hiding["account"]], tmp_path, monkeypatch).run("collect", "r1")
    up = {one["post_id"] for one in truth("posts", NOW, platform="reddit", account_id=hiding["account_id"])}
    assert ran.visible < up | ran.visible
    assert not [post for post in ran.events("posts") if post.state == "gone"]


def test_a_sample_is_of_people_who_comment_with_their_age_and_without_the_bot(tmp_path, monkeypatch):
    one = row()
    ran = set_up("reddit", [one["account"]], tmp_path, monkeypatch).run("sample", "s1")
    members = ran.events("followers")
    assert len(members) == len({member.member_id for member in members}) > 20
    assert {(member.relation, member.sample, member.followers) for member in members} == {("commenter", "newest", None)}
    assert sum(member.created_at is not None for member in members) > 0.9 * len(members)
    assert all(member.handle_length != len("AutoModerator") or member.created_at for member in members)


def test_a_watch_list_names_an_account_once_in_either_way(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text("creator_id,creator_name,platform,account\na,A,reddit,u/ann\nb,B,reddit,t2_ann\n")
    assert [reddit.normalise(one.account) for one in watchlist.read(path)] == ["ann", "t2_ann"]


def test_what_is_too_fast_is_waited_out(tmp_path, monkeypatch):
    stage = set_up("reddit", [row()["account"]], tmp_path, monkeypatch)
    stage.fault(kind="throttled", endpoint="user/submitted", times=2)
    ran = stage.run("collect", "r1")
    assert ran.failure is None
    assert ran.visible
    assert "throttled:2" in ran.notice.outcomes
    assert stage.run("collect", "r2", NOW + timedelta(hours=1)).failure is None
