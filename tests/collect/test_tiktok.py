"""What is TikTok's alone, against the sandbox: grants beside gated research, and searches in stretches of days."""

from datetime import timedelta

import msgspec
import pytest
from pydantic import SecretStr

from ingest.collect.grants import Grants
from ingest.collect.outcome import Exhausted, Refused
from ingest.collect.platform import Account
from ingest.collect.platforms import tiktok
from tests.collect.owners import grant
from tests.collect.stage import NOW, Stage, accounts, sandbox, set_up, truth

WEEKS = timedelta(days=35)
AFTER = "research/user/followers"


def rows(*flags: str) -> list[dict]:
    """The watched accounts that have these flags, none without any."""
    return [row for row in accounts("tiktok") if set(flags) <= set(row["flags"]) and (flags or not row["flags"])]


def open_id(row: dict) -> str:
    return sandbox().world.by_account_id["tiktok", row["account_id"]].local_id


def asked() -> set[str]:
    return {name for platform, name, _ in sandbox().truth.requests if platform == "tiktok"}


@pytest.fixture
def creator() -> dict:
    return rows()[0]


@pytest.fixture
def stage(creator, tmp_path, monkeypatch) -> Stage:
    return set_up("tiktok", [creator["account"]], tmp_path, monkeypatch)


@pytest.fixture
def consented(creator, tmp_path, monkeypatch) -> Stage:
    """A creator who granted access, on the watch list by the id of the grant; research is off."""
    stage = set_up("tiktok", [open_id(creator)], tmp_path, monkeypatch)
    stage.settings = stage.settings.model_copy(update={"tiktok_research_eligibility": ""})
    Grants(stage.settings).put(grant("tiktok", open_id(creator)))
    return stage


def up(creator, at=NOW) -> set[str]:
    found = truth("posts", at, platform="tiktok", account_id=creator["account_id"])
    return {post["post_id"] for post in found if post["state"] == "visible"}


def test_without_an_approval_nothing_is_asked_and_the_reason_is_said(stage, creator):
    stage.settings = stage.settings.model_copy(update={"tiktok_research_eligibility": ""})
    for what in ("collect", "sample"):
        ran = stage.run(what, what)
        assert ran.failure is None
        assert ran.notice.unresolved == [creator["account"]]
        assert ran.notice.quota_units is None
        assert any("ASSAY_TIKTOK_RESEARCH_ELIGIBILITY" in line and "assay connect tiktok" in line for line in ran.said)
    assert asked() == set()


def test_without_a_grant_a_creator_is_skipped_and_the_reason_is_said(consented, creator):
    Grants(consented.settings).put(grant("tiktok", open_id(creator)).ended("withdrawn", NOW))
    ran = consented.run("collect", "r1")
    assert (ran.failure, ran.notice.unresolved, asked()) == (None, [open_id(creator)], set())
    assert any("There is no grant" in line for line in ran.said)


def test_a_grant_lets_the_creator_s_profile_and_videos_be_read_and_nothing_of_research(consented, creator):
    ran = consented.run("collect", "r1")
    assert ran.failure is None
    assert asked() == {"user/info", "video/list"}
    [profile] = ran.events("accounts")
    assert (profile.account_id, profile.followers, profile.handle) == (
        open_id(creator), creator["followers"], creator["handle"]
    )  # fmt: skip
    posts = ran.events("posts")
    assert {post.post_id for post in posts if post.state == "visible"} == up(creator)
    assert {(post.account_id, post.authorisation, post.consent_id) for post in posts} == {
        (open_id(creator), "consent", f"consent of {open_id(creator)}")
    }
    assert {post.saves for post in posts} == {None}
    assert consented.run("sample", "s1").events("followers") == []
    assert AFTER not in asked()


