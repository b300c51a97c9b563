"""Stopping a service: within its limit whatever hangs, at once the second time, and nothing lost or doubled by it."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from ingest.errors import DependencyFailed
from ingest.land import worker
from ingest.land.service import STOP_SECONDS
from ingest.settings import Settings
from ingest.stack import supervise
from tests.land.forwarder import Forwarder
from tests.land.lake import Follower, all_ok, produce, rows, send
from tests.land.payloads import post, wire

pytestmark = pytest.mark.stack
Found = TypeVar("Found")


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    one = Follower(tmp_path / "follow.log")
    yield one
    one.kill()


@contextmanager
def frozen(settings: Settings, part: str) -> Iterator[None]:
    """A part of the stack that takes connections and answers nothing."""
    states = supervise.states(settings)
    assert states is not None
    processes = psutil.Process(states[part].pid).children(recursive=True)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def patiently(work: Callable[[], Found], patience: float = 90.0) -> Found:
    """Run the same again while Kafka is away, as its message advises.

    A broker that was frozen past its session answers from what it still knows, is fenced, and then registers anew: it
    can be away again after a first good answer.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return work()
        except DependencyFailed:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def ended(follower: Follower, *signals: int, pause: float = 1.0) -> tuple[int, float]:
    """Exit code and seconds after the signals, each after a pause."""
    process = follower.process
    for number in signals[:-1]:
        process.send_signal(number)
        time.sleep(pause)
    begun = time.monotonic()
    process.send_signal(signals[-1])
    return process.wait(60), time.monotonic() - begun


@pytest.mark.parametrize("part", ["store", "kafka"])
def test_a_service_stops_within_its_limit_though_a_part_hangs(
    settings: Settings, stack: Settings, follower: Follower, part: str
) -> None:
    send(settings, "posts", [wire(post())] * 3)
    follower.start(settings)
    follower.wait_for("assigned partitions=28")
    time.sleep(2)
    with frozen(stack, part):
        code, seconds = ended(follower, signal.SIGTERM)
    assert code == 0
    assert seconds < STOP_SECONDS + 2
    patiently(lambda: worker.drain(settings))
    assert len(rows(settings)) == 3
    assert patiently(lambda: all_ok(settings))


def test_a_second_signal_ends_a_service_at_once(settings: Settings, stack: Settings, follower: Follower) -> None:
    send(settings, "posts", [wire(post())] * 3)
    follower.start(settings)
    follower.wait_for("assigned partitions=28")
    time.sleep(2)
    with frozen(stack, "store"):
        code, seconds = ended(follower, signal.SIGINT, signal.SIGTERM)
    assert code == -signal.SIGTERM
    assert seconds < 1


def test_a_service_whose_store_refuses_gives_up_what_it_has_when_it_stops(
    settings: Settings, follower: Follower
) -> None:
    send(settings, "posts", [wire(post())] * 3)
    with Forwarder(settings.s3_port) as way:
        follower.start(settings.model_copy(update={"s3_endpoint": way.address, "land_object_seconds": 4.0}))
        follower.wait_for("assigned partitions=28")
        time.sleep(2)
        way.close()
        follower.wait_for("put failed")
        code, seconds = ended(follower, signal.SIGTERM)
    assert (code, seconds < 5) == (0, True)
    assert "given up" in follower.wait_for("stopped")
    worker.drain(settings)
    assert len(rows(settings)) == 3


def test_services_that_are_stopped_while_they_share_out_partitions_lose_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    produce(settings, 3_000)
    followers = [Follower(tmp_path / f"{number}.log") for number in range(3)]
    try:
        followers[0].start(settings)
        followers[0].wait_for("assigned partitions=28")
        followers[1].start(settings)
        followers[2].start(settings)
        followers[1].wait_for("starting")
        followers[0].wait_for("revoked")
        for one in followers[:2]:
            one.process.send_signal(signal.SIGTERM)
        codes = [one.process.wait(STOP_SECONDS + 2) for one in followers[:2]]
        followers[2].wait_for("partitions=28")
        codes.append(followers[2].stop())
    except subprocess.TimeoutExpired:
        pytest.fail("\n".join(one.said() for one in followers))
    finally:
        for one in followers:
            one.kill()
    assert codes == [0, 0, 0]
    worker.drain(settings)
    assert all_ok(settings)
