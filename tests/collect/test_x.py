"""What is X's alone, against the sandbox: money for every row, two vocabularies, owners' grants, accounts not shown."""

import json
from datetime import timedelta

import pytest

from ingest.collect.grants import Grants
from ingest.collect.interpret import interpret
from ingest.collect.outcome import Answer, Exhausted
from ingest.collect.platform import Account
from ingest.collect.platforms import x
from ingest.settings import load
from tests.collect.owners import grant
from tests.collect.stage import NOW, Stage, accounts, sandbox, set_up, truth


def rows(*flags: str) -> list[dict]:
    """The watched accounts that have these flags, none without any."""
    return [row for row in accounts("x") if set(flags) <= set(row["flags"]) and (flags or not row["flags"])]


def asked(endpoint: str, status: int = 200) -> int:
    """How often a call was answered so."""
    return sandbox().truth.requests["x", endpoint, status]


@pytest.fixture
def row() -> dict:
    """An account with more posts than a page holds."""
    return max(rows(), key=lambda row: len(truth("posts", NOW, platform="x", account_id=row["account_id"])))


@pytest.fixture
def stage(row, tmp_path, monkeypatch) -> Stage:
    return set_up("x", [row["account"]], tmp_path, monkeypatch)


def set_to(stage: Stage, **changes: object) -> None:
    stage.settings = stage.settings.model_copy(update=changes)


def test_where_only_the_old_vocabulary_is_known_one_refusal_is_enough_to_learn_it(stage, monkeypatch):
    new = stage.run("collect", "r1")
    stage.store.objects.clear()
    stage.forget()
    monkeypatch.setattr(sandbox().surfaces["x"], "speaks", frozenset({"tweet.fields"}))
    old = stage.run("collect", "r1")
    assert old.failure is None
    assert (asked("timeline", 400), asked("timeline") > 1) == (1, True)

    def told(ran):
        return {
            post.post_id: (
                post.relation,
                post.format,
                post.text,
                post.likes,
                post.shares,
                post.quotes,
                post.impressions,
            )
            for post in ran.events("posts")
        }

    assert told(old) == told(new)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("@Ann_SBX", "ann_sbx"),
        ("1990000000000000001", "1990000000000000001"),
        ("an.n", None),
        ("ann ", None),
        ("äöü", None),
        ("a" * 16, None),
        ("9" * 20, None),
        ("", None),
    ],
)
def test_only_what_can_be_a_username_or_an_id_is_asked_for(written, name):
    assert x.normalise(written) == name
    assert len(x.resolve([written])) == bool(name)


def test_posts_are_told_apart_as_the_world_has_them(stage, row):
    world, surface = sandbox().world, sandbox().surfaces["x"]
    seen = stage.run("collect", "r1").events("posts")
    assert {post.relation for post in seen} == {"original", "reply", "quote"}
    for post in seen:
        true = world.post("x", post.post_id, NOW.timestamp())
        assert surface.post_id(true) == post.post_id
        assert (post.relation, post.format) == (
            true.relation,
            "link" if true.format == "text" and post.links else true.format,
        )
        assert bool(post.links) == (true.format == "link" or true.is_sponsored)
        assert post.is_paid_partnership == (true.is_sponsored and true.is_declared)
        assert ("ad" in post.hashtags) == true.is_sponsored
        assert (post.views is None) == (true.format != "video")


def test_followers_are_not_sampled_unless_settings_pay_for_them(stage):
    set_to(stage, x_audience_units=0)
    ran = stage.run("sample", "s1")
    assert ran.failure is None
    assert ran.events("followers") == []
    assert stage.asked() == set()
    assert load(_env_file=None).x_audience_units == 0
    assert "x: no samples are drawn by these settings; nothing to do" in ran.said


def test_a_sample_costs_what_settings_allow_at_most_and_its_last_page_is_no_larger_than_what_is_wanted(stage):
    set_to(stage, x_audience_units=1_050, audience_sample_size=1_000)
    members = stage.run("sample", "s1").events("followers")
    assert len(members) == 105
    assert stage.units() == 105 * 10 + 10  # the account's own profile
    assert all(member.followers is not None and member.sample == "newest" for member in members)


def test_a_day_s_budget_ends_the_run_before_it_is_overspent(stage):
    set_to(stage, x_daily_units=700)
    ran = stage.run("collect", "r1")
    assert isinstance(ran.failure, Exhausted)
    assert "ASSAY_X_DAILY_UNITS" in str(ran.failure)
    assert 0 < stage.units() <= 700
    assert ran.failure.retry_at.isoformat() == "2026-11-13T00:00:00+00:00"
    set_to(stage, x_daily_units=1_000_000)
    again = stage.run("collect", "r2", NOW + timedelta(days=1))
    assert again.failure is None
    assert ran.visible <= again.visible
    assert asked("timeline") == 1 + 2  # the first sight of an account is begun anew, and ends


@pytest.mark.parametrize("kind", ["quota", "bad_key"])
def test_without_credits_or_token_nothing_is_asked_again(stage, kind):
    stage.fault(kind=kind, times=100)
    ran = stage.run("collect", "r1")
    assert ran.failure is not None
    assert sum(sandbox().truth.requests.values()) == 1
    assert ("credits" if kind == "quota" else "ASSAY_X_BEARER_TOKEN") in str(ran.failure)


