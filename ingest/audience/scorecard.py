"""The scorecard of an audience member: signals of the profile, cut into bins, each bin worth points. Pure.

The score is the intercept plus the points of every signal; it is the log-odds of *fake* where fake and genuine are as
common as each other. An unknown signal is worth nothing either way: points are measured from the average member, so
that null moves no score. `fit.py` makes the points; the warehouse scores with the same seed in SQL.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""One number a member; NaN is unknown, truth is 1 or 0."""


@dataclass(frozen=True)
class Signal:
    """What the score looks at: where it is cut, and which way it may only point.

    A value equal to a cut belongs to the bin above it. `direction` 1: more of it never lowers the score; -1: never
    raises it; 0: the data decide.
    """

    name: str
    cuts: tuple[float, ...]
    direction: int


SIGNALS = (
    Signal("followers", (1, 3, 10, 20, 30, 50, 100, 200, 400, 800, 2000, 10000), -1),
    Signal("posts", (1, 2, 4, 8, 16, 30, 60, 120, 250, 1000), -1),
    Signal("following_per_follower", (0.1, 0.3, 0.6, 1, 1.5, 2.5, 4, 8, 16, 32, 100), 1),
    Signal("following", (10, 30, 100, 200, 400, 800, 1500, 3000, 5000), 1),
    Signal("has_picture", (1,), -1),
    Signal("is_private", (1,), 0),
    Signal("is_verified", (1,), -1),
    Signal("bio_length", (1, 10, 30, 60, 100), -1),
    Signal("has_external_url", (1,), -1),
    Signal("handle_digit_share", (0.001, 0.1, 0.2, 0.3, 0.4), 1),
)
"""In the order in which points are added up, here and in the warehouse. Left out: the handle's length, which told
nothing across platforms, and the account's age and the name's length, which no training set knows."""


@dataclass(frozen=True)
class Bin:
    """`lower` <= value < `upper` (None: no bound); number 0 is the unknown value, without bounds."""

    signal: str
    number: int
    lower: float | None
    upper: float | None
    points: float


@dataclass(frozen=True)
class Scorecard:
    """What the seed says: the intercept, and the bins of every signal in order of their number, unknown first."""

    intercept: float
    bins: Mapping[str, tuple[Bin, ...]]

    def points(self, members: Mapping[str, Values]) -> dict[str, Values]:
        """The points of each signal of each member. `members` is by event field; a field left out is unknown."""
        signals = read_signals(members)
        return {
            name: np.array([each.points for each in bins])[
                find_bins(signals[name], [each.lower for each in bins if each.lower is not None])
            ]
            for name, bins in self.bins.items()
        }

    def score(self, members: Mapping[str, Values]) -> Values:
        """Log-odds of fake of each member, added up in the order of the signals."""
        points = self.points(members)
        total = np.full(len(next(iter(points.values()))), self.intercept)
        for of_signal in points.values():
            total = total + of_signal
        return total

    def probability(self, members: Mapping[str, Values]) -> Values:
        """Probability of fake of each member, were fake and genuine as common as each other."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.score(members))))


def read_signals(members: Mapping[str, Values]) -> dict[str, Values]:
    """Each signal of each member, NaN where a field that it needs is unknown.

    One is added to both counts of the ratio, so that an account without followers has one.
    """
    size = len(next(iter(members.values())))
    unknown = np.full(size, np.nan)

    def field(name: str) -> Values:
        return np.asarray(members.get(name, unknown), dtype=np.float64)

    ratio = (field("following") + 1) / (field("followers") + 1)
    return {each.name: ratio if each.name == "following_per_follower" else field(each.name) for each in SIGNALS}


def find_bins(values: Values, cuts: Sequence[float]) -> NDArray[np.int64]:
    """The number of the bin that each value falls in: 1 is below the first cut, 0 is unknown."""
    return np.where(np.isnan(values), 0, np.searchsorted(cuts, np.nan_to_num(values), side="right") + 1)


def make_bins(signal: Signal, points: Iterable[float]) -> tuple[Bin, ...]:
    """The signal's bins from below, with `points` for each, after the one of the unknown value."""
    bounds = (None, *signal.cuts, None)
    known = (
        Bin(signal.name, number, lower, upper, each)
        for number, ((lower, upper), each) in enumerate(zip(pairwise(bounds), points, strict=True), start=1)
    )
    return (Bin(signal.name, 0, None, None, 0.0), *known)


COLUMNS = ("signal", "bin_number", "lower_bound", "upper_bound", "points")


def write_seed(scorecard: Scorecard) -> str:
    """The scorecard as the text of `scorecard.csv`; the intercept is a signal with the one bin 0."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerow(("intercept", 0, "", "", f"{scorecard.intercept:.4f}"))
    for bins in scorecard.bins.values():
        for each in bins:
            bounds = ("" if bound is None else f"{bound:g}" for bound in (each.lower, each.upper))
            rows.writerow((each.signal, each.number, *bounds, f"{each.points:.4f}"))
    return text.getvalue()


def read_seed(text: str) -> Scorecard:
    """The scorecard out of the text of `scorecard.csv`."""
    bins: dict[str, tuple[Bin, ...]] = {}
    intercept = 0.0
    for row in csv.DictReader(io.StringIO(text)):
        name, points = row["signal"], float(row["points"])
        if name == "intercept":
            intercept = points
            continue
        lower, upper = (float(row[bound]) if row[bound] else None for bound in ("lower_bound", "upper_bound"))
        bins[name] = (*bins.get(name, ()), Bin(name, int(row["bin_number"]), lower, upper, points))
    return Scorecard(intercept, bins)


if __name__ == "__main__":
    from ingest.audience.seeds import main

    main()
