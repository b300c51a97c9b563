"""One fuzzed batch: bent payloads among good events, and everything that must be true of it afterwards.

Every payload is read alone and in its batch; the batch becomes rows, Parquet, and is read back by two readers. Beside
the two ways of decoding stand the contract's own struct, for the verdicts, and Python's `json`, for the values.
"""

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingest import events
from ingest.land import chain
from ingest.land.columns import columns, lake_schema, typed_schema
from ingest.land.decode import Decoded, Judged, decode, decode_by_record, judge
from ingest.land.encode import Chunk, rows
from tests.land.mutations import Payload, bent, good_event, wire

NEIGHBOUR = "neighbour"
WHOLE = -1
KEYS = (b"youtube:UC1", b"", None, b"\xff\xfe", b"\x00", b"x" * 1000)
HEADERS = (None, [], [("a", b"b")], [("a", None), ("a", b"\xff\x00")], [("é" * 300, b"\xed\xa0\x80")])
MOMENT = 1_795_000_000_000
ALONE_LIMIT = 400
"""Characters of a payload that a message shows."""


@dataclass(frozen=True)
class Batch:
    """Payloads of one topic in the order of their offsets, with the way that made each."""

    topic: str
    ways: list[str]
    payloads: list[Payload]
    events: dict[int, dict[str, Any]]
    """What the good neighbours say, by row."""
    seed: str

    @property
    def fuzzed(self) -> int:
        """Payloads that are no neighbours."""
        return sum(way != NEIGHBOUR for way in self.ways)


class Source:
    """Stands for Kafka's message."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    def headers(self) -> Any:
        return self._headers


def batch(seed: int, number: int) -> Batch:
    """The batch of that number: always the same for the same seed."""
    draw = random.Random(f"{seed}:{number}")
    topic = draw.choice(list(events.TOPICS))
    groups: list[tuple[str, list[Payload], dict[str, Any] | None]] = []
    for _ in range(draw.choice((1, 1, 2, 5, 20, 60))):
        way, made = bent(draw, topic)
        groups.append((way, made, None))
    for _ in range(draw.choice((0, 1, 4, 20, 60))):
        event = good_event(draw, topic)
        groups.append((NEIGHBOUR, [wire(event)], event))
    draw.shuffle(groups)
    found = Batch(topic, [], [], {}, f"{seed}:{number}")
    for way, made, event in groups:
        if event is not None:
            found.events[len(found.payloads)] = event
        found.ways.extend([way] * len(made))
        found.payloads.extend(made)
    return found


Mark = Callable[[int], None]


def examine(found: Batch, directory: Path, mark: Mark = lambda _: None) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Counts by way and verdict, and what is wrong in words. `mark(row)` is called before each payload is read alone,
    `mark(WHOLE)` before the batch is."""
    careful = decode_by_record(found.topic, found.payloads)
    faults = [*_kept_apart(found, careful), *_third_reader(found, careful)]
    for row, payload in enumerate(found.payloads):
        if found.ways[row] == NEIGHBOUR:
            continue
        mark(row)
        alone = decode(found.topic, [payload])
        faults += [f"alone: {fault} [{show(payload)}]" for fault in _differ(alone, _only(careful, row))]
    mark(WHOLE)
    faults += [f"in the batch: {fault}" for fault in _differ(decode(found.topic, found.payloads), careful)]
    faults += _landed(found, careful, directory)
    counts: Counter[tuple[str, str]] = Counter()
    for row, way in enumerate(found.ways):
        verdict = "poison" if row in careful.errors else "beyond" if row in careful.beyond else "good"
        counts[way, verdict] += 1
    return counts, faults


def show(payload: Payload) -> str:
    """The payload for a person, cut."""
    shown = repr(payload)
    return shown if len(shown) <= ALONE_LIMIT else f"{shown[:ALONE_LIMIT]}… ({len(payload or b'')} bytes)"


def _only(decoded: Decoded, row: int) -> Decoded:
    errors = {0: decoded.errors[row]} if row in decoded.errors else {}
    return Decoded(decoded.table.slice(row, 1), errors, frozenset({0} if row in decoded.beyond else ()))


def _differ(quick: Decoded, careful: Decoded) -> Iterator[str]:
    """How the two ways' verdicts differ."""
    if dict(quick.errors) != dict(careful.errors):
        rows_ = sorted(quick.errors.items() ^ careful.errors.items())[:3]
        yield f"errors differ: {rows_} (quick {len(quick.errors)}, careful {len(careful.errors)})"
    if quick.beyond != careful.beyond:
        yield f"rows beyond the contract differ: {sorted(quick.beyond ^ careful.beyond)[:9]}"
    if quick.table.schema != careful.table.schema or quick.table.num_rows != careful.table.num_rows:
        yield f"{quick.table.num_rows} rows, not {careful.table.num_rows}, or another schema"
    elif not quick.table.equals(careful.table):
        for name in quick.table.column_names:
            one, other = quick.table.column(name).to_pylist(), careful.table.column(name).to_pylist()
            if odd := [row for row, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]:
                yield f"{name} differs in rows {odd[:5]}: {one[odd[0]]!r:.200} not {other[odd[0]]!r:.200}"