def test_a_protected_account_is_read_as_a_profile_and_its_lists_are_not_asked_for(tmp_path, monkeypatch):
    stage = set_up("x", [rows("protected")[0]["account"]], tmp_path, monkeypatch)
    ran = stage.run("collect", "r1")
    [seen] = ran.events("accounts")
    assert (seen.state, seen.is_private, seen.followers is not None) == ("visible", True, True)
    assert (ran.events("posts"), stage.asked() - {"users", "by"}) == ([], set())


@pytest.mark.parametrize(("flag", "state"), [("suspended", "suspended"), ("deleted", "not_found")])
def test_an_account_that_goes_is_a_tombstone_by_its_id_and_unresolved_by_its_name(flag, state, tmp_path, monkeypatch):
    world = sandbox().world
    account = next(one for one in world.of_platform["x"] if flag in one.flags)
    stage = set_up("x", [account.local_id, f"@{account.handle}"], tmp_path, monkeypatch)
    ran = stage.run("collect", "r1")
    [gone] = ran.events("accounts")
    assert (gone.account_id, gone.state, gone.state_reason) == (account.local_id, "gone", state)
    assert sorted(ran.notice.unresolved) == sorted([account.local_id, f"@{account.handle}"])


def test_a_renamed_account_is_unresolved_by_its_old_name(tmp_path, monkeypatch):
    row = rows("renamed")[0]
    stage = set_up("x", [row["account"]], tmp_path, monkeypatch)
    before = stage.run("collect", "r1", NOW - timedelta(days=10))
    assert before.visible
    ran = stage.run("collect", "r2")
    assert ran.notice.unresolved == [row["account"]]
    assert ran.visible == set()
    assert all(post.state == "visible" for post in ran.events("posts"))


def test_an_odd_name_and_an_id_beyond_2_to_the_53_stay_as_they_are(tmp_path, monkeypatch):
    row = rows("odd_name")[0]
    stage = set_up("x", [row["account"]], tmp_path, monkeypatch)
    [seen] = stage.run("collect", "r1").events("accounts")
    assert (seen.account_id, int(seen.account_id) > 2**53) == (row["account_id"], True)
    assert "\x00" in seen.display_name


def test_an_owner_s_grant_adds_clicks_to_posts_of_30_days_and_is_renewed(stage, row):
    Grants(stage.settings).put(grant("x", row["account_id"]))
    later = NOW + timedelta(hours=3)  # the token lives two hours
    ran = stage.run("collect", "r1", later)
    assert ran.failure is None
    own = [post for post in ran.events("posts") if post.authorisation == "consent"]
    young = {post.post_id for post in ran.events("posts") if later - x._published(post.post_id) < timedelta(days=30)}
    assert {post.post_id for post in own} == young
    assert all(post.clicks is not None and post.consent_id == f"consent of {row['account_id']}" for post in own)
    assert any(post.clicks for post in own)
    assert ran.notice.quota_units == stage.units()
    assert asked("token") == 1


def test_a_withdrawn_grant_is_told_and_costs_nothing_else(stage, row):
    Grants(stage.settings).put(grant("x", row["account_id"]))
    sandbox().surfaces["x"].oauth.withdraw(row["account_id"])
    ran = stage.run("collect", "r1")
    assert ran.failure is None
    assert ran.visible
    assert [change.state for change in ran.events("consents")] == ["withdrawn"]
    assert not [post for post in ran.events("posts") if post.authorisation == "consent"]


@pytest.mark.parametrize(
    ("body", "units"),
    [(b'{"data":[{},{}],"meta":{}}', 10), (b'{"meta":{"result_count":0}}', 0), (b'{"data":[{"id":"1', 500), (b"", 500)],
)
def test_an_answer_that_cannot_be_read_counts_as_the_most_that_it_can_cost(body, units):
    call = x.listing(Account("7", frozenset(), x.BASE, "7"), short=False)
    assert x.price(call, None) == 500
    assert x.price(call, Answer(200, {}, body)) == units
    assert x.price(call, Answer(402, {}, b"")) == 0
    assert x.price(x.lookup(["1", "2"])[0], None) == 10


@pytest.mark.parametrize("wrong", ["media_key", "resource_id", "id"])
def test_a_list_where_a_name_should_be_is_read_around_or_malformed_and_never_raises(wrong):
    row = {"id": ["7"] if wrong == "id" else "7", "author_id": "1", "text": "t"}
    problem = {"type": "https://api.x.com/2/problems/field-hydration-failure", "resource_id": "7"}
    media = {"type": "photo", "media_key": "3_1"}
    changed = {"media_key": media, "resource_id": problem}.get(wrong, {})
    changed |= {wrong: ["7"]} if changed else {}
    body = json.dumps({"data": [row], "includes": {"media": [media]}, "errors": [problem]}).encode()
    call = x.lookup(["7"])[0]
    verdict, reading = interpret(x.PLATFORM, call, Answer(200, {}, body), at=NOW, run_id="r", key=None)
    assert verdict.outcome == ("malformed" if wrong == "id" else "ok")
    assert bool(reading.posts) == (wrong != "id")
