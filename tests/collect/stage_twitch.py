"""Grants of the watched channels' owners: without them nobody lists followers."""

from tests.collect.owners import consent
from tests.collect.stage import Stage


def prepare(stage: Stage) -> None:
    """Let the owner of every watched channel that is there consent."""
    consent(stage)
