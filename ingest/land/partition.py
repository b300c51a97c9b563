"""One partition as one worker sees it: the chain's head, the rows buffered behind it, and the write that commits them.

Whatever goes wrong, the answer is the same: discard the buffer and read again from the head. Nothing here reads Kafka;
the worker hands records in and seeks where it is told to.
"""

import itertools
import logging
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Protocol

from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import CONTRACT
from ingest.land import chain, gaps
from ingest.land.encode import Chunk, ObjectWriter
from ingest.land.records import Records
from ingest.land.store import Put, Store

log = logging.getLogger("assay.land")

CHUNK_ROWS = 2_048
CHUNK_BYTES = 2 << 20
"""When buffered records are decoded."""
ROW_OVERHEAD = 400
"""Bytes that one buffered record takes beside its payload, about: Kafka's message, its key, Python's objects."""
PATIENCE_SECONDS = 120.0
"""How long one object is tried against a failing store; well under the consumer's longest pause between polls."""


class Clock(Protocol):
    """The worker's clock: seconds that only grow, and waiting."""

    def now(self) -> float: ...

    def wait(self, seconds: float) -> None: ...


class Ending(Enum):
    """What became of a buffer."""

    LANDED = "landed"
    SUPERSEDED = "superseded"
    """Another worker landed the range; the head is now past its object. Seek to the head."""
    STALE = "stale"
    """The buffer grew too old to be trusted. Find the head again."""


@dataclass
class Totals:
    """What one worker has landed of one partition."""

    rows: int = 0
    poison: int = 0
    objects: int = 0
    bytes: int = 0

    def add(self, after: "Totals", before: "Totals") -> None:
        """Count what came between two moments of one partition."""
        self.rows += after.rows - before.rows
        self.poison += after.poison - before.poison
        self.objects += after.objects - before.objects
        self.bytes += after.bytes - before.bytes


