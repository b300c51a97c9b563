"""What is told of a consent reaches staging once, however often it is told."""

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from ingest.contracts.examples import EXAMPLES
from ingest.settings import Settings
from ingest.warehouse.build import build
from tests.warehouse.lake import Lake

ARRIVED = datetime(2026, 9, 2, 12, tzinfo=UTC)

pytestmark = pytest.mark.stack


def test_each_state_of_a_consent_is_staged_once(settings: Settings) -> None:
    granted, withdrawn = EXAMPLES["consents"]
    lake = Lake(settings)
    lake.land([granted, withdrawn], arrived=ARRIVED)
    lake.land([granted, withdrawn], arrived=ARRIVED + timedelta(hours=1))
    lake.check("consents", checked_at=ARRIVED + timedelta(hours=2))
    build(settings)
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        found = connection.execute(
            "select platform, account_id, consent_id, state, scopes, observed_at::varchar, arrived_at::varchar"
            " from staging.stg_consents order by platform"
        ).fetchall()
    assert found == [
        ("x", "1700000000000000001", "c-2", "withdrawn", None, "2026-09-01 10:00:05", "2026-09-02 12:00:00"),
        ("youtube", "UCaaaaaaaaaaaaaaaaaaaaaa", "c-1", "granted",
         ["https://www.googleapis.com/auth/yt-analytics.readonly"], "2026-08-01 09:00:00", "2026-09-02 12:00:00"),
    ]  # fmt: skip
