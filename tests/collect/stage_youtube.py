"""The grant of a channel's owner: with it subscribers are listed and reports read."""

from tests.collect.owners import consent
from tests.collect.stage import Stage


def prepare(stage: Stage) -> None:
    """Let the owner of the first watched channel that is there consent, and no other."""
    consent(stage, most=1)
