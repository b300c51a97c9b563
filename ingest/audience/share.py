"""From a sample's scores to the share of fakes, with an interval that holds on platforms nobody labelled. Pure.

The correction is Rogan and Gladen's on mean probabilities: with `sensitivity` the mean probability that fakes get and
1 - `specificity` the one that genuine members get, a sample's mean is a mixture of the two, so the share is
(mean - (1 - specificity)) / (sensitivity + specificity - 1), kept in [0, 1].

How well the score tells fakes differs from set to set far more than any sample's noise. So both accuracies are random
effects: drawn for a set never seen, out of what each training set showed when left out of the fit. Every draw corrects
the sample's mean once; the estimate is the median of the corrected shares, the interval their middle 95 %. The draws
are a seed, so the warehouse does the same in SQL.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

DRAWS = 500
MINIMUM_MEMBERS = 50
"""Fewer scored members say too little: the noise alone is then .14 wide on either side."""
MINIMUM_SCORED_SHARE = 0.5
"""Of the sampled members, so many must carry what the score needs, or the scored ones are not the sample."""
MAXIMUM_WIDTH = 0.95
"""A wider interval says nothing, and is not given."""

SURE = 4.0
"""Log-odds beyond which no set's accuracy is believed (.982): the next set may be harder."""
BETWEEN_SETS = 0.7
"""Scale of the half-normal prior on the spread between sets, in log-odds: five sets alone would leave it open."""
LEAST_SEPARATION = 0.05
"""Draws in which the score tells less than this correct nothing; they are passed over."""


@dataclass(frozen=True)
class Accuracy:
    """Mean probability of fake that a set's fakes got, and 1 - the one that its genuine members got."""

    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Draw:
    """One accuracy that an unseen platform may have, with a standard normal number for the sample's noise."""

    sensitivity: float
    specificity: float
    noise: float


@dataclass(frozen=True)
class Share:
    """A share of fakes in [0, 1] with its 95 % interval."""

    low: float
    estimate: float
    high: float


def draw_accuracies(sets: Sequence[Accuracy]) -> list[Draw]:
    """`DRAWS` draws for a set never seen, given at least two sets' accuracies when left out; the same every time.

    Evenly spread points take the place of random ones: fewer draws give the same quantiles.
    """
    quantiles_of_spread = [
        _spread_quantiles([_log_odds(each.sensitivity) for each in sets]),
        _spread_quantiles([_log_odds(each.specificity) for each in sets]),
    ]
    normal = NormalDist()
    draws: list[Draw] = []
    number = 0
    while len(draws) < DRAWS:
        number += 1
        spread_1, spread_2, *uniform = _evenly_spread(number)
        first, second, noise = (normal.inv_cdf(each) for each in uniform)
        sensitivity, specificity = (
            1 / (1 + math.exp(-(middle + float(np.interp(at, *spreads)) * deviation)))
            for (middle, spreads), at, deviation in zip(
                quantiles_of_spread, (spread_1, spread_2), (first, second), strict=True
            )
        )
        if sensitivity + specificity - 1 >= LEAST_SEPARATION:
            draws.append(Draw(round(sensitivity, 6), round(specificity, 6), round(noise, 6)))
    return draws


def estimate_share(mean_probability: float, scored: int, draws: Sequence[Draw]) -> Share:
    """The share of fakes behind the mean probability of `scored` members (at least one).

    The mean's noise is taken on the arcsine scale with the variance of a share, the largest that a mean of
    probabilities can have. A higher mean never lowers any of the three numbers.
    """
    table = np.array([(each.sensitivity, each.specificity, each.noise) for each in draws])
    sensitivity, specificity, noise = table.T
    angle = math.asin(math.sqrt((mean_probability * scored + 0.375) / (scored + 0.75)))
    shifted = np.clip(angle + noise / (2 * math.sqrt(scored + 0.5)), 0, math.pi / 2)
    mean: NDArray[np.float64] = np.sin(shifted) ** 2
    shares = np.clip((mean + specificity - 1) / (sensitivity + specificity - 1), 0, 1)
    low, middle, high = np.quantile(shares, [0.025, 0.5, 0.975])
    return Share(float(low), float(middle), float(high))


def abstain(sampled: int, scored: int) -> str | None:
    """Why a sample cannot carry an estimate, before one is made; None where it can."""
    if sampled < MINIMUM_MEMBERS:
        return "sample_too_small"
    if scored < MINIMUM_MEMBERS or scored < MINIMUM_SCORED_SHARE * sampled:
        return "features_missing"
    return None


def _log_odds(share: float) -> float:
    least = 1 / (1 + math.exp(SURE))
    inside = min(max(share, least), 1 - least)
    return math.log(inside / (1 - inside))


def _spread_quantiles(log_odds: Sequence[float]) -> tuple[float, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The sets' middle, and (probabilities, quantiles) of a new set's standard deviation around it.

    A flat prior on the middle, a half-normal one on the spread between sets; within a set the accuracy is known, as it
    has hundreds of members. The middle's own uncertainty is in the deviation: spread * sqrt(1 + 1 / sets).
    """
    values = np.array(log_odds)
    middle = float(values.mean())
    spread = np.linspace(0.01, 5, 500)
    log_density = (
        -(len(values) - 1) * np.log(spread)
        - ((values - middle) ** 2).sum() / (2 * spread**2)
        - spread**2 / (2 * BETWEEN_SETS**2)
    )
    density = np.exp(log_density - log_density.max())
    cumulated = np.cumsum(density)
    return middle, (cumulated / cumulated[-1], spread * math.sqrt(1 + 1 / len(values)))


def _evenly_spread(number: int) -> list[float]:
    """Point `number` of a low-discrepancy sequence in the five-dimensional unit cube (Roberts' R sequence)."""
    ratio = 1.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / 6)
    return [(0.5 + number * ratio**-power) % 1 for power in range(1, 6)]
