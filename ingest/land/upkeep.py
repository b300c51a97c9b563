"""Which landed objects may be deleted, and deleting them: the one place of assay that ever removes landed rows.

An object goes only when nobody can land its range again and nobody needs it any more: it ends before the log begins, it
is not the last of its partition (that one says where the chain goes on), and a check covered it long enough ago. A slot
that is free again must not meet a worker that still holds its rows; hence twice the age at which buffers are given up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from ingest.land import chain
from ingest.land.broker import Log, Topic
from ingest.land.store import Put, Store

REST = timedelta(seconds=2 * chain.BUFFER_SECONDS)
"""An object is left alone for at least so long."""


@dataclass(frozen=True, order=True)
class Old:
    """An object that may go."""

    partition: int
    start: int
    next: int
    bytes: int
    key: str


class Record(msgspec.Struct, frozen=True):
    """What was deleted at one time, written before it was: a build then knows what it cannot read any more, and why."""

    topic: str
    expired_at: str
    objects: tuple[str, ...]


def old(
    store: Store, topic: Topic, logs: Mapping[int, Log], covered: Mapping[str, datetime], *, before: datetime
) -> list[Old]:
    """The topic's objects that may go, in the order in which they should.

    `covered` has the moment at which each object was checked, for those whose rows nothing waits for; `before` is the
    latest such moment that is long enough ago. Raises Misconfigured for an object of another topic's id.
    """
    present = [key for key in store.list(chain.dates_prefix(topic.name)) if chain.parse_key(key)]
    last: dict[int, int] = {}
    for partition, start in map(chain.parse_key, present):  # type: ignore[misc]  # those without were left out
        last[partition] = max(last.get(partition, start), start)
    found = []
    for key in present:
        if key not in covered or covered[key] > before:
            continue
        partition, start = chain.parse_key(key) or (0, 0)
        if start == last[partition] or partition not in logs or start >= logs[partition].start:
            continue
        entry = store.head(key)
        if entry is None:
            continue
        landed = chain.landed(key, entry.metadata)
        chain.same_topic(chain.Slot(topic.name, partition), landed.topic_id, topic.id)
        if landed.next <= logs[partition].start:
            found.append(Old(partition, start, landed.next, entry.size, key))
    return sorted(found)


def delete(store: Store, topic: str, objects: Iterable[Old], *, now: datetime) -> None:
    """Record the objects as expired, then delete them, oldest first: whatever is interrupted, the next time goes on."""
    keys = tuple(one.key for one in objects)
    if not keys:
        return
    record = Record(topic, now.isoformat(), keys)
    if store.put(expired_key(topic, now), msgspec.json.encode(record), if_absent=True) is not Put.WRITTEN:
        return  # another upkeep is at it
    for key in keys:
        store.delete(key)


def expired_prefix(topic: str = "") -> str:
    """Below it lie the records of what was deleted."""
    return f"state/expired/{topic}/" if topic else "state/expired/"


def expired_key(topic: str, now: datetime) -> str:
    """Key of the record of one time."""
    return f"{expired_prefix(topic)}{now:%Y%m%dT%H%M%S.%fZ}.json"


def expired(store: Store, topic: str) -> set[str]:
    """Keys of all objects that upkeep ever deleted, or was about to."""
    found: set[str] = set()
    for key in store.list(expired_prefix(topic)):
        stored = store.get(key)
        if stored is not None:
            found |= set(msgspec.json.decode(stored.body, type=Record).objects)
    return found
