"""A landing worker that is killed where it hurts loses nothing and doubles nothing. The long form: `make kill-land`."""

import pytest

from ingest.settings import Settings
from tests.chaos.kill_land import BETWEEN, DURING, kill_land
from tests.land.lake import produce

pytestmark = pytest.mark.stack


def test_kill_9_during_and_after_a_put_leaves_every_row_once(settings: Settings) -> None:
    small = settings.model_copy(update={"land_object_rows": 200})
    produce(small, 4_000)
    counted, right = kill_land(small, kills=3, each=1)
    assert {DURING, BETWEEN} <= {place for _, place in counted}
    assert right
