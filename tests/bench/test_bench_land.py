"""The landing's bench in short: both ways read all events, and the lake is right. Timings decide nothing here."""

import pytest

from ingest.settings import Settings
from tests.bench.land import bench

pytestmark = pytest.mark.stack


def test_the_bench_lands_verifies_and_compares(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    bench(settings, 5_000, seed=3)
    said = capsys.readouterr().out
    assert "verify    green: 5,000 rows" in said
    assert "ratio     " in said