def _kept_apart(found: Batch, careful: Decoded) -> Iterator[str]:
    """Each good neighbour is good, in its own row, with its own values."""
    for row, event in found.events.items():
        if row in careful.errors:
            yield f"the good neighbour in row {row} is called poison: {careful.errors[row]}"
        elif odd := _odd(found.topic, careful.table, row, event):
            yield f"the good neighbour in row {row} lost its values: {odd}"


def _third_reader(found: Batch, careful: Decoded) -> Iterator[str]:
    """Poison has no values; what is called good has the values that Python's json reads; judge and contract agree."""
    for row, payload in enumerate(found.payloads):
        verdict = judge(found.topic, payload)
        kept = row not in careful.errors
        if row not in careful.beyond and _keeps(found.topic, payload) != kept and not _stands_twice(payload):
            yield f"row {row}: the contract's struct says otherwise: {careful.errors.get(row)} [{show(payload)}]"
        if row in careful.errors:
            if verdict != careful.errors[row]:
                yield f"row {row}: judge says {verdict!r:.200}, decode_by_record {careful.errors[row]!r}"
            if any(column[row].is_valid for column in careful.table.columns):
                yield f"row {row} is poison and has values"
            continue
        if not isinstance(verdict, Judged):
            yield f"row {row}: judge says {verdict!r}, decode_by_record that it is good"
        try:
            said = json.loads(payload or b"")
        except (ValueError, RecursionError) as error:
            # Beyond the contract, other readers' limits are not ours.
            if row not in careful.beyond:
                yield f"row {row} is called good and is no JSON: {error} [{show(payload)}]"
            continue
        if odd := _odd(found.topic, careful.table, row, said):
            yield f"row {row} has other values than its payload: {odd} [{show(payload)}]"


def _keeps(topic: str, payload: Payload) -> bool:
    """Whether the payload keeps the contract by the struct of `ingest.events` itself."""
    try:
        event: Any = msgspec.json.decode(payload or b"", type=events.TOPICS[topic])
        for column in columns(topic):
            if column.kind == "instant" and (text := getattr(event, column.name)) is not None:
                datetime.fromisoformat(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


def _stands_twice(payload: Payload) -> bool:
    """Whether a key stands twice in the payload: of that, contract and landing may think otherwise."""
    objects: list[list[tuple[str, Any]]] = []
    try:
        json.loads(payload or b"", object_pairs_hook=objects.append)
    except (ValueError, RecursionError):
        return False
    return bool(objects) and len(dict(objects[-1])) < len(objects[-1])


def _odd(topic: str, table: pa.Table, row: int, said: dict[str, Any]) -> str | None:
    """The first column whose value is not what the event says."""
    for place, column in enumerate(columns(topic)):
        value, expected = table.column(place)[row].as_py(), said.get(column.name)
        if column.kind == "instant" and expected is not None:
            expected = datetime.fromisoformat(expected).astimezone(UTC)
        if column.kind == "number" and expected is not None:
            expected = float(expected)
        same = value == expected and type(value) is type(expected)
        if not same or (isinstance(value, float) and not math.isfinite(value)):
            return f"{column.name} is {value!r:.100} and not {expected!r:.100}"
    return None


def _landed(found: Batch, careful: Decoded, directory: Path) -> Iterator[str]:
    """The batch as rows of the lake, as Parquet and read back: every payload is a row or a dead letter."""
    draw = random.Random(found.seed)
    count = len(found.payloads)
    offsets = sorted(draw.sample(range(count * 3), count))  # a log has holes
    keys = [draw.choice(KEYS) for _ in range(count)]
    chunk = Chunk(offsets, [MOMENT] * count, keys, found.payloads, [Source(draw.choice(HEADERS)) for _ in range(count)])
    made = rows(chain.Slot(found.topic, 0), chunk)
    kept = {row: found.payloads[row] for row in [*careful.errors, *careful.beyond]}
    for name, expected in {
        "_offset": offsets,
        "_key": keys,
        "_error": [careful.errors.get(row) for row in range(count)],
        "_payload": [kept.get(row) for row in range(count)],
    }.items():
        if made.column(name).to_pylist() != expected:
            yield f"the rows have another {name} than they came with"
    if not made.select(typed_schema(found.topic).names).equals(careful.table):
        yield "the rows have other values than were decoded"
    made.validate(full=True)
    file = directory / "batch.parquet"
    pq.write_table(made, file, compression="zstd")
    if not pq.read_table(file, use_threads=False).equals(made):
        yield "pyarrow reads back something else"
    read = _duckdb().execute(f"select * from read_parquet('{file}')").to_arrow_table()
    if not read.cast(lake_schema(found.topic)).equals(made):
        yield "DuckDB reads back something else"


_connections: list[duckdb.DuckDBPyConnection] = []


def _duckdb() -> duckdb.DuckDBPyConnection:
    if not _connections:
        _connections.append(duckdb.connect(config={"threads": 1}))
        _connections[0].execute("set timezone = 'UTC'")
    return _connections[0]
