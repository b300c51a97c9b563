"""The landing's bench in short: every part runs, and every row is right. Timings decide nothing here."""

import sys
from dataclasses import replace

import pytest

from ingest.land.decode import Judged, judge
from ingest.settings import Settings
from tests.bench import parts
from tests.bench.generate import posts
from tests.bench.measure import run
from tests.bench.profile_land import report, stage
from tests.bench.report import Measured, table

SMALL = parts.Asked(events=4_000, runs=1, seed=3, idle_settle=0.1, idle_seconds=0.5, partitions=16, patience=0)


@pytest.mark.stack
@pytest.mark.parametrize("part", [parts.speed, parts.poison, parts.workers, parts.memory, parts.idle])
def test_every_row_of_a_part_is_right(part: parts.Part, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "POISON_LEAST", {0.5: 3.5})
    lines = part(settings, SMALL)
    assert lines
    assert all(line.right for line in lines)
    assert all(line.value > 0 for line in lines if line.part != "idle")


@pytest.mark.stack
def test_an_event_too_few_is_wrong(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = parts.fill
    monkeypatch.setattr(parts, "fill", lambda room, count, **how: replace(fill(room, count - 1, **how), events=count))
    assert not all(line.right for line in parts.memory(settings, SMALL))


@pytest.mark.parametrize("raw_bytes", [0, 1_600])
def test_generated_posts_keep_the_contract_have_ids_of_their_own_and_the_size_that_is_asked(raw_bytes: int) -> None:
    payloads = [payload for _, payload in posts(5_000, raw_bytes=raw_bytes)]
    judged = [judge("posts", payload) for payload in payloads]
    assert all(isinstance(verdict, Judged) and not verdict.beyond for verdict in judged)
    assert len({payload[:60] for payload in payloads}) == len(payloads)
    assert len(b"".join(payloads)) / len(payloads) == pytest.approx(455 + raw_bytes, rel=0.1)


def test_generated_posts_are_the_same_for_the_same_seed_and_broken_in_the_share_that_is_asked() -> None:
    assert list(posts(100, seed=7)) == list(posts(100, seed=7)) != list(posts(100, seed=8))
    broken = [payload for _, payload in posts(2_000, poison=0.5) if not isinstance(judge("posts", payload), Judged)]
    assert len(broken) == pytest.approx(1_000, rel=0.1)


def test_a_measured_process_counts_its_children_and_their_memory(settings_of_nothing: Settings) -> None:
    busy = "import time\nkept = bytearray({mb} << 20)\nwhile time.process_time() < {seconds}: pass"
    child, own = busy.format(mb=60, seconds=0.6), busy.format(mb=100, seconds=0.3)
    start = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {child!r}])"
    parent = f"{start}\n{own}\nchild.wait()"
    cost = run([sys.executable, "-c", parent], settings_of_nothing)
    assert 0.9 <= cost.cpu < 2
    assert 160 <= cost.peak < 260


def test_the_table_says_what_was_reached_and_what_was_missed() -> None:
    lines = [
        Measured("a", "share", 1.0, "x", 0.9, 1.2),
        Measured("a", "memory", 390, "MB", 450, 400, less_is_better=True),
        Measured("a", "seconds", 130, "s", 120, 90, less_is_better=True),
        Measured("a", "rows", 1, "x", 0.9, right=False),
    ]
    assert [line.verdict for line in lines] == ["reached", "aim reached", "MISSED", "ROWS WRONG"]
    assert "130 s" in table(lines)


@pytest.fixture
def settings_of_nothing() -> Settings:
    return Settings(_env_file=None)


def test_a_sample_belongs_to_the_stage_of_its_innermost_known_frame() -> None:
    outer = ["MainThread", "land (ingest/cli.py:120)", "Landing.poll (ingest/land/consumer.py:134)"]
    assert stage([*outer, "Consumer_consume (cimpl.so)", "0x7f (libc.so.6)"]) == "consume"
    assert stage([*outer, "Partition.land (ingest/land/partition.py:1)", "S3Store.put (ingest/land/store.py:9)"]) == (
        "PUT and other requests"
    )
    assert stage(["thread", "0x7f (libc.so.6)"]) == "rest"
    said = report(["MainThread;judge (ingest/land/decode.py:1) 3", "x 1"], {(1, "assay"): 3.0, (2, "rdk:main"): 1.0})
    assert "75%  Python" in said
    assert "75.0%  decode" in said