def test_weeks_later_a_consented_creator_s_due_videos_are_looked_up_and_the_deleted_are_tombstones(consented, creator):
    first = consented.run("collect", "r1").visible
    later = NOW + WEEKS
    ran = consented.run("collect", "r2", later)
    assert (ran.failure, asked()) == (None, {"user/info", "video/list", "video/query", "token"})  # a day's token is old
    there = up(creator, later)
    events = ran.events("posts")
    gone = {post.post_id for post in events if post.state == "gone"}
    assert first - there <= gone | (first - {post.post_id for post in events})
    assert not ran.visible - there
    assert {post.account_id for post in events} == {open_id(creator)}
    kept = Grants(consented.settings).get("tiktok", open_id(creator))
    assert kept.refresh_token != grant("tiktok", open_id(creator)).refresh_token  # it rotated, and the new one was kept
    assert kept.expires_at > later


def test_both_ways_at_once_each_for_its_own_accounts(tmp_path, monkeypatch, creator):
    other = rows()[1]
    stage = set_up("tiktok", [open_id(creator), other["account"]], tmp_path, monkeypatch)
    Grants(stage.settings).put(grant("tiktok", open_id(creator)))
    first = stage.run("collect", "r1")
    later = stage.run("collect", "r2", NOW + WEEKS)
    assert (first.failure, later.failure) == (None, None)
    for ran in (first, later):
        ways = {(event.account_id, event.authorisation) for event in ran.events("posts") + ran.events("accounts")}
        assert ways == {(open_id(creator), "consent"), (other["account_id"], "app")}
    assert {"video/query", "research/video/query"} <= asked()


def test_a_consent_withdrawn_at_tiktok_ends_the_grant_and_is_told(consented, creator):
    old = msgspec.structs.replace(grant("tiktok", open_id(creator)), expires_at=NOW - timedelta(hours=1))
    Grants(consented.settings).put(old)
    oauth = sandbox().surfaces["tiktok"].oauth
    oauth.withdraw(open_id(creator))
    try:
        ran = consented.run("collect", "r1")
    finally:
        oauth._revoked.clear()
    assert (ran.failure, ran.notice.unresolved) == (None, [open_id(creator)])
    assert Grants(consented.settings).get("tiktok", open_id(creator)).state == "withdrawn"


def test_another_creator_s_token_says_nothing(consented, creator):
    swapped = msgspec.structs.replace(grant("tiktok", open_id(rows()[1])), account_id=open_id(creator))
    Grants(consented.settings).put(swapped)
    ran = consented.run("collect", "r1")
    assert (ran.failure, ran.events("accounts"), ran.events("posts")) == (None, [], [])


def test_a_grant_of_too_little_is_refused_with_the_next_step(consented, creator):
    Grants(consented.settings).put(grant("tiktok", open_id(creator), ("user.info.basic",)))
    ran = consented.run("collect", "r1")
    assert (ran.failure, ran.events("accounts")) == (None, [])
    assert any("Connect the creator anew" in line for line in ran.said)


@pytest.mark.parametrize(
    "changes", [{"tiktok_client_key": "another"}, {"tiktok_client_secret": SecretStr("wrong")}]
)  # fmt: skip
def test_the_wrong_key_or_secret_of_the_app_is_refused_by_name(stage, changes):
    stage.settings = stage.settings.model_copy(update=changes)
    failure = stage.run("collect", "r1").failure
    assert isinstance(failure, Refused)
    assert "ASSAY_TIKTOK_CLIENT_KEY" in str(failure)
    assert "wrong" not in str(failure)


def test_an_old_token_of_the_app_is_minted_anew(stage):
    stage.fault(kind="bad_key", endpoint="research/video/query", times=1)
    assert stage.run("collect", "r1").failure is None
    minted = [
        name for platform, name, _ in sandbox().truth.requests.elements() if (platform, name) == ("tiktok", "token")
    ]
    assert len(minted) == 2


def test_a_day_s_requests_are_a_budget_that_ends_at_midnight_utc(stage):
    stage.settings = stage.settings.model_copy(update={"tiktok_daily_units": 2})
    failure = stage.run("collect", "r1").failure
    assert isinstance(failure, Exhausted)
    assert failure.retry_at.isoformat() == "2026-11-13T00:00:00+00:00"
    assert "ASSAY_TIKTOK_DAILY_UNITS" in str(failure)
    assert stage.units() == 2


