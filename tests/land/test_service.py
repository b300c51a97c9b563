"""`assay land --follow` as a process: quiet topics, stopping, handing over, and others at work beside it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions

from ingest.land import worker
from ingest.settings import Settings
from tests.land.lake import Follower, admin, all_ok, make_anew, places, produce, rows, send
from tests.land.payloads import post, wire

pytestmark = pytest.mark.stack


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    one = Follower(tmp_path / "follow.log")
    yield one
    one.kill()


def test_a_service_lands_quiet_topics_by_age_and_stops_on_sigterm(settings: Settings, follower: Follower) -> None:
    quick = settings.model_copy(update={"land_object_seconds": 1.0})
    follower.start(quick)
    follower.wait_for("assigned partitions=28")
    send(settings, "notices", [b"{}"] * 2)
    said = follower.wait_for("commit topic")
    assert 'event="put done" key="raw/notices/' in said
    assert len(rows(settings, "notices")) == 2
    assert follower.stop() == 0
    assert "stopped" in follower.wait_for("stopped")


def test_a_service_that_is_stopped_lands_what_it_has_buffered(settings: Settings, follower: Follower) -> None:
    send(settings, "posts", [wire(post())] * 3)
    follower.start(settings)
    follower.wait_for("assigned partitions=28")
    time.sleep(3)
    assert rows(settings) == []
    assert follower.stop() == 0
    assert len(rows(settings)) == 3
    assert all_ok(settings)


def test_a_service_on_a_topic_made_anew_ends_with_2(settings: Settings, follower: Follower) -> None:
    send(settings, "posts", [wire(post())] * 5)
    worker.drain(settings)
    make_anew(settings, "posts")
    send(settings, "posts", [wire(post())])
    follower.start(settings)
    assert follower.process.wait(60) == 2
    assert "Two ways out" in follower.wait_for("made anew")


def test_partitions_that_are_added_meanwhile_are_landed_too(settings: Settings, follower: Follower) -> None:
    quick = settings.model_copy(update={"land_object_seconds": 1.0})
    follower.start(quick)
    follower.wait_for("assigned partitions=28")
    client, notices = admin(settings), settings.topic("notices")
    client.create_partitions([NewPartitions(notices, 3)])[notices].result()
    send(settings, "notices", [b"{}"], partition=2)
    follower.wait_for("raw/notices/date=", seconds=40)
    follower.wait_for("partition=2 offset=1", seconds=10)
    assert [(row["_partition"], row["_offset"]) for row in rows(settings, "notices")] == [(2, 0)]
    assert follower.stop() == 0


def test_two_services_share_the_partitions_and_hand_them_over(settings: Settings, tmp_path: Path) -> None:
    quick = settings.model_copy(update={"land_object_seconds": 1.0})
    first, second = Follower(tmp_path / "1.log"), Follower(tmp_path / "2.log")
    try:
        first.start(quick)
        first.wait_for("assigned partitions=28")
        produce(settings, 2_000)
        second.start(quick)
        second.wait_for("assigned partitions=")
        produce(settings, 2_000, seed=2)
        assert first.stop() == 0
        produce(settings, 1_000, seed=3)
        end = time.monotonic() + 60
        while sum(places(settings).values()) < 5_000 and time.monotonic() < end:
            time.sleep(0.5)
        assert second.stop() == 0
    finally:
        first.kill()
        second.kill()
    assert set(places(settings).values()) == {1}
    assert all_ok(settings)


def test_two_drains_and_a_service_at_once_land_every_event_once(settings: Settings, follower: Follower) -> None:
    small = settings.model_copy(update={"land_object_rows": 300})
    produce(settings, 8_000)
    follower.start(small)
    outcomes: list[list[dict[str, Any]]] = []
    threads = [threading.Thread(target=lambda: outcomes.append(worker.drain(small))) for _ in range(2)]
    for thread in threads:
        thread.start()
    produce(settings, 2_000, seed=2)
    for thread in threads:
        thread.join()
    worker.drain(small)
    follower.stop()
    counted = places(settings)
    assert (len(counted), set(counted.values())) == (10_000, {1})
    assert all_ok(settings)
