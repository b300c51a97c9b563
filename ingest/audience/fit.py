"""Fits the scorecard: a logistic regression on the steps between neighbouring bins. Pure, and the same every time.

Each cut of a signal is one column: 1 from the cut upwards, less the column's mean, so that the unknown value (a row of
zeros) is the average member. A step may only go the signal's way, which makes the points monotone, and a ridge on the
steps lets neighbouring bins borrow from each other. Sets weigh the same, fake and genuine weigh the same in each.

One relation, following over followers, alone nearly solves three of the five sets and would take all the weight. So
the fit sees every member several times, each time with another group of signals hidden: no signal may count on another
being there, which is also what null means to the score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.audience.scorecard import SIGNALS, Scorecard, Values, find_bins, make_bins, read_signals

RIDGE = 0.0025
"""Per step and cut of the signal: a signal's whole rise is shrunk alike, whether one cut makes it or twelve."""

HIDDEN: tuple[tuple[float, frozenset[str]], ...] = (
    (0.30, frozenset()),
    (0.10, frozenset({"posts"})),
    (0.15, frozenset({"followers", "following_per_follower"})),
    (0.10, frozenset({"following", "following_per_follower"})),
    (0.20, frozenset({"followers", "following", "following_per_follower", "posts"})),
    (
        0.15,
        frozenset({"has_picture", "is_private", "is_verified", "bio_length", "has_external_url", "handle_digit_share"}),
    ),
)
"""How often (the weight) the fit sees a member without which signals. Hiding signals that belong together hides what
they say; the weights are a judgement, not tuned, since five sets cannot tune anything."""


@dataclass(frozen=True)
class LabelledSet:
    """One training set: the members by event field, and who of them is fake."""

    name: str
    members: Mapping[str, Values]
    is_fake: NDArray[np.bool_]


def fit(sets: Sequence[LabelledSet]) -> Scorecard:
    """The scorecard that these sets teach, its points rounded to four digits so that every machine writes the same."""
    bins = np.concatenate([_bins_of(each.members) for each in sets])
    is_fake = np.concatenate([each.is_fake for each in sets])
    weights = np.concatenate([_balanced(each.is_fake) for each in sets]) / len(sets)

    steps, known = _steps(bins)
    mean = np.divide(weights @ steps, weights @ known, out=np.zeros(steps.shape[1]), where=known.any(axis=0))
    bins, is_fake, weights = _hide_in_turn(bins, is_fake, weights)
    steps, known = _steps(bins)
    intercept, heights = _fit_steps((steps - mean) * known, is_fake, weights)

    points = {}
    for number, signal in enumerate(SIGNALS):
        of_signal = np.equal(SIGNAL_OF_COLUMN, number)
        rises = np.concatenate([[0.0], np.cumsum(heights[of_signal])]) - (heights * mean)[of_signal].sum()
        points[signal.name] = make_bins(signal, (round(float(each), 4) + 0.0 for each in rises))
    return Scorecard(round(intercept, 4), points)


SIGNAL_OF_COLUMN = np.array([number for number, signal in enumerate(SIGNALS) for _ in signal.cuts])
"""The place in `SIGNALS` that each column of the fit belongs to: a column a cut."""


def _bins_of(members: Mapping[str, Values]) -> NDArray[np.int64]:
    """A row a member, a column a signal: the number of its bin."""
    signals = read_signals(members)
    return np.stack([find_bins(signals[signal.name], signal.cuts) for signal in SIGNALS], axis=1)


def _steps(bins: NDArray[np.int64]) -> tuple[Values, NDArray[np.bool_]]:
    """For each cut of each signal: 1 from the cut upwards, else 0; and whether the signal is known."""
    cut = np.concatenate([np.arange(len(signal.cuts)) for signal in SIGNALS])
    of_column = bins[:, SIGNAL_OF_COLUMN]
    return (of_column >= cut + 2).astype(np.float64), of_column > 0


def _balanced(is_fake: NDArray[np.bool_]) -> Values:
    return np.asarray(np.where(is_fake, 0.5 / is_fake.sum(), 0.5 / (~is_fake).sum()))


def _hide_in_turn(
    bins: NDArray[np.int64], is_fake: NDArray[np.bool_], weights: Values
) -> tuple[NDArray[np.int64], NDArray[np.bool_], Values]:
    """Every member once for each group of `HIDDEN`; members alike become one, with their weights together."""
    shown = [[signal.name not in hidden for signal in SIGNALS] for _, hidden in HIDDEN]
    seen = np.concatenate([np.column_stack([bins * each, is_fake]) for each in shown])
    often = np.concatenate([weight * weights for weight, _ in HIDDEN])
    codes = seen @ 16 ** np.arange(seen.shape[1])  # a number below 16 for each column, as hexadecimal digits
    _, first, group = np.unique(codes, return_index=True, return_inverse=True)
    together: Values = np.bincount(group, often).astype(np.float64)
    return seen[first, :-1], seen[first, -1] > 0, together


def _fit_steps(columns: Values, is_fake: NDArray[np.bool_], weights: Values) -> tuple[float, Values]:
    """Intercept and height of each step: Newton's method, steps that would go the wrong way held at 0.

    The loss is strictly convex (the ridge), so there is one answer; it is found to 1e-12, far below the rounding.
    """
    direction = np.array([0, *(signal.direction for signal in SIGNALS for _ in signal.cuts)])
    ridge = np.array([0.0, *(RIDGE * len(signal.cuts) for signal in SIGNALS for _ in signal.cuts)])
    rows = np.column_stack([np.ones(len(columns)), columns])
    sign = np.where(is_fake, 1.0, -1.0)

    def allowed(heights: Values) -> Values:
        return np.where(direction * heights < 0, 0.0, heights)

    def loss(heights: Values) -> float:
        return float(weights @ np.logaddexp(0, -sign * (rows @ heights)) + ridge @ heights**2 / 2)

    heights = np.zeros(rows.shape[1])
    for _ in range(200):
        wrong = 1 / (1 + np.exp(sign * (rows @ heights)))
        slope = rows.T @ (-weights * sign * wrong) + ridge * heights
        held = (direction != 0) & (heights == 0) & (direction * slope >= 0)
        if np.abs(slope[~held]).max() < 1e-12:
            return float(heights[0]), heights[1:]
        free = np.flatnonzero(~held)
        curve = (rows[:, free].T * (weights * wrong * (1 - wrong))) @ rows[:, free] + np.diag(ridge[free])
        move = np.zeros_like(heights)
        move[free] = np.linalg.solve(curve, -slope[free])
        length, before = 1.0, loss(heights)
        while length > 1e-10 and loss(allowed(heights + length * move)) > before + 1e-15:
            length /= 2
        heights = allowed(heights + length * move)
    raise ArithmeticError(f"the fit did not settle: the largest slope is still {np.abs(slope[~held]).max():.1e}")
