"""What the warehouse says of audiences: the estimates of `share.py` in SQL, and why there is none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple

import numpy as np
import pytest

from ingest.audience import seeds
from ingest.audience.fit import LabelledSet
from ingest.audience.share import MAXIMUM_WIDTH, abstain, estimate_share


def draw_members(
    labelled: LabelledSet, fakes: int, genuine: int, random: np.random.Generator
) -> list[dict[str, float]]:
    """So many fakes and genuine members of a set, by event field."""
    places = np.concatenate(
        [
            random.choice(np.flatnonzero(labelled.is_fake), fakes),
            random.choice(np.flatnonzero(~labelled.is_fake), genuine),
        ]
    )
    return [{name: labelled.members[name][place] for name in seeds.FIELDS} for place in places]


def see_account(con, account_id, day, state="visible", platform="bluesky", run_id=None):
    con.execute(
        "insert into int_accounts_merged values ($1, $2, $3, $4, cast($5 as timestamp))",
        [platform, account_id, run_id or f"run {day}", state, f"{day} 06:00:00"],
    )


def rows(con, columns: str) -> Sequence[tuple[object, ...]]:
    return con.sql(f"select {columns} from mart_fake_followers order by platform, account_id, estimate_date").fetchall()


def test_the_warehouse_estimates_as_python_does(sets, committed, draws, add_members, build):
    random = np.random.default_rng(3)
    expected = {}
    for labelled in sets:
        for fakes, genuine in ((0, 50), (3, 57), (30, 270), (90, 210), (170, 130), (300, 0)):
            members = draw_members(labelled, fakes, genuine, random)
            account_id = f"{labelled.name} {fakes:03d} in {fakes + genuine:03d}"
            add_members(members, account_id=account_id)
            columns: Mapping[str, np.ndarray] = {n: np.array([m[n] for m in members]) for n in seeds.FIELDS}
            mean = float(committed.probability(columns).mean())
            expected[account_id] = estimate_share(mean, len(members), draws)
    con = build()
    estimated = 0
    for account_id, status, reason, *found in rows(
        con, "account_id, status, reason, fake_share_low, fake_share, fake_share_high"
    ):
        wanted = expected[account_id]
        if wanted.high - wanted.low > MAXIMUM_WIDTH:
            assert (status, reason, found) == ("abstained", "interval_too_wide", [None, None, None])
        else:
            estimated += 1
            assert (status, reason) == ("estimated", None)
            np.testing.assert_allclose(found, astuple(wanted), rtol=0, atol=1e-9)
    assert estimated >= 15


def test_twice_the_fakes_in_a_sample_raise_the_warehouse_s_estimate(sets, add_members, build):
    random = np.random.default_rng(4)
    for number, fakes in enumerate((25, 50, 100)):
        members = draw_members(sets[3], fakes, 300 - fakes, random)
        add_members(members, account_id=f"creator {number}")
    once, twice, four_times = (share for (share,) in rows(build(), "fake_share"))
    assert once < twice < four_times
    assert four_times - once > 0.1


@pytest.mark.parametrize(("sampled", "without"), [(49, 0), (50, 0), (50, 1), (300, 150), (300, 151), (300, 260)])
def test_the_warehouse_abstains_where_python_does(sets, add_members, build, sampled, without):
    members = draw_members(sets[3], 0, sampled, np.random.default_rng(5))
    for member in members[:without]:
        member["following"] = math.nan
    add_members(members)
    reason = abstain(sampled, sampled - without)
    ((status, found, share, scored, all_sampled),) = rows(build(), "status, reason, fake_share, scored, sampled")
    assert (found, scored, all_sampled) == (reason, sampled - without, sampled)
    assert status == ("estimated" if reason is None else "abstained")
    assert (share is None) == (reason is not None)


def test_an_account_never_sampled_says_so_on_the_day_it_was_first_seen(warehouse, build):
    for day in ("2026-01-05", "2026-01-06", "2026-01-07"):
        see_account(warehouse, "video", day, platform="youtube")
    found = rows(build(), "relation, estimate_date::varchar, status, reason, sampled")
    assert found == [("commenter", "2026-01-05", "abstained", "no_sample", 0)]


def test_what_was_said_before_a_sample_stays_said(sets, warehouse, add_members, build):
    see_account(warehouse, "creator", "2026-01-05")
    members = draw_members(sets[3], 10, 90, np.random.default_rng(6))
    add_members(members, at="2026-01-07 01:00:00")
    found = rows(build(), "estimate_date::varchar, status, reason")
    assert found == [("2026-01-05", "abstained", "no_sample"), ("2026-01-07", "estimated", None)]


def test_an_account_that_goes_has_no_estimate_from_that_day_on_and_keeps_the_earlier_ones(
    sets, warehouse, add_members, build
):
    members = draw_members(sets[3], 10, 90, np.random.default_rng(7))
    for day, state in (("2026-01-05", "visible"), ("2026-01-08", "gone"), ("2026-01-09", "gone")):
        see_account(warehouse, "creator", day, state)
    add_members(members, run_id="first", at="2026-01-05 07:00:00")
    add_members(members, run_id="late", at="2026-01-09 07:00:00")
    found = rows(build(), "estimate_date::varchar, reason, fake_share is null")
    assert found == [
        ("2026-01-05", None, False),
        ("2026-01-08", "account_gone", True),
        ("2026-01-09", "account_gone", True),
    ]


def test_the_last_run_of_a_day_is_the_day_s_sample_and_a_run_past_midnight_is_one(sets, warehouse, add_members, build):
    random = np.random.default_rng(8)
    add_members(draw_members(sets[3], 0, 60, random), run_id="z early", at="2026-01-05 01:00:00")
    add_members(draw_members(sets[3], 0, 70, random), run_id="a late", at="2026-01-05 23:59:00")
    warehouse.execute(
        """
        update int_followers_merged set observed_at = '2026-01-06 00:01:00'
        where run_id = 'a late' and member_id > '000035'
        """
    )
    assert rows(build(), "estimate_date::varchar, run_id, sampled") == [("2026-01-05", "a late", 70)]


def test_followers_and_commenters_are_never_mixed(sets, add_members, build):
    random = np.random.default_rng(9)
    add_members(draw_members(sets[3], 0, 60, random))
    add_members(draw_members(sets[3], 40, 20, random), relation="commenter")
    found = rows(build(), "relation, sampled, fake_share")
    assert sorted(row[:2] for row in found) == [("commenter", 60), ("follower", 60)]
    shares = {relation: share for relation, _, share in found}
    assert shares["commenter"] > shares["follower"] + 0.2


def test_mass_followers_are_counted_apart_and_only_where_following_is_known(sets, add_members, build):
    members = draw_members(sets[3], 0, 100, np.random.default_rng(10))
    for number, member in enumerate(members):
        member["following"] = math.nan if number < 20 else 1501 if number < 40 else 1500
    add_members(members)
    assert rows(build(), "mass_follower_share, sampled, scored") == [(0.25, 100, 80)]


def test_a_sample_of_the_newest_carries_its_warning(sets, add_members, build):
    random = np.random.default_rng(11)
    for sample in ("newest", "spread", "complete"):
        add_members(draw_members(sets[3], 5, 60, random), account_id=sample, sample=sample)
    found = rows(build(), "account_id, sample, sample_warning is not null")
    assert found == [("complete", "complete", False), ("newest", "newest", True), ("spread", "spread", False)]
