"""`assay verify`: is the lake exactly what the broker holds? Ranges must tile, and every offset be there once.

The window is each partition's log from its start to its end as they are when the look begins. Lag is no error: what
has not landed yet is counted, not blamed. Both sides are read in full: every object of the window, every record.
Objects are fetched a few at a time: most of an object's time is waiting for the store.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, TopicPartition

from ingest import events
from ingest.errors import Misconfigured
from ingest.land import chain
from ingest.land.broker import SILENCE_SECONDS, Broker, Log, Topic, close, consumer_settings, silence
from ingest.land.consumer import BATCH
from ingest.land.store import S3Store, Store
from ingest.settings import Settings

Offsets = npt.NDArray[np.int64]
Progress = Callable[[str], None] | None

FETCHES = 8
"""Objects fetched at once: at most half a gigabyte of the largest."""
SHOWN = 3
"""How many differences of a kind a line names."""


@dataclass
class Chain:
    """What the lake holds of one partition, in the window."""

    head: int
    """Up to here the lake claims to be complete."""
    offsets: list[Offsets] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def verify(settings: Settings, topics: list[str] | None = None, progress: Progress = None) -> list[dict[str, Any]]:
    """A row per partition: topic, partition, from, to, rows, lag, ok, difference.

    `from` and `to` are the offsets compared (half-open), `rows` the lake's rows among them. Raises DependencyFailed
    when Kafka or the store does not answer.
    """
    store, broker = S3Store(settings), Broker(settings)
    for name in topics or ():
        if name not in events.TOPICS:
            raise Misconfigured(f"there is no topic {name!r}; there are {', '.join(events.TOPICS)}")
    found = broker.topics(topics or list(events.TOPICS))
    logs = broker.logs(found.values())
    chains: dict[chain.Slot, Chain] = {}
    for name, topic in found.items():
        if progress:
            progress(f"reading the lake's {name}")
        parts = {slot.partition: part for slot, part in logs.items() if slot.topic == name}
        chains |= read_lake(store, topic, parts)
    windows = {slot: Log(part.start, min(part.end, chains[slot].head)) for slot, part in logs.items()}
    held = _read_broker(settings, windows, progress)
    rows = []
    for slot, later in broker.logs(found.values()).items():
        if chains[slot].head > later.end:
            chains[slot].faults.append(f"the lake is at {chains[slot].head}, past the log's end {later.end}")
        # What the log dropped during the look can no longer be compared; what came since is not in the window.
        window = Log(max(logs[slot].start, later.start), logs[slot].end)
        rows.append(compare(slot, window, chains[slot], held.get(slot, _NONE)))
    return rows


@dataclass
class Listing:
    """What lies in the lake under one partition's names."""

    first: int
    """Where the chain begins, or the log where that is later."""
    keys: dict[int, list[str]] = field(default_factory=dict)
    """Objects by their start: one, and where rows were lost perhaps a fence on each of several days."""
    gaps: dict[int, int] = field(default_factory=dict)
    """Lost ranges: from and to."""
    faults: list[str] = field(default_factory=list)


def read_lake(store: Store, topic: Topic, logs: Mapping[int, Log]) -> dict[chain.Slot, Chain]:
    """The chain of each partition, with the offsets that its objects hold from the log's start on."""
    listings = {}
    for partition, log in logs.items():
        slot = chain.Slot(topic.name, partition)
        origin = store.get(chain.origin_key(slot))
        listings[partition] = Listing(max(log.start, chain.read_origin(origin.body).first if origin else 0))
        for key in store.list(chain.gaps_prefix(slot)):
            gap = store.get(key)
            if gap is not None:
                start, end = chain.read_gap(gap.body)
                listings[partition].gaps[start] = end
    for key in store.list(chain.dates_prefix(topic.name)):
        parsed = chain.parse_key(key)
        if parsed is not None and parsed[0] in listings:
            partition, start = parsed
            listings[partition].keys.setdefault(start, []).append(key)
    return {
        (slot := chain.Slot(topic.name, partition)): _read_chain(store, slot, topic, listing)
        for partition, listing in listings.items()
    }


def _read_chain(store: Store, slot: chain.Slot, topic: Topic, listing: Listing) -> Chain:
    """Walk the partition's objects in order and hold each against where it should begin."""
    first, gaps = listing.first, listing.gaps
    starts = sorted(listing.keys)
    # Read from the object that holds `first` on, and one more: it might reach into the window where it should not.
    begin = max(bisect_right(starts, first) - 2, 0)
    result = Chain(head=first, faults=listing.faults)
    expected: int | None = None
    for start, objects in _fetch(store, slot, topic, {start: listing.keys[start] for start in starts[begin:]}):
        if None in objects:
            result.faults.append(f"an object at {start} vanished during the look")
        held = [found for found in objects if found is not None and not found.is_fence]
        if len(held) > 1:
            result.faults.append(f"{len(held)} objects start at {start}")
        if not held:
            continue  # fences: that rows were lost here is said by the gap
        end = max(found.end for found in held)
        for found in held:
            result.faults += found.faults
            result.offsets.append(found.offsets)
        if expected is None:
            expected = min(start, first)
        while expected in gaps and expected < start:
            expected = gaps[expected]
        if start > expected:
            result.faults.append(f"no object for {expected} to {start}")
        elif start < expected:
            result.faults.append(f"the object at {start} overlaps: the chain is at {expected} already")
        expected = max(expected, start, end)
    head = first if expected is None else expected
    while head in gaps:
        head = gaps[head]
    result.head = max(head, first)
    return result


