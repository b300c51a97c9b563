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

from ingest.audience.scorecard import SIGNALS, Scorecard, Values, make_bins, read_signals

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
    steps = np.concatenate([_steps(each.members) for each in sets])
    is_fake = np.concatenate([each.is_fake for each in sets])
    weights = np.concatenate([_balanced(each.is_fake) for each in sets]) / len(sets)

    known = ~np.isnan(steps)
    present = weights @ known
    mean = np.divide(weights @ np.where(known, steps, 0), present, out=np.zeros_like(present), where=present > 0)
    columns, is_fake, weights = _hide_in_turn(np.where(known, steps - mean, 0), is_fake, weights)
    intercept, heights = _fit_steps(columns, is_fake, weights)

    bins = {}
    for signal, of_signal in zip(SIGNALS, np.split(np.arange(len(heights)), _ends()), strict=True):
        rises = np.concatenate([[0.0], np.cumsum(heights[of_signal])])
        points = rises - (heights[of_signal] * mean[of_signal]).sum()
        bins[signal.name] = make_bins(signal, (round(float(each), 4) + 0.0 for each in points))
    return Scorecard(round(intercept, 4), bins)


def _steps(members: Mapping[str, Values]) -> Values:
    """A column for each cut of each signal: 1 from the cut upwards, else 0, NaN where the signal is unknown."""
    signals = read_signals(members)
    columns = []
    for signal in SIGNALS:
        values = signals[signal.name]
        columns += [np.where(np.isnan(values), np.nan, np.nan_to_num(values) >= cut) for cut in signal.cuts]
    return np.stack(columns, axis=1)


def _ends() -> list[int]:
    return list(np.cumsum([len(signal.cuts) for signal in SIGNALS])[:-1])


def _balanced(is_fake: NDArray[np.bool_]) -> Values:
    return np.asarray(np.where(is_fake, 0.5 / is_fake.sum(), 0.5 / (~is_fake).sum()))


def _hide_in_turn(
    columns: Values, is_fake: NDArray[np.bool_], weights: Values
) -> tuple[Values, NDArray[np.bool_], Values]:
    """Every member once for each group of `HIDDEN`; members alike become one, with their weights together."""
    of_column = np.array([signal.name for signal in SIGNALS for _ in signal.cuts])
    seen = [np.where(np.isin(of_column, list(hidden)), 0.0, columns) for _, hidden in HIDDEN]
    rows = np.concatenate([np.column_stack([np.tile(is_fake, len(HIDDEN)), np.concatenate(seen)])])
    often = np.concatenate([weight * weights for weight, _ in HIDDEN])
    order = np.lexsort(rows.T)
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(rows[order], axis=0) != 0).any(axis=1)]))
    alike = rows[order][starts]
    return alike[:, 1:], alike[:, 0] > 0, np.add.reduceat(often[order], starts)


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
