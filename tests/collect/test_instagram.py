"""What is Instagram's alone: nobody and nothing is found by id, and owners' grants tell what discovery does not."""

import json
from datetime import timedelta

import pytest
from pydantic import SecretStr

from infra.sandbox.instagram import OURS
from ingest.collect.grants import Grants
from ingest.collect.interpret import interpret
from ingest.collect.members import MemberKey
from ingest.collect.outcome import Answer, Refused
from ingest.collect.platform import Account
from ingest.collect.platforms import instagram
from ingest.settings import load
from tests.collect import conformance as must
from tests.collect.owners import grant
from tests.collect.stage import NOW, accounts, sandbox, set_up

LIVE = {"source": "live", "instagram_access_token": SecretStr("t"), "instagram_user_id": "17841400000000001"}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A stage with one plain account, whose owner consented."""
    return set_up("instagram", must.plain("instagram", 1), tmp_path, monkeypatch)


def account_of(stage):
    [found] = {grant.account_id for grant in Grants(stage.settings).all("instagram")}
    return found


def of_consent(ran):
    return [event for event in ran.events("posts") if event.authorisation == "consent"]


@pytest.mark.parametrize("name", ["ann}{", "ann,id", "ann)", "Ünn", "a" * 31, "", "ann bakes", "ann%29"])
def test_what_could_end_the_expression_of_fields_is_no_handle(name):
    assert instagram.normalise(name) is None


def test_handles_lose_their_at_sign_and_their_capitals_and_ids_are_never_asked_for():
    assert instagram.normalise("@Ann.Bakes_7") == "ann.bakes_7"
    assert [call.param("fields")[:36] for call in instagram.resolve(["ann", "17841400000000001"])] == [
        "business_discovery.username(ann){id,"
    ]


def test_others_are_discovered_in_the_name_of_the_account_that_settings_name():
    [call] = instagram.resolve(["ann"])
    settings = load(_env_file=None, **LIVE)
    assert instagram.address(settings, call).path == "/v26.0/17841400000000001"
    assert instagram.address(settings, call).params == call.params
    assert instagram.address(load(_env_file=None), call).path == "/v26.0/me"
    assert instagram.authorise(settings) == {"Authorization": "Bearer t"}


def test_an_account_of_one_s_own_that_is_not_there_ends_the_run_with_the_next_step(one):
    one.settings = one.settings.model_copy(update={"instagram_user_id": "17841400000000009"})
    failure = one.run("collect", "r1").failure
    assert isinstance(failure, Refused)
    assert "ASSAY_INSTAGRAM_USER_ID" in str(failure)
    one.settings = one.settings.model_copy(update={"instagram_user_id": OURS})
    assert one.run("collect", "r2").visible


@pytest.mark.parametrize("missing", ["instagram_access_token", "instagram_user_id"])
def test_without_a_token_or_its_account_the_next_step_is_named(missing):
    settings = load(_env_file=None, **{name: value for name, value in LIVE.items() if name != missing})
    with pytest.raises(Refused, match=f"ASSAY_{missing.upper()}"):
        instagram.authorise(settings)


def test_of_whole_percents_only_what_is_left_for_certain_may_be_used():
    def left(usage):
        rate = instagram.rate(Answer(200, {"x-app-usage": usage}, b"{}"))
        return rate and (rate.left, rate.reset)

    assert left('{"call_count":99,"total_time":100}') == left('{"call_count":99}') == (0, None)
    assert left('{"call_count":98,"total_time":3}') == (2, None)
    assert left("{]") is None


# What is due is read on the listing


def test_an_old_post_that_is_due_is_read_on_a_later_page_and_none_is_looked_up_or_taken_for_deleted(
    tmp_path, monkeypatch
):
    stage = set_up("instagram", must.plain("instagram", 9)[-1:], tmp_path, monkeypatch)
    first = stage.run("collect", "r1")
    assert len(first.visible) > 50, "more than a page"
    stage.forget()
    later = stage.run("collect", "r2", NOW + 8 * DAY)
    due = [event for event in later.events("posts") if event.authorisation == "app" and event.state == "visible"]
    assert min(event.published_at for event in due) < (NOW - 78 * DAY).isoformat()
    must.no_false_tombstones(later, "instagram", "later")
    assert stage.asked() == {"node", "insights"}


def test_a_listing_that_breaks_off_before_what_is_due_makes_no_tombstone(tmp_path, monkeypatch):
    stage = set_up("instagram", must.losing("instagram", 2), tmp_path, monkeypatch)
    stage.run("collect", "r1")
    at = NOW + must.WEEKS
    for kind in ("truncated", "html", "looped"):
        before = stage.remember()
        stage.fault(kind=kind, endpoint="node", times=100_000, seconds=0)
        ran = stage.run("collect", kind, at)
        sandbox().faults.clear()
        assert [event for event in ran.events("posts") if event.state == "gone"] == []
        stage.store.objects = before
    whole = stage.run("collect", "whole", at)
    gone = [event for event in whole.events("posts") if event.state == "gone"]
    assert {event.state_reason for event in gone} == {"not_listed"}


def test_who_is_personal_age_gated_deleted_or_renamed_is_unresolved_and_none_of_them_stops_the_others(
    tmp_path, monkeypatch
):
    rows = {row["account"]: row for row in accounts("instagram")}
    stage = set_up("instagram", list(rows), tmp_path, monkeypatch)
    ran = stage.run("collect", "r1")
    odd = {"personal", "age_gated", "deleted", "renamed"}
    assert set(ran.notice.unresolved) == {name for name, row in rows.items() if odd & set(row["flags"])}
    assert len(ran.visible) > 20
    hidden = next(row["account_id"] for row in rows.values() if "hidden_likes" in row["flags"])
    shown = [event for event in ran.events("posts") if event.account_id == hidden and event.authorisation == "app"]
    assert shown
    assert all(event.likes is None and "likes:hidden" in event.unavailable for event in shown)


def test_a_listing_at_the_app_s_limit_waits_for_the_rolling_hour(one):
    one.fault(kind="throttled", endpoint="node", times=1)
    ran = one.run("collect", "r1")
    assert ran.failure is None
    assert ran.events("accounts")[0].observed_at >= (NOW + HOUR).isoformat()[:19]


# What owners add


def test_an_owner_s_insights_are_events_of_their_own_under_the_consent(one):
    ran = one.run("collect", "r1")
    own, account_id = of_consent(ran), account_of(one)
    true, at = must.world_posts("instagram", account_id), NOW.timestamp()
    figures = [event for event in own if event.reach is not None]
    assert len(figures) > 0.8 * len(true.keys() & ran.visible)
    for event in figures:
        counters = true[event.post_id].counters(at + 60)
        assert (event.account_id, event.consent_id) == (account_id, f"consent of {account_id}")
        assert abs(event.saves - counters.saves) <= 1 + counters.saves // 100
        assert abs(event.shares - counters.shares) <= 1 + counters.shares // 100
        assert (event.views, event.likes, event.comments) == (None, None, None), "discovery's stand"


def test_without_a_grant_nothing_is_asked_in_an_owner_s_name(one):
    [held] = Grants(one.settings).all("instagram")
    Grants(one.settings).put(held.ended("withdrawn", NOW))
    assert of_consent(one.run("collect", "r1")) == []
    assert one.run("sample", "s1").events("followers") == []
    assert one.asked() == {"node"}


def test_a_removed_app_ends_the_consent_and_tells_retention(one):
    surface = sandbox().surfaces["instagram"]
    surface.oauth.withdraw(account_of(one))
    try:
        ran = one.run("collect", "r1")
    finally:
        surface.oauth._revoked.clear()
    assert ran.failure is None
    assert ran.visible
    assert of_consent(ran) == []
    assert [event.state for event in ran.events("consents")] == ["withdrawn"]


def test_a_token_is_renewed_in_its_last_week_and_an_expired_one_is_a_lost_consent(one):
    account_id = account_of(one)
    first = Grants(one.settings).get("instagram", account_id)
    assert one.run("collect", "r1", NOW + 50 * DAY).failure is None
    assert Grants(one.settings).get("instagram", account_id).access_token == first.access_token
    assert of_consent(one.run("collect", "r2", NOW + 54 * DAY))
    fresh = Grants(one.settings).get("instagram", account_id)
    assert fresh.access_token != first.access_token
    assert fresh.expires_at > first.expires_at + 50 * DAY
    late = one.run("collect", "r3", NOW + 200 * DAY)
    assert late.failure is None
    assert of_consent(late) == []
    assert Grants(one.settings).get("instagram", account_id).state == "withdrawn"


def test_a_grant_with_another_s_token_reads_nothing(one):
    held = Grants(one.settings).get("instagram", account_of(one))
    other = next(row["account_id"] for row in accounts("instagram") if row["account_id"] != held.account_id)
    swapped = {
        **{name: getattr(held, name) for name in held.__struct_fields__},
        "access_token": grant("instagram", other).access_token,
    }
    Grants(one.settings).put(type(held)(**swapped))
    ran = one.run("collect", "r1")
    assert of_consent(ran) == []
    assert any("another account's" in line for line in ran.said)


def test_a_grant_of_too_little_costs_only_what_it_lacks(one, monkeypatch):
    monkeypatch.setattr(sandbox().surfaces["instagram"].oauth, "_tokens", fewer(sandbox().surfaces["instagram"].oauth))
    Grants(one.settings).put(grant("instagram", account_of(one)))
    ran = one.run("collect", "r1")
    assert ran.failure is None
    assert ran.visible
    assert of_consent(ran) == []
    assert Grants(one.settings).get("instagram", account_of(one)).state == "active"
    assert one.run("sample", "s1").events("followers") == []


def fewer(oauth):
    """Tokens without the scopes that were asked for, but for the first."""
    give = type(oauth)._tokens
    return lambda account_id, number, scopes, *more: give(oauth, account_id, number, scopes.split()[0], *more)


def test_commenters_are_sampled_from_recent_posts_each_once(one):
    ran = one.run("sample", "s1")
    members = ran.events("followers")
    assert len(members) == one.settings.audience_sample_size == 110
    assert len({event.member_id for event in members}) == len(members)
    assert len({event.post_id for event in members}) > 5
    assert {(event.relation, event.authorisation, event.sample) for event in members} == {
        ("commenter", "consent", "newest")
    }


def test_the_owner_s_own_comments_make_no_member():
    owner = Account("17841400000000022", frozenset({"bo"}), instagram.GRAPH, "bo")
    [call] = instagram.audience(owner, ["17999999999990001"])
    rows = [{"id": f"1791{n}", "text": "hi", "from": {"id": who}} for n, who in enumerate([owner.account_id, "77"])]
    answer = Answer(200, {}, json.dumps({"data": rows}).encode())
    key = MemberKey(b"a key of the tests")
    verdict, reading = interpret(instagram.PLATFORM, call, answer, at=NOW, run_id="r", key=key, consent_id="c")
    assert (verdict.outcome, [member.native_id for member in reading.members]) == ("ok", ["77"])
