"""Where each partition's chain ends in the lake: what to read next, and whether the chain is this log's at all."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from ingest.errors import DependencyFailed
from ingest.land import chain
from ingest.land.broker import Log, Topic
from ingest.land.store import Put, Store

REMEMBERED_SECONDS = 60.0

log = logging.getLogger("assay.land")


class Heads:
    """Finds heads in one store.

    Remembers the last object seen of each partition for a while, so that asking again soon is one HEAD and no LIST:
    any object of the chain will do to go on from.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._last: dict[chain.Slot, tuple[str, float]] = {}

    def find(self, topic: Topic, logs: Mapping[int, Log]) -> dict[int, int]:
        """The head of each of the topic's partitions in `logs`: a point of the chain, mostly its end.

        Begins chains that have not begun, and records what left the log before it was landed. Raises Misconfigured
        when the chain is another topic's, or longer than the log.
        """
        found = self._newest(topic, set(logs))
        heads = {}
        for partition, part in sorted(logs.items()):
            slot = chain.Slot(topic.name, partition)
            head = found[partition] if partition in found else self._origin(slot, topic, part)
            chain.within_log(slot, head, part.end)
            heads[partition] = self._over_gaps(slot, topic, head, part) if head < part.start else head
        return heads

    def passed(self, slot: chain.Slot, key: str) -> None:
        """Remember an object of the chain, so that the next look begins there."""
        self._last[slot] = key, time.monotonic()

    def _newest(self, topic: Topic, wanted: set[int]) -> dict[int, int]:
        """`next` of the newest object of each partition that has one."""
        found: dict[int, int] = {}
        for partition in sorted(wanted):
            slot = chain.Slot(topic.name, partition)
            key, since = self._last.pop(slot, ("", 0.0))
            if key and time.monotonic() - since < REMEMBERED_SECONDS:
                head = self._next(slot, topic, key)
                if head is not None:
                    found[partition] = head
        missing = wanted - set(found)
        if not missing:
            return found
        for day in chain.days(self.store.list(chain.dates_prefix(topic.name), delimiter="/")):
            newest = chain.newest(self.store.list(chain.day_prefix(topic.name, day)))
            for partition in sorted(missing & set(newest)):
                head = self._next(chain.Slot(topic.name, partition), topic, newest[partition])
                if head is not None:
                    found[partition] = head
            missing -= set(found)
            if not missing:
                break
        return found

    def _next(self, slot: chain.Slot, topic: Topic, key: str) -> int | None:
        entry = self.store.head(key)
        if entry is None:
            return None
        landed = chain.landed(key, entry.metadata)
        chain.same_topic(slot, landed.topic_id, topic.id)
        self.passed(slot, key)
        return landed.next

    def _origin(self, slot: chain.Slot, topic: Topic, part: Log) -> int:
        """The first offset of a chain without objects: the log's first when any worker first looked."""
        key, origin = chain.origin_key(slot), chain.Origin(part.start, topic.id)
        found = self.store.get(key)
        if found is None:
            if self.store.put(key, chain.origin_body(slot, origin), if_absent=True) is Put.WRITTEN:
                return origin.first
            found = self.store.get(key)
            if found is None:
                raise DependencyFailed(f"{key} was refused as present and then was not there. Try again")
        known = chain.read_origin(found.body)
        chain.same_topic(slot, known.topic_id, topic.id)
        return known.first

    def _over_gaps(self, slot: chain.Slot, topic: Topic, head: int, part: Log) -> int:
        """The head after the ranges that the log dropped before they were landed; each is recorded, once.

        The date in the key of an object at `head` can no longer be known, so the chain's true end is looked for on
        every day first.
        """
        for day in chain.days(self.store.list(chain.dates_prefix(slot.topic), delimiter="/")):
            newest = chain.newest(self.store.list(chain.day_prefix(slot.topic, day)))
            if slot.partition in newest:
                head = max(head, self._next(slot, topic, newest[slot.partition]) or head)
        while head < part.start:
            key, noticed_at = chain.gap_key(slot, head), datetime.now(UTC).isoformat(timespec="milliseconds")
            body = chain.gap_body(slot, head, part.start, noticed_at)
            if self.store.put(key, body, if_absent=True) is Put.WRITTEN:
                log.error("gap topic=%s partition=%d from=%d to=%d", slot.topic, slot.partition, head, part.start)
                return part.start
            found = self.store.get(key)
            if found is None:
                raise DependencyFailed(f"{key} was refused as present and then was not there. Try again")
            _, head = chain.read_gap(found.body)
        return head
