"""What a sample of followers may cost: nothing, unless settings allow it."""

from tests.collect.stage import Stage


def prepare(stage: Stage) -> None:
    """Let every sample cost eleven dollars, and a day enough for all of them."""
    stage.settings = stage.settings.model_copy(update={"x_audience_units": 1_100, "x_daily_units": 1_000_000})
