"""An approval for the Research API, as one would record it."""

from tests.collect.stage import Stage

APPROVAL = "approval 2026-17 of the sandbox"


def prepare(stage: Stage) -> None:
    """Record the approval."""
    stage.settings = stage.settings.model_copy(update={"tiktok_research_eligibility": APPROVAL})
