"""The score: the same in Python and in SQL, monotone, and silent about what is not known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.audience import scorecard, seeds
from ingest.audience.scorecard import SIGNALS, Scorecard, find_bins

FIELDS = tuple(seeds.FIELDS)
COMMITTED = scorecard.read_seed((seeds.SEEDS / "scorecard.csv").read_text())
COUNTS = st.integers(0, 10**9)
MEMBERS = st.fixed_dictionaries(
    {
        name: st.one_of(st.none(), COUNTS if name in {"followers", "following", "posts"} else st.booleans())
        for name in FIELDS
    }
    | {"bio_length": st.one_of(st.none(), COUNTS), "handle_digit_share": st.one_of(st.none(), st.floats(0, 1))}
)


def score(card: Scorecard, member: dict[str, float | None]) -> float:
    return float(card.score({name: np.array([math.nan if v is None else float(v)]) for name, v in member.items()})[0])


def test_refitting_writes_the_seeds_byte_for_byte(sets, fit_without):
    accuracies = [seeds.measure_accuracy(fit_without(number), each) for number, each in enumerate(sets)]
    texts = seeds.write_seeds(fit_without(), seeds.draw_accuracies(accuracies))
    assert {name: (seeds.SEEDS / name).read_bytes() for name in texts} == {
        name: text.encode() for name, text in texts.items()
    }


def test_a_set_left_out_is_told_apart(sets, fit_without):
    for number, each in enumerate(sets):
        assert seeds.area_under_curve(fit_without(number).probability(each.members), each) > 0.95, each.name


def test_no_single_relation_carries_the_score(sets, fit_without):
    """Without followers and following the sets of Instagram are still told apart by what TikTok and X taught."""
    for each in sets[:2]:
        known = {name: values for name, values in each.members.items() if name not in {"followers", "following"}}
        assert seeds.area_under_curve(fit_without(0, 1).probability(known), each) > 0.8, each.name


def test_the_seed_reads_back_as_it_was_written(committed):
    text = (seeds.SEEDS / "scorecard.csv").read_text()
    assert scorecard.write_seed(scorecard.read_seed(text)) == text
    assert list(committed.bins) == [signal.name for signal in SIGNALS]


def test_a_member_of_whom_nothing_is_known_gets_the_intercept(committed):
    assert score(committed, dict.fromkeys(FIELDS)) == committed.intercept


@settings(deadline=None)
@given(member=MEMBERS, field=st.sampled_from(FIELDS))
def test_an_unknown_field_takes_its_points_away_and_moves_nothing_else(member, field):
    arrays = {name: np.array([math.nan if v is None else float(v)]) for name, v in member.items()}
    known = COMMITTED.points(arrays)
    unknown = COMMITTED.points(arrays | {field: np.array([math.nan])})
    needs = {field} | ({"following_per_follower"} if field in {"followers", "following"} else set())
    for name in known:
        assert unknown[name][0] == (0 if name in needs else known[name][0])


@settings(deadline=None)
@given(
    member=MEMBERS,
    field=st.sampled_from(["followers", "following", "posts", "bio_length", "handle_digit_share"]),
    more=st.integers(1, 10**6),
)
def test_more_followers_posts_or_bio_never_look_more_fake_and_more_following_or_digits_never_less(member, field, more):
    value = member[field]
    if value is None:
        return
    raised = min(1.0, value + more / 10**6) if field == "handle_digit_share" else value + more
    difference = score(COMMITTED, member | {field: raised}) - score(COMMITTED, member)
    assert difference >= -1e-12 if field in {"following", "handle_digit_share"} else difference <= 1e-12


def test_points_average_to_nothing_over_members_who_are_as_often_fake_as_genuine(sets, committed):
    """Else an unknown value would be worth more, or less, than the average known one."""
    for name in ("followers", "posts", "following_per_follower", "has_picture", "bio_length"):
        of_sets = []
        for each in sets:
            points = committed.points(each.members)[name]
            if np.isnan(scorecard.read_signals(each.members)[name]).all():
                continue
            of_sets.append((points[each.is_fake].mean() + points[~each.is_fake].mean()) / 2)
        assert abs(np.mean(of_sets)) < 1e-3, name


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_value_on_a_cut_belongs_to_the_bin_above_and_one_just_below_does_not(signal):
    cuts = np.array(signal.cuts)
    assert list(find_bins(cuts, signal.cuts)) == list(range(2, len(cuts) + 2))
    assert list(find_bins(np.nextafter(cuts, 0), signal.cuts)) == list(range(1, len(cuts) + 1))
    assert list(find_bins(np.array([np.nan]), signal.cuts)) == [0]


def test_the_warehouse_scores_as_python_does(sets, committed, add_members, build):
    """1,000 members of all sets, a fifth of the fields forgotten, counts on and beside the cuts among them."""
    random = np.random.default_rng(5)
    rows = []
    for each in sets:
        for place in random.choice(len(each.is_fake), 160, replace=False):
            rows.append({name: each.members[name][place] for name in FIELDS})
    cuts = {signal.name: signal.cuts for signal in SIGNALS}
    for place in range(200):
        row = {name: float(place % 2) for name in FIELDS}
        for name in ("followers", "posts", "following", "bio_length"):
            row[name] = float(max(0, random.choice(cuts[name]) + random.choice([-1, 0, 1])))
        row["handle_digit_share"] = float(random.choice(cuts["handle_digit_share"]) - random.choice([0, 1e-9]))
        rows.append(row)
    for row in rows:
        for name in FIELDS:
            if random.random() < 0.2:
                row[name] = math.nan
    assert len(rows) == 1000

    add_members(rows)
    con = build()
    columns = ", ".join(f"{signal.name}_points" for signal in SIGNALS)
    found = con.sql(f"select score, fake_probability, {columns} from fct_audience_scores order by member_id").fetchall()
    members = {name: np.array([row[name] for row in rows]) for name in FIELDS}
    points = committed.points(members)
    expected = np.column_stack([committed.score(members), committed.probability(members), *points.values()])
    np.testing.assert_allclose(np.array(found), expected, rtol=0, atol=1e-9)
