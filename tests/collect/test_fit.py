"""Whether what is asked of a platform fits, from when on it does not, and what would make it fit."""

import re
from datetime import datetime, timedelta

import pytest

from ingest.collect import plan
from ingest.collect.demand import Counting
from ingest.collect.fit import Watching, follow
from ingest.collect.platforms import REGISTRY
from ingest.settings import load
from tests.collect.stage import NOW

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def row(platform, names, posts_a_day=1.0, posts=(), **settings):
    """The plan's row of accounts that nobody has seen yet, or of some whose `posts` a day the lake has by their ids."""
    measured = {f"id{number}": rate for number, rate in enumerate(posts)}
    watching = Watching(names, [], measured, posts_a_day)
    return plan.row_of(REGISTRY[platform], load(_env_file=None, **settings), watching, "given", NOW)


def channels(count):
    """Names of so many made-up channels."""
    return [f"@channel{number}" for number in range(count)]


def test_what_fits_has_no_changes():
    found = row("youtube", channels(20))
    assert found["fits"]
    assert (found["changes"], found["short"]) == ([], [])


def test_a_day_that_is_too_short_says_from_when_until_its_reset_and_each_change_makes_it_fit():
    found = row("youtube", channels(60), youtube_daily_units=1_000)
    assert not found["fits"]
    out, on = (datetime.fromisoformat(found["short"][0][name]) for name in ("runs_out_at", "goes_on_at"))
    assert NOW < out < on
    assert (on.hour, on - out < DAY) == (8, True)  # midnight in California
    hours = (out - (on - DAY)) / HOUR
    assert hours * found["units_a_day"] / 24 <= found["budget"] < (hours + 1) * found["units_a_day"] / 24
    units, fewer = (change for change in found["changes"] if change["change"] != "sample fewer members")
    raised = int(units["to"].partition("=")[2])
    assert row("youtube", channels(60), youtube_daily_units=raised)["fits"]
    assert not row("youtube", channels(60), youtube_daily_units=raised - 1)["fits"]
    assert row("youtube", channels(fewer["accounts"]), youtube_daily_units=1_000)["fits"]
    assert not row("youtube", channels(fewer["accounts"] + 1), youtube_daily_units=1_000)["fits"]


def test_where_only_the_day_of_the_samples_is_too_short_smaller_samples_help():
    found = row("x", ["ann", "bob"], x_daily_units=3_000, x_audience_units=1_000)
    assert not found["fits"]
    assert found["units_a_day"] <= 3_000 < found["units_a_day"] + found["units_a_sample"]
    assert found["short"][0]["runs_out_at"].startswith("2026-11-16")
    smaller = next(one for one in found["changes"] if one["change"] == "sample fewer members")
    name, _, value = smaller["to"].partition("=")
    assert name == "ASSAY_X_AUDIENCE_UNITS"
    assert row("x", ["ann", "bob"], x_daily_units=3_000, x_audience_units=int(value))["fits"]
    assert [one["dollars_a_month"] for one in found["changes"]] == sorted(
        one["dollars_a_month"] for one in found["changes"]
    )


def test_a_month_s_budget_is_spent_later_and_is_raised_with_the_day_s():
    found = row("x", ["ann", "bob"], x_daily_units=1_000, x_monthly_units=50_000)
    assert [one["of"] for one in found["short"]] == ["units of a day", "units of a month"]
    month = found["short"][1]
    assert (month["runs_out_at"][:8], month["goes_on_at"]) == ("2026-12-", "2027-01-01T00:00:00Z")
    assert (int(month["runs_out_at"][8:10]) - 1) * found["units_a_day"] <= 50_000
    raised = next(one["to"] for one in found["changes"] if one["change"] == "raise the budget")
    settings = {name.lower().removeprefix("assay_"): int(units) for name, units in re.findall(r"(\w+)=(\d+)", raised)}
    assert settings.keys() == {"x_daily_units", "x_monthly_units"}
    assert row("x", ["ann", "bob"], **settings)["fits"]


def test_more_calls_than_an_hour_permits_do_not_fit_and_fewer_accounts_do():
    names = [f"ann{number}" for number in range(150)]
    found = row("instagram", names)
    assert not found["fits"]
    assert found["cycle_minutes"] > 60
    (fewer,) = found["changes"]
    assert fewer["accounts"] < 150
    assert row("instagram", names[: fewer["accounts"]])["fits"]
    assert not row("instagram", names[: fewer["accounts"] + 1])["fits"]


def test_each_mastodon_server_has_a_rate_of_its_own():
    here = row("mastodon", [f"ann{number}@meadow.example" for number in range(100)])
    apart = row("mastodon", [f"ann{number}@m{number % 10}.example" for number in range(100)])
    assert here["rate_used"] == pytest.approx(10 * apart["rate_used"], rel=0.2)


