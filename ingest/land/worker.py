"""`assay land`: drain what is due now, or serve until stopped. Any number of both may run at once."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from ingest import events
from ingest.errors import Misconfigured
from ingest.land import chain
from ingest.land.broker import Broker, Log
from ingest.land.consumer import BATCH, SILENCE_SECONDS, Landing, silence
from ingest.land.heads import Heads
from ingest.land.partition import Partition
from ingest.land.probe import require_conditional_put
from ingest.land.store import S3Store
from ingest.settings import Settings

log = logging.getLogger("assay.land")

Progress = Callable[[str], None] | None

CHECK_SECONDS = 20.0
"""How often a service looks whether its topics are still the ones it began with."""
STOP_SECONDS = 10.0
"""How long a service that is told to stop goes on writing what it has; the rest is read again by the next one."""


class SystemClock:
    """Seconds of this machine that only grow."""

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def drain(settings: Settings, topics: list[str] | None = None, progress: Progress = None) -> list[dict[str, Any]]:
    """Land everything up to the log's ends as they are now; done when the heads are there, whoever landed it.

    Returns a row per partition that moved: topic, partition, from, to, rows, poison, objects (those of this worker).
    Raises DependencyFailed when Kafka or the store fails for too long, Misconfigured for a topic that is not the one
    its chain began with, after all other topics have landed.
    """
    landing = _landing(settings)
    broker = landing.broker
    found = broker.topics(_names(topics))
    due: dict[str, dict[int, Log]] = {}
    for slot, part in broker.logs(found.values()).items():
        if part.start < part.end:
            due.setdefault(slot.topic, {})[slot.partition] = part
    refused: list[Misconfigured] = []
    ends: dict[chain.Slot, int] = {}
    for name, logs in due.items():
        try:
            landing.hold(found[name], logs)
        except Misconfigured as error:
            refused.append(error)
            continue
        ends |= {chain.Slot(name, partition): part.end for partition, part in logs.items()}
    starts = {slot: landing.partitions[slot].head for slot in ends}
    waiting = {slot for slot in ends if starts[slot] < ends[slot]}
    if waiting:
        with landing.reading():
            landing.consumer.assign([landing.place(slot) for slot in waiting])
            _drain(settings, landing, waiting, ends, progress)
            landing.settle(2.0)
    if refused:
        raise refused[0] if len(refused) == 1 else Misconfigured("\n".join(str(error) for error in refused))
    return [
        _row(landing.partitions[slot], starts[slot]) for slot in ends if landing.partitions[slot].head > starts[slot]
    ]


def _drain(
    settings: Settings, landing: Landing, waiting: set[chain.Slot], ends: dict[chain.Slot, int], progress: Progress
) -> None:
    """Land until no partition waits."""
    heard = said = time.monotonic()
    total = sum(ends[slot] - landing.partitions[slot].head for slot in waiting)
    while waiting:
        left = sum(max(0, ends[slot] - landing.partitions[slot].position) for slot in waiting)
        came = landing.poll(0.1, min(BATCH, max(left, 1)))
        landing.land_due()
        for slot in list(waiting):
            partition = landing.partitions[slot]
            reached = max(partition.position, landing.ended.get(slot, 0)) >= ends[slot]
            if reached and partition.rows and not landing.land(partition):
                landing.seek(landing.partitions[slot])
            elif reached and not partition.rows:
                waiting.discard(slot)
                landing.consumer.incremental_unassign([landing.place(slot)])
        now = time.monotonic()
        if came:
            heard = now
        elif now - heard > SILENCE_SECONDS:
            raise silence(settings)
        if progress and now - said > 5:
            said = now
            progress(f"landed {total - left:,} of {total:,} records")


def follow(settings: Settings, topics: list[str] | None = None) -> None:
    """Land as a member of the consumer group until SIGTERM or SIGINT: then write what is buffered, if quickly possible.

    Raises DependencyFailed when Kafka or the store fails for too long, Misconfigured when a topic is not the one its
    chain began with: a supervisor starts again after the first, a person mends the second.
    """
    logging.basicConfig(level=settings.log_level, format="time=%(asctime)s level=%(levelname)s %(message)s")
    landing = _landing(settings)
    broker, names = landing.broker, _names(topics)
    known = broker.topics(names)

    def assigned(_: Consumer, places: list[TopicPartition]) -> None:
        slots = [chain.Slot(place.topic[len(settings.topic_prefix) :], place.partition) for place in places]
        current = broker.topics(names)
        logs = broker.logs([current[name] for name in {slot.topic for slot in slots}])
        held = []
        for name in {slot.topic for slot in slots}:
            held += landing.hold(current[name], {slot.partition: logs[slot] for slot in slots if slot.topic == name})
        log.info("assigned partitions=%d", len(held))
        landing.consumer.incremental_assign(held)

    def revoked(_: Consumer, places: list[TopicPartition]) -> None:
        landing.release(places, STOP_SECONDS)

    def lost(_: Consumer, places: list[TopicPartition]) -> None:
        landing.release(places, 0.0)

    with landing.reading(), _stop_on_signal() as stopped:
        landing.consumer.subscribe(
            [settings.topic(name) for name in names], on_assign=assigned, on_revoke=revoked, on_lost=lost
        )
        checked = time.monotonic()
        while not stopped():
            landing.poll(0.5)
            landing.land_due()
            if time.monotonic() - checked > CHECK_SECONDS:
                checked = time.monotonic()
                for name, topic in broker.topics(names).items():
                    chain.same_topic(chain.Slot(name, 0), known[name].id, topic.id)
        log.info("stopping")
        landing.release([landing.place(slot) for slot in landing.partitions], STOP_SECONDS)
        landing.settle(2.0)
    log.info("stopped")


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT came; the handlers of before come back afterwards."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _names(topics: Iterable[str] | None) -> list[str]:
    names = list(topics or events.TOPICS)
    for name in names:
        if name not in events.TOPICS:
            raise Misconfigured(f"there is no topic {name!r}; there are {', '.join(events.TOPICS)}")
    return names


_HEADS: dict[tuple[str, ...], Heads] = {}


def _landing(settings: Settings) -> Landing:
    """A worker's parts. Store and heads are kept for the process: connections, the probe's answer, the last objects."""
    place = (settings.s3, settings.lake_bucket, settings.s3_access_key, settings.topic_prefix)
    if place not in _HEADS:
        store = S3Store(settings)
        require_conditional_put(store)
        _HEADS[place] = Heads(store)
    writer = f"{socket.gethostname()}/{os.getpid()}"
    return Landing(settings, _HEADS[place], Broker(settings), SystemClock(), writer)


def _row(partition: Partition, start: int) -> dict[str, Any]:
    return {
        "topic": partition.slot.topic,
        "partition": partition.slot.partition,
        "from": start,
        "to": partition.head,
        "rows": partition.totals.rows,
        "poison": partition.totals.poison,
        "objects": partition.totals.objects,
    }