class Partition:
    """The chain of one slot, as far as one worker knows it, and the object in the making at its head."""

    def __init__(
        self,
        slot: chain.Slot,
        store: Store,
        *,
        head: int,
        topic_id: str,
        limits: chain.Limits,
        writer: str,
        clock: Clock,
        day: date | None = None,
    ) -> None:
        self.slot = slot
        self.head = head
        """Where the next object starts: a point of the chain, if not its end."""
        self.position = head
        """The next offset that is wanted of Kafka."""
        self.totals = Totals()
        self.last = ""
        """Key of the newest object that this worker landed."""
        self._store = store
        self._topic_id = topic_id
        self._limits = limits
        self._writer = writer
        self._clock = clock
        self._days = set() if day is None else {day}
        """Days with an object of the chain, or opened by us: whoever fences a gap lists them."""
        self._discard()

    def _discard(self) -> None:
        """Forget what is buffered; the next record must again be the one at the head."""
        self.position = self.head
        self._fresh = True
        self._asked: float | None = None
        self._doubted: int | None = None
        self._reset()

    def _reset(self) -> None:
        self._day: date | None = None
        self._opened = 0.0
        self._object: ObjectWriter | None = None
        self._pending: list[Records] = []
        self._pending_rows = 0
        self._pending_bytes = 0

    @property
    def rows(self) -> int:
        """Rows buffered."""
        return self._pending_rows + (self._object.rows if self._object else 0)

    @property
    def memory(self) -> int:
        """Bytes that the buffer holds, about."""
        return self._pending_bytes + self._pending_rows * ROW_OVERHEAD + (self._object.size if self._object else 0)

    @property
    def opened(self) -> float:
        """When the buffer's first record came, by the worker's clock."""
        return self._opened

    def due(self) -> bool:
        """Whether the buffer is full or old enough to land."""
        return bool(self.rows) and (self._room() <= 0 or self._age() >= self._limits.seconds)

    def begin(self, offset: int, timestamp: int) -> int | None:
        """Before the first record after an assignment or a seek: where to seek instead, None to go on.

        Walks the chain on while somebody's object lies at the head. A first record past the head is asked for twice:
        a gap in the log answers the same again, a message left over from before the seek does not.
        """
        if not self._fresh:
            return None
        if offset > self.head and self._doubted != offset:
            self._doubted = offset
            return self.head
        self._asked = self._clock.now()  # the slot is free now: the buffer's age counts from here
        found = self._store.head(self._key(chain.day_of(timestamp)))
        if found is None:
            self._fresh = False
            return None
        self._follow(chain.landed(found.key, found.metadata), chain.day_of(timestamp))
        return self.head

    def append(self, records: Records) -> Records:
        """Buffer records, as far as they belong into the object in the making; returns those that do not.

        While some are left, land the buffer and append them again.
        """
        start = next((at for at, offset in enumerate(records.offsets) if offset >= self.position), len(records))
        if start:
            records = records.cut(start)
        if not records:
            return records
        if self._day is None:
            self._day = chain.day_of(records.timestamps[0])
            self._opened, self._asked = self._clock.now() if self._asked is None else self._asked, None
        fit = min(self._room(), self._same_day(records.timestamps))
        taken, rest = (records, Records()) if fit >= len(records) else (records.cut(0, fit), records.cut(fit))
        if taken:
            self._pending.append(taken)
            self._pending_rows += len(taken)
            self._pending_bytes += sum(map(len, filter(None, taken.payloads)))
            self.position = taken.offsets[-1] + 1
            if self._pending_rows >= CHUNK_ROWS or self._pending_bytes >= CHUNK_BYTES:
                self._decode()
        return rest

    def compact(self) -> bool:
        """Need less memory for the same rows; False when that is not possible."""
        if not self._pending_rows and not (self._object and self._object.waiting):
            return False
        self._decode()
        if self._object is not None:
            self._object.compact()
        return True

    def land(self, patience: float = PATIENCE_SECONDS) -> Ending:
        """Write the buffer as one object at the head, with one conditional PUT; afterwards nothing is buffered.

        The same bytes are tried under the same key while the store fails. Raises DependencyFailed when it fails for
        longer than `patience` seconds (the buffer is then discarded: what landed after all, the next worker finds),
        Misconfigured when somebody else's object or another topic's chain is in the way.
        """
        if self._day is None:
            return Ending.LANDED
        day, next_offset, opened = self._day, self.position, self._opened
        key = self._key(day)
        self._decode()
        assert self._object is not None
        rows, poison = self._object.rows, self._object.poison
        landed = chain.Landed(next_offset, uuid.uuid4().hex, self._topic_id)
        body, metadata = self._object.close(landed, writer=self._writer, schema_version=CONTRACT)
        self._reset()
        self._opened = opened
        try:
            found = self._put(day, key, body, metadata, patience)
        except (DependencyFailed, Misconfigured):
            self._discard()
            raise
        if found is None:
            self._discard()
            return Ending.STALE
        if found.attempt != landed.attempt:
            self._follow(found, day)
            return Ending.SUPERSEDED
        self.head, self.last = next_offset, key
        self._reset()
        self.totals.rows += rows
        self.totals.poison += poison
        self.totals.objects += 1
        self.totals.bytes += len(body)
        return Ending.LANDED

    def discard(self) -> None:
        """Forget the buffer: it will be read again from the head, by whoever."""
        self._discard()

    def _put(self, day: date, key: str, body: bytes, metadata: dict[str, str], patience: float) -> chain.Landed | None:
        """What lies under the key in the end, ours or another's; None when the buffer can no longer be landed.

        It cannot when it grew too old, or when the range was recorded as lost before its day was known.
        """
        begun, pause = self._clock.now(), 0.1
        failure = DependencyFailed(f"{key}: the store answers 409 to every conditional PUT. Is it overloaded?")
        while self._age() < chain.BUFFER_SECONDS:
            log.info("put start key=%s bytes=%d attempt=%s", key, len(body), metadata["attempt"])
            try:
                if day not in self._days and not gaps.open_day(self._store, self.slot, day, self.head):
                    log.warning("too late key=%s: the log dropped its rows, and a gap is recorded", key)
                    return None
                self._days.add(day)
                outcome = self._store.put(key, body, metadata=metadata, if_absent=True)
                if outcome is Put.WRITTEN:
                    log.info("put done key=%s rows=%s next=%s", key, metadata["rows"], metadata["next"])
                    return chain.landed(key, metadata)
                if outcome is Put.REFUSED:
                    entry = self._store.head(key)
                    if entry is not None:
                        found = chain.landed(key, entry.metadata)
                        chain.same_topic(self.slot, found.topic_id, self._topic_id)
                        mine = found.attempt == metadata["attempt"]
                        log.info("put %s key=%s next=%s", "done" if mine else "superseded", key, found.next)
                        return found
            except DependencyFailed as error:
                failure = error
                log.warning("put failed key=%s retry_seconds=%.1f error=%s", key, pause, error)
            if self._clock.now() - begun + pause > patience:
                raise failure
            self._clock.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, 5.0)
        log.warning("buffer too old key=%s", key)
        return None

    def _follow(self, found: chain.Landed, day: date) -> None:
        chain.same_topic(self.slot, found.topic_id, self._topic_id)
        if not found.fence:
            self._days.add(day)
        self.head = found.next
        self._discard()

    def _decode(self) -> None:
        """Hand the pending records to the object in the making."""
        if not self._pending_rows:
            return
        if self._object is None:
            self._object = ObjectWriter(self.slot)
        parts, joined = self._pending, itertools.chain.from_iterable
        self._object.add(
            Chunk(
                offsets=list(joined(part.offsets for part in parts)),
                timestamps=list(joined(part.timestamps for part in parts)),
                keys=list(joined(part.keys for part in parts)),
                payloads=list(joined(part.payloads for part in parts)),
                sources=list(joined(part.sources for part in parts)),
            )
        )
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _room(self) -> int:
        """Rows that the object still takes."""
        size = self._pending_bytes + (self._object.size if self._object else 0)
        return 0 if size >= self._limits.bytes else self._limits.rows - self.rows

    def _same_day(self, timestamps: Sequence[int]) -> int:
        """How many of the first records are of the object's day."""
        low, high = min(timestamps), max(timestamps)
        if chain.day_of(low) == self._day == chain.day_of(high):
            return len(timestamps)
        return next(at for at, timestamp in enumerate(timestamps) if chain.day_of(timestamp) != self._day)

    def _age(self) -> float:
        return self._clock.now() - self._opened

    def _key(self, day: date) -> str:
        return chain.object_key(self.slot, day, self.head)