def test_a_grant_or_an_approval_that_is_missing_asks_nothing():
    found = row("tiktok", ["ann", "bob"])
    assert (found["calls_a_day"], found["not_asked"]) == (0, 2)
    assert row("tiktok", ["ann", "bob"], tiktok_research_eligibility="2026-17")["calls_a_day"] > 90


def test_rates_of_known_accounts_go_to_the_names_watched_and_the_rest_post_as_those_do():
    counting = Counting(REGISTRY["mastodon"], load(_env_file=None), [], NOW)
    watching = Watching(["ann@a.example", "bob@a.example", "cy@a.example"], [], {"bob@a.example": 3.0, "9": 5.0}, 4.0)
    found = [one.posts_a_day for one in follow(counting, watching)]
    assert found[1] == 3.0
    assert sorted(found) == [3.0, 4.0, 5.0]


def test_a_grant_of_an_account_that_is_only_watched_by_its_id_makes_nobody_else_cheaper():
    settings = load(_env_file=None, tiktok_research_eligibility="1")
    without, beside = (
        plan.row_of(REGISTRY["tiktok"], settings, Watching(["ann"], granted, {}, 1.0), "given", NOW)
        for granted in ([], ["-000-another-s-open-id"])
    )
    assert beside["units_a_day"] == without["units_a_day"]


def test_known_accounts_that_are_not_watched_any_more_do_not_make_the_others_busier():
    counting = Counting(REGISTRY["mastodon"], load(_env_file=None), [], NOW)
    known = {str(number): float(number) for number in range(100)}
    watching = Watching([f"ann{number}@a.example" for number in range(10)], [], known, 49.5)
    assert sum(one.posts_a_day for one in follow(counting, watching)) == pytest.approx(495)


def test_accounts_of_which_nobody_knows_whose_rate_is_whose_are_shown_with_their_mean():
    watched = row("x", ["ann", "bob", "id2"], posts=[9.0, 1.0, 2.0])["watched"]
    assert [one["posts_a_day"] for one in watched] == [5.0, 5.0, 2.0]
    assert watched[0]["post_reads_a_day"] == watched[1]["post_reads_a_day"]


def test_fewer_accounts_are_accounts_as_the_others_and_not_the_busiest():
    found = row("instagram", [f"ann{number}" for number in range(200)], posts=[10.0] * 20 + [0.1] * 180)
    assert found["changes"][0]["accounts"] == pytest.approx(200 * 60 / found["cycle_minutes"], rel=0.1)


def test_a_day_of_25_hours_has_25_cycles_where_clocks_are_put_back():
    steady = row("youtube", channels(60), audience_sample_size=0, youtube_daily_units=10**6)["units_a_day"]
    found = row("youtube", channels(60), audience_sample_size=0, youtube_daily_units=steady + 20)
    assert not found["fits"]
    (short,) = found["short"]
    assert (short["runs_out_at"], short["goes_on_at"]) == ("2027-11-08T07:00:00Z", "2027-11-08T08:00:00Z")
    assert row("x", ["ann"], x_daily_units=1_038 + 20)["fits"]  # a day of UTC never has more than 24


@pytest.mark.parametrize("posts_a_day", [0.7, 1.0, 1.3, 1.7])
def test_what_is_short_is_never_short_by_nothing_and_raising_the_budget_by_it_is_enough(posts_a_day):
    def of(budget):
        return row("tiktok", ["ann"], posts_a_day, tiktok_research_eligibility="1", tiktok_daily_units=budget)

    asked = of(1)["short"][0]["asked"]
    assert of(asked - 1)["short"][0]["short_by"] == 1
    assert of(asked)["fits"]


def test_a_budget_that_only_the_platform_can_raise_is_not_offered_as_if_money_would_do():
    (granted, *_), (bought, *_) = (
        row("youtube", ["@ann"], youtube_daily_units=10)["changes"],
        row("x", ["ann"], x_daily_units=10)["changes"],
    )
    assert granted["change"] == "raise the budget, once youtube grants it"
    assert bought["change"] == "raise the budget"


def test_smaller_samples_by_a_setting_of_all_platforms_say_so():
    found = row("youtube", channels(10), youtube_daily_units=700)
    assert "sample fewer members, on every platform" in [one["change"] for one in found["changes"]]


def test_where_no_change_alone_is_enough_the_plan_says_what_to_do():
    found = row("x", ["ann"], 1e6)
    assert found["changes"] == []
    assert "What would make it fit, cheapest first" not in [title for title, _ in plan.tables([found])]
    (said,) = (line for line in plan.sources([found]) if "no change alone" in line)
    assert said.startswith("x: ")


def test_a_first_day_that_is_dearer_than_the_budget_is_said_beforehand():
    found = row("x", [f"ann{number}" for number in range(9)])
    assert found["fits"]
    assert found["units_first_cycle"] > found["units_a_day"] / 24 * 5
    assert any(line.startswith("x: the first day asks") for line in plan.sources([found]))
    assert not any("the first day" in line for line in plan.sources([row("x", ["ann"])]))
