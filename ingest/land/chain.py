"""The chain of objects that is the lake's record of what has landed. Pure: keys, heads and decisions; no I/O, no clock.

One partition, one contiguous range of offsets, one object, one conditional PUT: that PUT is the commit. An object's key
holds the offset that it starts at, its metadata the offset that the next one starts at (`next`). Any number of workers
compute the same key for the same start, so that exactly one of them can land it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from ingest.errors import Misconfigured

RAW: Final = "raw"
DAY_MS: Final = 86_400_000
FENCE: Final = "gap"
"""The attempt in the metadata of an empty object that a gap put where rows could still have landed."""
BUFFER_SECONDS: Final = 3600.0
"""Age at which buffered rows are discarded and read again, so that no worker holds rows that the log has dropped."""


@dataclass(frozen=True, order=True)
class Slot:
    """One partition of one topic (its name in the lake)."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Limits:
    """When an object is full. Because of the chain any trigger is safe; these keep objects well sized."""

    rows: int
    bytes: int
    seconds: float
    """Age of the oldest row, so that quiet topics land too."""


@dataclass(frozen=True)
class Landed:
    """What an object's metadata says of it."""

    next: int
    attempt: str
    topic_id: str

    @property
    def fence(self) -> bool:
        """Whether the object is an empty one that a gap put there."""
        return self.attempt == FENCE


@dataclass(frozen=True)
class Origin:
    """Where a partition's chain begins, and which topic it belongs to."""

    first: int
    topic_id: str


def dates_prefix(topic: str) -> str:
    """Below it lies one common prefix a day (and `_origin/`, `_gaps/`)."""
    return f"{RAW}/{topic}/"


def day_prefix(topic: str, day: date) -> str:
    """Below it lie a day's objects of all partitions."""
    return f"{RAW}/{topic}/date={day.isoformat()}/"


def object_key(slot: Slot, day: date, start: int) -> str:
    """Nothing else may be in the key: no writer, no wall clock, no end."""
    return f"{partition_prefix(slot, day)}{start:020d}.parquet"


def origin_key(slot: Slot) -> str:
    """Key of the partition's origin, put once."""
    return f"{RAW}/{slot.topic}/_origin/partition={slot.partition}.json"


def all_gaps_prefix(topic: str) -> str:
    """Below it lie the lost ranges of all partitions."""
    return f"{RAW}/{topic}/_gaps/"


def gaps_prefix(slot: Slot) -> str:
    """Below it lie the partition's lost ranges."""
    return f"{all_gaps_prefix(slot.topic)}partition={slot.partition}/"


def gap_key(slot: Slot, head: int) -> str:
    """Key of the range that was lost at `head`, put once."""
    return f"{gaps_prefix(slot)}{head}.json"


def opened_key(topic: str, day: date) -> str:
    """Key of a day's marker, put before the first object of a day: whoever fences a gap then knows the day."""
    return f"{day_prefix(topic, day)}_opened"


def partition_prefix(slot: Slot, day: date) -> str:
    """Below it lie a day's objects of one partition."""
    return f"{day_prefix(slot.topic, day)}partition={slot.partition}/"


def parse_gap_key(key: str) -> tuple[int, int]:
    """The inverse of `gap_key`: partition and first offset lost."""
    folder, _, name = key.rpartition("/")
    return int(folder.rpartition("=")[2]), int(name.removesuffix(".json"))


def days(prefixes: Iterable[str]) -> list[date]:
    """The days among a topic's common prefixes, newest first."""
    found = (prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes)
    return sorted((date.fromisoformat(name[5:]) for name in found if name.startswith("date=")), reverse=True)


def parse_key(key: str) -> tuple[int, int] | None:
    """Partition and start of an object's key; None for any other key."""
    folder, _, name = key.rpartition("/")
    partition = folder.rpartition("/partition=")[2]
    start, dot, kind = name.partition(".")
    if not (dot and kind == "parquet" and start.isdigit() and partition.isdigit()):
        return None
    return int(partition), int(start)


def day_in(key: str) -> date:
    """The day in an object's key."""
    return date.fromisoformat(key.partition("/date=")[2][:10])


def newest(keys: Iterable[str]) -> dict[int, str]:
    """The last key of each partition among a day's keys: a point of its chain, and mostly the end."""
    last: dict[int, tuple[int, str]] = {}
    for key in keys:
        parsed = parse_key(key)
        if parsed is not None:
            partition, start = parsed
            last[partition] = max(last.get(partition, (start, key)), (start, key))
    return {partition: key for partition, (_, key) in last.items()}


def day_of(timestamp_ms: int) -> date:
    """The UTC date of a Kafka timestamp: the date in the key of the object that the record is the first of."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp_ms)).date()


def metadata(landed: Landed, *, rows: int, poison: int, writer: str, schema_version: int) -> dict[str, str]:
    """An object's metadata; the Parquet footer carries the same."""
    return {
        "next": str(landed.next),
        "rows": str(rows),
        "poison": str(poison),
        "writer": writer,
        "attempt": landed.attempt,
        "schema_version": str(schema_version),
        "topic_id": landed.topic_id,
    }


def landed(key: str, found: Mapping[str, str]) -> Landed:
    """The inverse of `metadata`. Raises Misconfigured for an object that no landing wrote."""
    try:
        return Landed(int(found["next"]), found["attempt"], found["topic_id"])
    except (KeyError, ValueError) as error:
        raise Misconfigured(
            f"{key} lies in the landing's place but has no metadata of ours ({error}). Who wrote or copied it there? "
            "Move it elsewhere; the landing then goes on"
        ) from error


def origin_body(slot: Slot, origin: Origin) -> bytes:
    """The origin's object."""
    return json.dumps(
        {"topic": slot.topic, "partition": slot.partition, "first": origin.first, "topic_id": origin.topic_id}
    ).encode()


def read_origin(body: bytes) -> Origin:
    """The inverse of `origin_body`."""
    found = json.loads(body)
    return Origin(found["first"], found["topic_id"])


def gap_body(slot: Slot, head: int, end: int, noticed_at: str) -> bytes:
    """A lost range's object: offsets from `head` to before `end` left the log before they were landed."""
    return json.dumps(
        {"topic": slot.topic, "partition": slot.partition, "from": head, "to": end, "noticed_at": noticed_at}
    ).encode()


def read_gap(body: bytes) -> tuple[int, int]:
    """From and to of a lost range."""
    found = json.loads(body)
    return found["from"], found["to"]


def same_topic(slot: Slot, known: str, current: str) -> None:
    """Raises Misconfigured when the topic is another one than the chain was begun for."""
    if known != current:
        raise Misconfigured(
            f"topic {slot.topic} was deleted and made anew (its id was {known}, is {current}): its offsets begin again "
            f"at 0 and would be taken for landed. {ways_out(slot)}"
        )


def within_log(slot: Slot, head: int, end: int) -> None:
    """Raises Misconfigured when more has landed than the log ever held."""
    if head > end:
        raise Misconfigured(
            f"partition {slot.partition} of topic {slot.topic} has landed up to offset {head}, but the log ends at "
            f"{end}: the log was truncated, or it is another cluster's. {ways_out(slot)}"
        )


def ways_out(slot: Slot) -> str:
    """What a person can do about a chain that is not this log's."""
    return (
        f"Two ways out: (1) the landed rows are still wanted: move {dates_prefix(slot.topic)} to another prefix or "
        "bucket, then land again from the new log's start; (2) they are not: delete that prefix (locally `make clean` "
        "wipes broker and lake together)"
    )
