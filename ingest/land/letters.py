"""Dead letters as the lake holds them: poison of any topic, and answers that no collector could read.

What checks have looked at is read, whatever their verdict: what comes of a letter is checked again when it lands. A
letter is known by the id that staging gives it. Which were replayed is recorded beside the lake's manifests, put once
and never changed: `replays/{number:08d}.json` lists the ids of one batch after Kafka has acknowledged its events.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, get_args

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest import events
from ingest.land import chain
from ingest.land.columns import ENVELOPE, typed_schema
from ingest.land.store import Put, Store
from ingest.settings import ROOT
from ingest.warehouse import manifests

ANSWERS = "dead_letters"
"""The topic whose good events are unreadable answers."""
REPLAYS = "replays/"
REASONS = ROOT / "dbt_project" / "seeds" / "poison_reasons.csv"
OTHER = "other"
PLATFORMS = frozenset(get_args(events.Platform))

Kind = Literal["poison", "unreadable_answer"]


@dataclass(frozen=True)
class Letter:
    """One dead letter."""

    kind: Kind
    letter_id: str
    """As in staging: the event id of an answer; topic, partition and offset of poison."""
    topic: str
    platform: str | None
    """The answer's; of poison what its key claims, where that is a platform."""
    reason: str
    """The collector's word; of poison the class that its error belongs to."""
    key: bytes | None
    payload: bytes | None
    """Poison's bytes."""
    answer: dict[str, Any]
    """The fields of the dead letter that an answer is in; empty for poison."""


@dataclass(frozen=True)
class Wanted:
    """Which letters are meant; None means any. `since` is inside and `until` not; both are moments of arrival."""

    topic: str | None = None
    platform: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Replay(msgspec.Struct, frozen=True):
    """Letters whose events are on Kafka again."""

    number: int
    replayed_at: str
    letters: tuple[str, ...]


def reason_of(error: str) -> str:
    """The class of a poison row's error, which itself may quote values; `other` where none of the seed's fits."""
    return next((reason for pattern, reason in _reasons() if pattern.search(error)), OTHER)


def find(store: Store, wanted: Wanted) -> Iterator[Letter]:
    """The letters that checks have seen, each once, topic by topic in the order of arrival within a partition.

    Raises DependencyFailed when the store does not answer.
    """
    seen: set[str] = set()
    for topic in [wanted.topic] if wanted.topic else events.TOPICS:
        for manifest in manifests.read_all(store, topic):
            if manifest.kind != "check" or (not manifest.poison and topic != ANSWERS):
                continue
            for key in manifest.objects:
                if not _may_hold(key, wanted):
                    continue
                for letter in _read(store, topic, key, wanted):
                    if letter.letter_id not in seen and _is_meant(letter, wanted):
                        seen.add(letter.letter_id)
                        yield letter


def replayed(store: Store) -> set[str]:
    """Ids of all letters that were replayed."""
    found: set[str] = set()
    for key in store.list(REPLAYS):
        stored = store.get(key)
        if stored is not None:
            found.update(msgspec.json.decode(stored.body, type=Replay).letters)
    return found


def record(store: Store, letter_ids: Sequence[str], *, now: datetime) -> None:
    """Mark letters as replayed. Two at once are safe: each takes the next free number."""
    number = max((int(key[-13:-5]) for key in store.list(REPLAYS)), default=0)
    written = Put.REFUSED
    while written is not Put.WRITTEN:
        number += written is Put.REFUSED
        body = msgspec.json.format(
            msgspec.json.encode(Replay(number, events.instant(now), tuple(letter_ids))), indent=1
        )
        written = store.put(f"{REPLAYS}{number:08d}.json", body, if_absent=True)


def _may_hold(key: str, wanted: Wanted) -> bool:
    """Whether the object of a day can hold letters of the time that is meant."""
    days = chain.days([key.partition("/partition=")[0]])
    if not days:
        return True
    return not ((wanted.since and days[0] < wanted.since.date()) or (wanted.until and days[0] > wanted.until.date()))


def _is_meant(letter: Letter, wanted: Wanted) -> bool:
    return (wanted.platform is None or letter.platform == wanted.platform) and (
        wanted.reason is None or letter.reason == wanted.reason
    )


def _read(store: Store, topic: str, key: str, wanted: Wanted) -> Iterator[Letter]:
    """The letters of one object: only the row groups and columns that can hold some."""
    stored = store.get(key)
    if stored is None:  # upkeep deletes old objects
        return
    file = pq.ParquetFile(io.BytesIO(stored.body))
    columns = [*ENVELOPE.names, *(typed_schema(topic).names if topic == ANSWERS else [])]
    present = [name for name in columns if name in file.schema_arrow.names]
    for group in range(file.num_row_groups):
        if topic != ANSWERS and not _has_errors(file.metadata.row_group(group)):
            continue
        table = file.read_row_group(group, columns=present)
        if topic != ANSWERS:
            table = table.filter(pc.is_valid(table["_error"]))
        for row in _in_time(table, wanted).to_pylist():
            yield _poison(row) if row["_error"] is not None else _answer(row)


def _in_time(table: pa.Table, wanted: Wanted) -> pa.Table:
    arrived = table["_timestamp"]
    if wanted.since:
        table = table.filter(pc.greater_equal(arrived, pa.scalar(wanted.since, arrived.type)))
        arrived = table["_timestamp"]
    return table.filter(pc.less(arrived, pa.scalar(wanted.until, arrived.type))) if wanted.until else table


def _has_errors(group: Any) -> bool:
    """Whether a row group may hold an error, by its statistics."""
    for place in range(group.num_columns):
        column = group.column(place)
        if column.path_in_schema == "_error":
            found = column.statistics
            return found is None or not found.has_null_count or found.null_count < group.num_rows
    return True


def _poison(row: dict[str, Any]) -> Letter:
    # Whatever stands in the key is a claim: only a platform that we know is believed.
    claimed = (row["_key"] or b"").partition(b":")[0].decode("ascii", "replace")
    return Letter(
        kind="poison",
        letter_id=f"{row['_topic']}/{row['_partition']}/{row['_offset']}",
        topic=row["_topic"],
        platform=claimed if claimed in PLATFORMS else None,
        reason=reason_of(row["_error"]),
        key=row["_key"],
        payload=row["_payload"],
        answer={},
    )


def _answer(row: dict[str, Any]) -> Letter:
    return Letter(
        kind="unreadable_answer",
        letter_id=row["event_id"],
        topic=row["_topic"],
        platform=row["platform"],
        reason=row["reason"],
        key=row["_key"],
        payload=None,
        answer={name: value for name, value in row.items() if name not in ENVELOPE.names},
    )


@cache
def _reasons() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The seed that dbt reads too."""
    with REASONS.open(newline="", encoding="utf-8") as file:
        return tuple((re.compile(row["pattern"]), row["reason"]) for row in csv.DictReader(file))