@pytest.mark.parametrize("flag", ["private", "renamed", "banned"])
def test_who_is_not_to_be_seen_is_unresolved_with_a_tombstone(flag, tmp_path, monkeypatch, creator):
    [row] = rows(flag)
    ran = set_up("tiktok", [row["account"], creator["account"]], tmp_path, monkeypatch).run("collect", "r1")
    assert (ran.failure, ran.notice.unresolved) == (None, [row["account"]])
    states = {event.account_id: (event.state, event.state_reason) for event in ran.events("accounts")}
    assert states == {row["account"].removeprefix("@"): ("gone", "not_found"), creator["account_id"]: ("visible", None)}


def test_an_empty_account_and_one_with_odd_characters_have_profiles(tmp_path, monkeypatch):
    found = [rows("empty")[0], rows("odd_name")[0]]
    ran = set_up("tiktok", [row["account"] for row in found], tmp_path, monkeypatch).run("collect", "r1")
    assert ran.failure is None
    names = {event.account_id: event.display_name for event in ran.events("accounts")}
    assert names.keys() == {row["account_id"] for row in found}
    assert "\x00" in names[found[1]["account_id"]]
    assert {post.account_id for post in ran.events("posts")} == {found[1]["account_id"]}


def test_followers_are_sampled_by_name_alone_across_pages(stage, creator):
    sampled = stage.run("sample", "s1").events("followers")
    assert len(sampled) == 110
    assert len({one.member_id for one in sampled}) == 110
    assert {one.authorisation for one in sampled} == {"app"}
    assert all(one.handle_length and one.followers is None and one.followed_at is None for one in sampled)


@pytest.mark.parametrize(
    ("written", "name"),
    [("@Ann.Cooks", "ann.cooks"), ("ann_1", "ann_1"), ("-000" + "aB" * 16, "-000" + "aB" * 16),
     ("723f24d7-e717-40f8-a2b6-cb8464cd23b4", "723f24d7-e717-40f8-a2b6-cb8464cd23b4"),
     ("_" + "0" * 31, "_" + "0" * 31), ("a", None), ("", None), ("änn", None), ("ann\x00", None), ("ann/../x", None),
     ("a.b" * 9, None)],
)  # fmt: skip
def test_names_of_the_watch_list(written, name):
    assert tiktok.normalise(written) == name


def test_look_ups_fit_into_stretches_of_thirty_days_and_batches():
    def post(day: int, n: int = 0) -> str:
        return str((1_790_000_000 + day * 86_400 << 32) + n)

    calls = tiktok.lookup([post(day) for day in (0, 10, 29, 30, 65)] + [post(0, n) for n in range(1, 120)])
    asked = [tiktok.rows.asked_of(call) for call in calls]
    for one in asked:
        start, end = tiktok.rows.day(one["start_date"]), tiktok.rows.day(one["end_date"])
        assert (end - start).days == 30
        [condition] = one["query"]["and"]
        assert len(condition["field_values"]) <= 100
        for text in condition["field_values"]:
            published = NOW.fromtimestamp(int(text) >> 32, NOW.tzinfo).date()
            assert start <= published <= end
    assert sum(len(one["query"]["and"][0]["field_values"]) for one in asked) == 124


def test_each_creator_s_videos_are_looked_up_under_that_creator_s_grant():
    ann, bob = "-000" + "a" * 32, "-000" + "b" * 32
    owners = {str(number): ann for number in range(45)} | {"900": bob, str(1_790_000_000 << 32): "carol"}
    calls = tiktok.lookup_of(owners)
    assert sorted((call.grant or "", call.endpoint.name) for call in calls) == [
        ("", "research/video/query"), *[(ann, "video/query")] * 3, (bob, "video/query")
    ]  # fmt: skip
    listing = tiktok.listing(Account(ann, frozenset(), tiktok.BASE, ann), False)
    assert (listing.grant, listing.endpoint.name) == (ann, "video/list")


def test_each_app_has_a_budget_of_its_own(stage):
    for key in ("one", "other"):
        stage.settings = stage.settings.model_copy(update={"tiktok_client_key": key})
        stage.run("collect", key)
    objects = [name for name in stage.store.objects if name.startswith("state/quota/")]
    assert len({name.split("/")[3] for name in objects}) == 2
