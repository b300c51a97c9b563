"""`make scorecard`: fits the scorecard on the training sets and writes the warehouse's seeds, byte for byte the same.

Prints what the score is worth on each set when the fit has not seen it.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ingest.audience.fit import LabelledSet, fit
from ingest.audience.scorecard import Scorecard, Values, write_seed
from ingest.audience.share import (
    MAXIMUM_WIDTH,
    MINIMUM_MEMBERS,
    MINIMUM_SCORED_SHARE,
    Accuracy,
    Draw,
    draw_accuracies,
)
from ingest.settings import ROOT

TRAINING = Path(__file__).parent / "training"
SEEDS = ROOT / "dbt_project" / "seeds"
SETS = ("instafake", "kaggle_ig", "tiktok", "cresci2017", "mib_int")
FIELDS = {
    "followers": "follower_count",
    "following": "following_count",
    "posts": "post_count",
    "has_picture": "has_picture",
    "is_private": "is_private",
    "is_verified": "is_verified",
    "bio_length": "bio_length",
    "has_external_url": "has_external_url",
    "handle_digit_share": "username_digit_share",
}
"""Events' fields, and the training sets' columns for them."""
DEFINITION = (
    "fake: an account operated to inflate counts (bought, bot-run), as labelled in five public sets of Instagram, "
    "TikTok and X; inactive members and mass followers are not fakes and are not counted here"
)


def main() -> None:
    """Fit, write the three seeds, print the accuracy on each set left out."""
    sets = [read_training(name) for name in SETS]
    left_out = [fit([other for other in sets if other is not each]) for each in sets]
    accuracies = [measure_accuracy(scorecard, each) for scorecard, each in zip(left_out, sets, strict=True)]
    for name, text in write_seeds(fit(sets), draw_accuracies(accuracies)).items():
        (SEEDS / name).write_text(text, encoding="utf-8", newline="\n")
    print("left out         AUC   Brier  sensitivity  specificity")
    aucs, briers = [], []
    for scorecard, each, accuracy in zip(left_out, sets, accuracies, strict=True):
        probability = scorecard.probability(each.members)
        aucs.append(area_under_curve(probability, each))
        briers.append(float(np.mean((probability - each.is_fake) ** 2)))
        row = f"{aucs[-1]:8.4f}{briers[-1]:8.4f}{accuracy.sensitivity:13.3f}{accuracy.specificity:13.3f}"
        print(f"{each.name:12s}{row}")
    print(f"{'mean':12s}{np.mean(aucs):8.4f}{np.mean(briers):8.4f}")


def read_training(name: str) -> LabelledSet:
    """One training set, the members by event field."""
    with gzip.open(TRAINING / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    members = {field: np.array([float(row[column] or "nan") for row in rows]) for field, column in FIELDS.items()}
    return LabelledSet(name, members, np.array([row["is_fake"] == "1" for row in rows]))


def measure_accuracy(scorecard: Scorecard, labelled: LabelledSet) -> Accuracy:
    """What the score is worth on a set that its fit has not seen."""
    probability = scorecard.probability(labelled.members)
    return Accuracy(float(probability[labelled.is_fake].mean()), float(1 - probability[~labelled.is_fake].mean()))


def area_under_curve(probability: Values, labelled: LabelledSet) -> float:
    """How often a fake scores above a genuine member, ties counting half."""
    fake = np.sort(probability[labelled.is_fake])
    genuine = probability[~labelled.is_fake]
    below = np.searchsorted(fake, genuine, side="left") + np.searchsorted(fake, genuine, side="right")
    return float(1 - below.mean() / (2 * len(fake)))


def write_seeds(scorecard: Scorecard, draws: Sequence[Draw]) -> dict[str, str]:
    """The seeds' texts by file name. The model's version is a digest of all that decides an estimate."""
    points = write_seed(scorecard)
    drawn = _write_rows(
        ("draw_number", "sensitivity", "specificity", "noise"),
        [
            (number, f"{each.sensitivity:.6f}", f"{each.specificity:.6f}", f"{each.noise:.6f}")
            for number, each in enumerate(draws, start=1)
        ],
    )
    rules = (MINIMUM_MEMBERS, MINIMUM_SCORED_SHARE, MAXIMUM_WIDTH, DEFINITION)
    version = "scorecard-" + hashlib.sha256("\n".join((points, drawn, repr(rules))).encode()).hexdigest()[:12]
    model = _write_rows(
        ("model_version", "minimum_members", "minimum_scored_share", "maximum_width", "definition"), [(version, *rules)]
    )
    return {"scorecard.csv": points, "scorecard_draws.csv": drawn, "scorecard_model.csv": model}


def _write_rows(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
