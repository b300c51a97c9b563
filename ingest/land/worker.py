"""`assay land --drain`: land what is due now. Any number of drains and services may run at once."""

import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from ingest import events
from ingest.errors import Misconfigured
from ingest.land import chain
from ingest.land.broker import SILENCE_SECONDS, Broker, Log, silence
from ingest.land.consumer import BATCH, Landing
from ingest.land.heads import Heads
from ingest.land.partition import Partition
from ingest.land.probe import require_conditional_put
from ingest.land.store import S3Store
from ingest.settings import Settings

Progress = Callable[[str], None] | None


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
    found = broker.topics(topic_names(topics))
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
            reached = max(partition.position, landing.lag.ended(slot)) >= ends[slot]
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


def topic_names(topics: Iterable[str] | None) -> list[str]:
    """The lake's topics that are meant: these, or all. Raises Misconfigured for one that does not exist."""
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
    return Landing(settings, _HEADS[place], Broker(settings), SystemClock(), writer_name())


def writer_name() -> str:
    """Who writes, for the objects' metadata: host and process."""
    return f"{socket.gethostname()}/{os.getpid()}"


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
