"""Grants of the watched accounts' owners: without them nobody reads insights, nor who comments."""

from tests.collect.owners import consent
from tests.collect.stage import Stage


def prepare(stage: Stage) -> None:
    """Let the owner of every watched account that is there consent."""
    consent(stage)
