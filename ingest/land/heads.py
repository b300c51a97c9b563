"""Where each partition's chain ends in the lake: what to read next, and whether the chain is this log's at all."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import date

from ingest.errors import DependencyFailed
from ingest.land import chain, gaps
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

    def find(
        self, topic: Topic, logs: Mapping[int, Log], look_again: Callable[[], Mapping[int, Log]] | None = None
    ) -> dict[int, int]:
        """The head of each of the topic's partitions in `logs`: a point of the chain, mostly its end.

        Begins chains that have not begun, and records what left the log before it was landed. Raises Misconfigured
        when the chain is another topic's, or longer than the log. `look_again` asks for the logs anew: records may have
        come and landed since `logs` was taken, and then a chain only seems to be longer.
        """
        found = self._newest(topic, set(logs))
        if look_again and any(head > logs[partition].end for partition, head in found.items()):
            logs = {partition: look_again()[partition] for partition in logs}
        heads = {}
        for partition, part in sorted(logs.items()):
            slot = chain.Slot(topic.name, partition)
            head = found[partition] if partition in found else self._origin(slot, topic, part)
            chain.within_log(slot, head, part.end)
            heads[partition] = gaps.cross(self.store, slot, topic, head, part.start) if head < part.start else head
        return heads

    def passed(self, slot: chain.Slot, key: str) -> None:
        """Remember an object of the chain, so that the next look begins there."""
        self._last[slot] = key, time.monotonic()

    def day(self, slot: chain.Slot) -> date | None:
        """The day of the object that is remembered: of a day with an object of the chain, every worker knows."""
        return chain.day_in(self._last[slot][0]) if slot in self._last else None

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
        found = gaps.look(self.store, slot, topic, key)
        if found is None:
            return None
        if not found.fence:
            self.passed(slot, key)
        return gaps.reached(key, found)

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
