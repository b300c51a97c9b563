"""Over a gap: what the log dropped before it was landed is recorded once, and so that nothing can land there any more.

A worker that reads a record at the head knows the key of the object to come; a worker that finds the record gone does
not, because the date in the key left with the record. So both could go on, the one with rows that it read in time, the
other past them, and the lake would hold rows twice. Therefore:

1. Before its first object of a day, a worker *opens* the day (puts `date={d}/_opened`), and only then looks whether a
   gap is recorded at its head; if so, it gives its rows up.
2. Who finds a gap first records it (put if absent: that fixes where it ends), only then lists the days, and puts an
   empty object, a *fence*, at the head on every day: the very keys that rows could still be landed under.
3. Whoever finds an object with rows in place of a fence takes the rows, and withdraws the gap.

Either the day was listed, then one conditional PUT decides between rows and fence; or it was opened after the gap had
been recorded, then its opener sees the gap. No time limit is part of the argument. A day with an object of the chain
before the head needs no opening: that object was there before anybody could know of this head.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from ingest.errors import DependencyFailed
from ingest.events import CONTRACT
from ingest.land import chain
from ingest.land.broker import Topic
from ingest.land.encode import ObjectWriter
from ingest.land.store import Put, Store

CLOCK_BACK = timedelta(days=1)
"""By less than this a broker's clock is set back: records are of no earlier day than the one before it, less this."""

log = logging.getLogger("assay.land")


def look(store: Store, slot: chain.Slot, topic: Topic, key: str) -> chain.Landed | None:
    """What an object of the chain says of itself; None when there is none. Raises Misconfigured for another topic's."""
    entry = store.head(key)
    if entry is None:
        return None
    found = chain.landed(key, entry.metadata)
    chain.same_topic(slot, found.topic_id, topic.id)
    return found


def reached(key: str, found: chain.Landed) -> int:
    """How far the chain goes for certain. A fence only says that it came to where the fence stands: on another day rows
    may have landed there in time."""
    parsed = chain.parse_key(key)
    return parsed[1] if found.fence and parsed else found.next


def open_day(store: Store, slot: chain.Slot, day: date, head: int) -> bool:
    """Before the first object of a day: make the day known. False when a gap at the head came first."""
    if store.put(chain.opened_key(slot.topic, day), b"", if_absent=True) is Put.CONFLICT:
        raise DependencyFailed(f"{chain.opened_key(slot.topic, day)}: the store answers 409. Is it overloaded?")
    return store.head(chain.gap_key(slot, head)) is None


def cross(store: Store, slot: chain.Slot, topic: Topic, head: int, start: int) -> int:
    """The head after the ranges that the log, which begins at `start`, dropped before they were landed.

    The date in the key of an object at `head` can no longer be known, so the chain's end is looked for on every day.
    """
    while head < start:
        end, day = _end(store, slot, topic, head)
        head = end if end > head else _fence(store, slot, topic, (head, start), day)
    return head


def _end(store: Store, slot: chain.Slot, topic: Topic, head: int) -> tuple[int, date | None]:
    """How far the chain goes on any day, and the day of its newest object with rows."""
    newest: tuple[int, date | None] = (0, None)
    for day in _days(store, slot):
        key = chain.newest(store.list(chain.partition_prefix(slot, day))).get(slot.partition)
        found = look(store, slot, topic, key) if key else None
        if key and found:
            head = max(head, reached(key, found))
            if not found.fence and found.next > newest[0]:
                newest = found.next, day
    return head, newest[1]


def _fence(store: Store, slot: chain.Slot, topic: Topic, lost: tuple[int, int], since: date | None) -> int:
    """Record the lost range, and close it against late rows; the head after it, or after the rows that were first."""
    head, start = lost
    key = chain.gap_key(slot, head)
    noticed_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    first = store.put(key, chain.gap_body(slot, head, start, noticed_at), if_absent=True) is Put.WRITTEN
    record = store.get(key)
    if record is None:
        raise DependencyFailed(f"{key} was put and then was not there. Try again")
    _, end = chain.read_gap(record.body)
    body, metadata = ObjectWriter(slot).close(
        chain.Landed(end, chain.FENCE, topic.id), writer="", schema_version=CONTRACT
    )
    for day in _days(store, slot):
        if since and day < since - CLOCK_BACK:
            break
        place = chain.object_key(slot, day, head)
        if store.put(place, body, metadata=metadata, if_absent=True) is Put.WRITTEN:
            continue
        found = look(store, slot, topic, place)
        if found is None:
            raise DependencyFailed(f"{place} was refused as present and then was not there. Try again")
        if not found.fence:
            _withdraw(store, slot, topic, head)
            return found.next
    if first:
        log.error("gap topic=%s partition=%d from=%d to=%d", slot.topic, slot.partition, head, end)
    return end


def _withdraw(store: Store, slot: chain.Slot, topic: Topic, head: int) -> None:
    """Rows landed in time: nothing was lost at `head`. The record goes last, so that no fence stands without one."""
    for day in _days(store, slot):
        place = chain.object_key(slot, day, head)
        found = look(store, slot, topic, place)
        if found is not None and found.fence:
            store.delete(place)
    store.delete(chain.gap_key(slot, head))
    log.warning("no gap topic=%s partition=%d at=%d: its rows landed in time", slot.topic, slot.partition, head)


def _days(store: Store, slot: chain.Slot) -> Iterator[date]:
    """The topic's days in the lake, newest first."""
    yield from chain.days(store.list(chain.dates_prefix(slot.topic), delimiter="/"))
