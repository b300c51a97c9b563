"""The share of fakes behind a sample: intervals that hold on a set that neither score nor draws have seen."""

import itertools
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.audience import seeds, share
from ingest.audience.share import Accuracy, draw_accuracies, estimate_share

DRAWS = draw_accuracies([Accuracy(0.86, 0.84), Accuracy(0.66, 0.91), Accuracy(0.99, 0.67), Accuracy(0.83, 0.94)])
MEANS = st.floats(0, 1)
MEMBERS = st.integers(share.MINIMUM_MEMBERS, 100_000)


@settings(deadline=None)
@given(mean=MEANS, scored=MEMBERS)
def test_the_interval_is_ordered_and_inside_0_and_1(mean, scored):
    found = estimate_share(mean, scored, DRAWS)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@settings(deadline=None)
@given(first=MEANS, second=MEANS, scored=MEMBERS)
def test_a_sample_that_looks_more_fake_never_gets_a_lower_share(first, second, scored):
    less, more = sorted((first, second))
    assert all(
        high >= low - 1e-12
        for low, high in zip(
            astuple(estimate_share(less, scored, DRAWS)), astuple(estimate_share(more, scored, DRAWS)), strict=True
        )
    )


@pytest.mark.parametrize("mean", [0.2, 0.4, 0.6, 0.8])
def test_a_large_sample_still_leaves_open_what_differs_between_platforms(mean):
    found = estimate_share(mean, 1_000_000, DRAWS)
    assert found.high - found.low > 0.15


def test_sets_that_differ_more_give_wider_intervals():
    alike = draw_accuracies([Accuracy(0.85, 0.9)] * 5)
    apart = draw_accuracies([Accuracy(s, 0.9) for s in (0.98, 0.6, 0.9, 0.7, 0.85)])
    narrow, wide = (estimate_share(0.35, 300, drawn) for drawn in (alike, apart))
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)


def test_a_score_that_never_errs_leaves_the_sample_s_own_noise():
    perfect = [share.Draw(1.0, 1.0, draw.noise) for draw in DRAWS]
    found = estimate_share(0.3, 300, perfect)
    assert found.estimate == pytest.approx(0.3, abs=0.005)
    assert (found.low, found.high) == pytest.approx((0.25, 0.353), abs=0.01), "the 95 % interval of 90 in 300"


def test_every_draw_tells_fakes_from_genuine_members(draws):
    assert len(draws) == share.DRAWS
    assert all(each.sensitivity + each.specificity - 1 > 0.04 for each in draws)
    assert abs(np.mean([each.noise for each in draws])) < 0.02
    assert np.std([each.noise for each in draws]) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("sampled", "scored", "reason"),
    [
        (49, 49, "sample_too_small"),
        (50, 50, None),
        (300, 49, "features_missing"),
        (300, 149, "features_missing"),
        (300, 150, None),
    ],
)
def test_a_sample_that_cannot_carry_an_estimate_says_why(sampled, scored, reason):
    assert share.abstain(sampled, scored) == reason


@pytest.fixture(scope="module")
def unseen(sets, fit_without):
    """For each set: the probabilities of its members, and draws, from scores and accuracies that never saw it."""
    found = {}
    for held, labelled in enumerate(sets):
        others = [number for number in range(len(sets)) if number != held]
        accuracies = [seeds.measure_accuracy(fit_without(*sorted((held, n))), sets[n]) for n in others]
        probability = fit_without(held).probability(labelled.members)
        found[labelled.name] = (probability, labelled.is_fake, draw_accuracies(accuracies))
    return found


def test_intervals_cover_the_share_of_populations_from_sets_never_seen(unseen):
    """Nothing of the set is in the score, the accuracies or the draws; a tool's own calibration would cover 8-55 %."""
    random = np.random.default_rng(11)
    lines, all_covered = [], []
    for name, (probability, is_fake, draws) in unseen.items():
        covered, widths, errors = [], [], []
        for share_of_fakes, members in itertools.product((0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7), (60, 300)):
            for _ in range(5):
                fakes = random.binomial(members, share_of_fakes)
                sample = np.concatenate(
                    [random.choice(probability[is_fake], fakes), random.choice(probability[~is_fake], members - fakes)]
                )
                found = estimate_share(float(sample.mean()), members, draws)
                covered.append(found.low <= share_of_fakes <= found.high)
                widths.append(found.high - found.low)
                errors.append(abs(found.estimate - share_of_fakes))
        all_covered.append(float(np.mean(covered)))
        lines.append(
            f"{name}: covered {np.mean(covered):.2f}, width {np.median(widths):.2f}, error {np.mean(errors):.2f}"
        )
    print("\n".join(lines))
    assert np.mean(all_covered) >= 0.9, lines
    assert min(all_covered) >= 0.8, lines


def test_intervals_still_cover_where_a_third_of_the_fakes_look_genuine(unseen):
    random = np.random.default_rng(12)
    covered = []
    for probability, is_fake, draws in unseen.values():
        for share_of_fakes in (0.05, 0.2, 0.5):
            for _ in range(10):
                fakes = random.binomial(300, share_of_fakes)
                seen = random.binomial(fakes, 2 / 3)
                sample = np.concatenate(
                    [random.choice(probability[is_fake], seen), random.choice(probability[~is_fake], 300 - seen)]
                )
                found = estimate_share(float(sample.mean()), 300, draws)
                covered.append(found.low <= share_of_fakes <= found.high)
    assert np.mean(covered) >= 0.8


def test_twice_the_fakes_raise_the_estimate(sets, committed, draws):
    random = np.random.default_rng(13)
    for each in sets:
        probability = committed.probability(each.members)
        fake, genuine = probability[each.is_fake], probability[~each.is_fake]
        once, twice = (
            estimate_share(
                float(np.concatenate([random.choice(fake, n), random.choice(genuine, 300 - n)]).mean()), 300, draws
            )
            for n in (60, 120)
        )
        assert twice.estimate > once.estimate + 0.1, each.name
