"""What a service says of itself over HTTP."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import metrics
from ingest.land.metrics import Vitals, WatchedStore, endpoints
from ingest.settings import Settings, load
from tests.land.lake import Follower, produce, send
from tests.land.memory import MemoryStore

KEY = "raw/posts/date=2026-11-22/partition=0/00000000000000000000.parquet"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def scrape(address: str) -> dict[str, float]:
    """Each metric's value summed over its labels, and by the value of its last label."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx2.get(f"{address}/metrics", trust_env=False).text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0) + sample.value
            for label in ("topic", "outcome", "kind"):
                if label in sample.labels:
                    name = f"{sample.name}:{sample.labels[label]}"
                    values[name] = values.get(name, 0) + sample.value
    return values


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    one = Follower(tmp_path / "follow.log")
    yield one
    one.kill()


@pytest.mark.stack
def test_a_service_shows_what_it_landed_and_what_waits(settings: Settings, follower: Follower) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    follower.start(settings.model_copy(update={"land_metrics_port": port, "land_object_seconds": 6.0}))
    follower.wait_for("assigned partitions=28")
    assert httpx2.get(f"{address}/readyz", trust_env=False).status_code == 200
    assert httpx2.get(f"{address}/healthz", trust_env=False).status_code == 200
    produce(settings, 2_000)
    send(settings, "notices", [b"no event"])
    time.sleep(2)
    waiting = scrape(address)
    assert waiting["assay_land_lag_events:posts"] == 2_000
    assert waiting["assay_land_lag_events:accounts"] == 0
    assert 8 <= waiting["assay_land_lag_seconds:posts"] < 8 * 30  # a value a partition, and each is seconds old
    assert waiting["assay_land_buffer_bytes"] > 100_000
    assert waiting["assay_land_partitions"] == 28
    end = time.monotonic() + 30
    while scrape(address)["assay_land_lag_events"]:
        assert time.monotonic() < end
        time.sleep(0.3)
    landed = scrape(address)
    assert (landed["assay_land_rows_total:posts"], landed["assay_land_poison_total:posts"]) == (2_000, 0)
    assert (landed["assay_land_rows_total:notices"], landed["assay_land_poison_total:notices"]) == (1, 1)
    assert landed["assay_land_objects_total"] == landed["assay_land_puts_total:written"] == 9
    assert landed["assay_land_commit_seconds_count"] == 9
    assert landed["assay_land_bytes_total"] > 10_000
    assert landed["assay_land_lag_seconds"] == landed["assay_land_buffer_bytes"] == 0
    assert landed["assay_land_rebalances_total:assigned"] >= 1
    assert follower.stop() == 0


@pytest.mark.stack
def test_a_taken_port_is_one_message_and_ends_with_2(settings: Settings, follower: Follower) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        follower.start(settings.model_copy(update={"land_metrics_port": port}))
        assert follower.process.wait(60) == 2
    assert f"127.0.0.1:{port}" in follower.said()
    assert "ASSAY_LAND_METRICS_PORT" in follower.said()
    assert "Traceback" not in follower.said()


class Answers:
    """Endpoints over a landing that never was."""

    def __init__(self) -> None:
        self.silent = 0.0
        self.vitals = Vitals(assigned=True)
        self.memory = MemoryStore()
        self.registry = CollectorRegistry()
        self.store = WatchedStore(self.memory, self.registry)
        self.landing: Any = SimpleNamespace(silent_seconds=lambda: self.silent)


@pytest.fixture
def answers() -> Iterator[tuple[Answers, str]]:
    one, settings = Answers(), load(_env_file=None, land_metrics_port=free_port())
    with endpoints(settings, one.registry, one.landing, one.vitals, one.store) as address:
        yield one, address


def test_health_fails_only_when_the_loop_has_not_polled_for_long(answers: tuple[Answers, str]) -> None:
    one, address = answers
    assert httpx2.get(f"{address}/healthz").status_code == 200
    one.vitals.broker = False
    one.silent = metrics.LIVE_SECONDS - 1
    assert httpx2.get(f"{address}/healthz").status_code == 200
    one.silent = metrics.LIVE_SECONDS + 1
    assert httpx2.get(f"{address}/healthz").status_code == 503


def test_readiness_needs_an_assignment_a_broker_and_a_store(answers: tuple[Answers, str]) -> None:
    one, address = answers
    assert httpx2.get(f"{address}/readyz").status_code == 200
    one.memory.faults = ["down"]
    with pytest.raises(DependencyFailed):
        one.store.put(KEY, b"", if_absent=True)
    down = httpx2.get(f"{address}/readyz")
    assert (down.status_code, "store no" in down.text) == (503, True)
    one.store.head(KEY)
    assert httpx2.get(f"{address}/readyz").status_code == 200
    one.vitals.broker = False
    assert "broker no" in httpx2.get(f"{address}/readyz").text
    one.vitals.broker, one.vitals.assigned = True, False
    assert "assigned no" in httpx2.get(f"{address}/readyz").text


def test_commits_are_counted_by_outcome_and_timed_when_written(answers: tuple[Answers, str]) -> None:
    one, address = answers
    one.memory.faults = ["down", "conflict"]
    for _ in range(4):
        try:
            one.store.put(KEY, b"", if_absent=True)
        except DependencyFailed:
            continue
    one.store.put("raw/posts/_gaps/partition=0/7.json", b"")
    said = scrape(address)
    assert [said[f"assay_land_puts_total:{outcome}"] for outcome in ("failed", "conflict", "written", "refused")] == [
        1
    ] * 4
    assert said["assay_land_commit_seconds_count"] == 1


def test_a_port_of_one_machine_is_for_one_worker() -> None:
    one = Answers()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = load(_env_file=None, land_metrics_port=listener.getsockname()[1])
        with (
            pytest.raises(Misconfigured, match="one for each worker"),
            endpoints(settings, one.registry, one.landing, one.vitals, one.store),
        ):
            pass