@dataclass(frozen=True)
class Found:
    """One object as it was read."""

    end: int
    offsets: Offsets
    faults: list[str]
    is_fence: bool = False
    """It holds the place of rows that were lost, and no rows."""


def _fetch(
    store: Store, slot: chain.Slot, topic: Topic, keys: Mapping[int, list[str]]
) -> Iterator[tuple[int, list[Found | None]]]:
    """Every start with its objects, in the order of `keys`; None for an object that is not there."""

    def read(start: int, names: list[str]) -> list[Found | None]:
        bodies = (store.get(name) for name in names)
        return [None if body is None else _read_object(slot, topic, start, body.body) for body in bodies]

    with ThreadPoolExecutor(FETCHES) as pool:
        waiting: deque[tuple[int, Future[list[Found | None]]]] = deque()
        for start, names in keys.items():
            waiting.append((start, pool.submit(read, start, names)))
            if len(waiting) == FETCHES:
                first, reading = waiting.popleft()
                yield first, reading.result()
        for first, reading in waiting:
            yield first, reading.result()


def _read_object(slot: chain.Slot, topic: Topic, start: int, body: bytes) -> Found:
    """An object's range, its offsets, and what is wrong with it by itself."""
    try:
        parquet = pq.ParquetFile(pa.BufferReader(body))
        footer = {key.decode(): value.decode() for key, value in (parquet.metadata.metadata or {}).items()}
        landed = chain.landed(f"the object at {start}", footer)
        table = parquet.read(columns=["_topic", "_partition", "_offset"])
    except (pa.ArrowException, Misconfigured) as error:
        return Found(start, _NONE, [f"the object at {start} cannot be read: {error}"])
    faults = []
    if landed.topic_id != topic.id:
        faults.append(f"the object at {start} belongs to a topic of another id ({landed.topic_id})")
    for name, only in (("_topic", slot.topic), ("_partition", slot.partition)):
        others = [value for value in table.column(name).unique().to_pylist() if value != only]
        if others:
            faults.append(f"the object at {start} holds rows of {name} {_some(others)}")
    if footer.get("rows") != str(table.num_rows):
        faults.append(f"the object at {start} holds {table.num_rows} rows, its footer says {footer.get('rows')}")
    offsets: Offsets = table.column("_offset").to_numpy()
    foreign = offsets[(offsets < start) | (offsets >= landed.next)]
    if len(foreign):
        faults.append(f"the object at {start} to {landed.next} holds foreign offsets {_some(foreign)}")
    return Found(landed.next, offsets, faults, is_fence=landed.fence and not len(offsets))


def compare(slot: chain.Slot, log: Log, lake: Chain, held: Offsets) -> dict[str, Any]:
    """The row of one partition: the lake's chain against the offsets that the broker holds."""
    faults = list(lake.faults)
    end = max(min(lake.head, log.end), log.start)
    landed = np.concatenate(lake.offsets) if lake.offsets else _NONE
    landed = np.sort(landed[(landed >= log.start) & (landed < end)])
    held = np.unique(held[(held >= log.start) & (held < end)])
    single = np.unique(landed)
    if len(single) < len(landed):
        faults.append(f"doubled: {_some(landed[:-1][landed[:-1] == landed[1:]])}")
    missing, foreign = np.setdiff1d(held, single), np.setdiff1d(single, held)
    if len(missing):
        faults.append(f"missing: {_some(missing)}")
    if len(foreign):
        faults.append(f"not on the broker: {_some(foreign)}")
    return {
        "topic": slot.topic,
        "partition": slot.partition,
        "from": log.start,
        "to": end,
        "rows": len(landed),
        "lag": max(log.end - end, 0),
        "ok": not faults,
        "difference": "; ".join(faults) or None,
    }


def _some(values: Iterable[object]) -> str:
    several = list(values)
    shown = ", ".join(str(value) for value in several[:SHOWN])
    return shown if len(several) <= SHOWN else f"{shown} … ({len(several)} in all)"


def _read_broker(
    settings: Settings, windows: Mapping[chain.Slot, Log], progress: Progress
) -> dict[chain.Slot, Offsets]:
    """Every offset of a record that the broker holds in the windows."""
    waiting = {
        (settings.topic(slot.topic), slot.partition): (slot, window)
        for slot, window in windows.items()
        if window.start < window.end
    }
    found: dict[chain.Slot, list[int]] = {slot: [] for slot, _ in waiting.values()}
    if not waiting:
        return {}
    # Records may leave the log while they are read: then reading goes on where it begins.
    consumer = Consumer(consumer_settings(settings) | {"auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(*place, window.start) for place, (_, window) in waiting.items()])
        heard = said = time.monotonic()
        while waiting:
            messages = consumer.consume(BATCH, 0.2)
            for message in messages:
                place = (str(message.topic()), int(message.partition() or 0))
                offset, error = int(message.offset() or 0), message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise Broker(settings).failure(error)
                if place not in waiting:
                    continue
                slot, window = waiting[place]
                if error is None:
                    found[slot].append(offset)
                if offset >= window.end - (error is None):
                    del waiting[place]
                    consumer.incremental_unassign([TopicPartition(*place)])
            now = time.monotonic()
            heard = now if messages else heard
            if now - heard > SILENCE_SECONDS:
                raise silence(settings)
            if progress and now - said > 5:
                said = now
                progress(f"read {sum(map(len, found.values())):,} records of the broker")
    finally:
        close(consumer)
    return {slot: np.array(offsets, np.int64) for slot, offsets in found.items()}


_NONE: Offsets = np.array([], np.int64)
