"""Rows to one Parquet object, in memory, as they come. Pure.

Three sizes, each for a reason: a chunk of a thousand or two records is decoded while its Python objects are still in
the processor's cache; some chunks make a row group, so that compression and readers find something to work with; and a
partition waits for its PUT as compressed Parquet (about 80 bytes an event) and not as objects.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.land import chain
from ingest.land.columns import ENVELOPE, TIMESTAMP, columns, lake_schema
from ingest.land.decode import decode

Headers = Sequence[tuple[str, bytes | None]]
UNREADABLE_HEADERS = '[[null, "a header\'s name is no UTF-8"]]'
"""Stands for headers that the client cannot read."""


class Source(Protocol):
    """Where a record came from: Kafka's message. Headers are read of poison rows only: all of them would cost a
    quarter of the landing's CPU."""

    def headers(self) -> Any: ...


GROUP_ROWS = 12_288
GROUP_BYTES = 8 << 20
"""When decoded rows become a row group; together with the number of partitions, what a worker needs of memory."""
REPEATED = {"_topic", "_key", "contract", "account_id", "run_id", "endpoint", "collector", "language", "definition"}
"""Columns, beside the enumerated ones, that repeat within an object. For all others a dictionary costs more (a quarter
of the encoding time, 7 % of the bytes) than it saves."""


@dataclass(frozen=True)
class Chunk:
    """Records of one partition as Kafka has them, a sequence a field."""

    offsets: Sequence[int]
    timestamps: Sequence[int]
    """Milliseconds since 1970, the broker's."""
    keys: Sequence[bytes | None]
    payloads: Sequence[bytes | None]
    sources: Sequence[Source]
    """Where the records came from."""


def rows(slot: chain.Slot, chunk: Chunk) -> pa.Table:
    """The chunk as rows of the lake: the envelope, then the typed columns. Never raises for any bytes."""
    decoded = decode(slot.topic, chunk.payloads)
    count = len(chunk.offsets)
    kept = decoded.errors.keys() | decoded.beyond
    envelope = [
        pa.repeat(pa.scalar(slot.topic), count),
        pa.repeat(pa.scalar(slot.partition, pa.int32()), count),
        pa.array(chunk.offsets, pa.int64()),
        pa.array(chunk.timestamps, pa.int64()).cast(TIMESTAMP),
        pa.array(chunk.keys, pa.binary()),
        _sparse(count, {row: chunk.payloads[row] for row in kept}, pa.binary()),
        _sparse(count, {row: _headers(chunk.sources[row]) for row in decoded.errors}, pa.string()),
        _sparse(count, decoded.errors, pa.string()),
    ]
    return pa.Table.from_arrays([*envelope, *decoded.table.columns], schema=lake_schema(slot.topic))


def _sparse(count: int, values: Mapping[int, object], kind: pa.DataType) -> pa.Array:
    """A column of nulls but for some rows."""
    if not values:
        return pa.nulls(count, kind)
    column: list[object] = [None] * count
    for row, value in values.items():
        column[row] = value
    return pa.array(column, kind)


class ObjectWriter:
    """One object in the making."""

    def __init__(self, slot: chain.Slot) -> None:
        self._slot = slot
        self._sink = pa.BufferOutputStream()
        self._parquet = pq.ParquetWriter(
            self._sink,
            lake_schema(slot.topic),
            compression="zstd",
            use_dictionary=_dictionary_columns(slot.topic),
            column_encoding=_encodings(slot.topic),
            write_statistics=_sought_columns(slot.topic),
            store_schema=True,
        )
        self._group: list[pa.Table] = []
        self._group_rows = 0
        self.waiting = 0
        """Bytes of the rows that are decoded and not yet in a row group."""
        self.rows = 0
        self.poison = 0

    @property
    def size(self) -> int:
        """Bytes that the object holds so far, in row groups or waiting for one."""
        return int(self._sink.tell()) + self.waiting

    def add(self, chunk: Chunk) -> None:
        """Decode one chunk; a full row group is encoded."""
        table = rows(self._slot, chunk)
        self._group.append(table)
        self._group_rows += len(table)
        self.waiting += table.nbytes
        self.rows += len(table)
        self.poison += len(table) - table.column("_error").null_count
        if self._group_rows >= GROUP_ROWS or self.waiting >= GROUP_BYTES:
            self.compact()

    def compact(self) -> None:
        """Encode what waits as a row group: a tenth of the memory, but small row groups make larger objects."""
        if self._group:
            self._parquet.write_table(pa.concat_tables(self._group), row_group_size=self._group_rows)
            self._group, self._group_rows, self.waiting = [], 0, 0

    def close(self, landed: chain.Landed, *, writer: str, schema_version: int) -> tuple[bytes, dict[str, str]]:
        """The object's body and its metadata. Nothing can be added afterwards."""
        metadata = chain.metadata(
            landed, rows=self.rows, poison=self.poison, writer=writer, schema_version=schema_version
        )
        self.compact()
        self._parquet.add_key_value_metadata(metadata)
        self._parquet.close()
        body = self._sink.getvalue().to_pybytes()
        return body, metadata | {"sha256": hashlib.sha256(body).hexdigest()}


def _headers(source: Source) -> str | None:
    """Headers as a JSON list of pairs; a value that is no text becomes `{"base64": …}`."""
    try:
        headers: Headers | None = source.headers()
    except SystemError:  # a name that is no UTF-8: the client cannot say it, and says so in this way
        return UNREADABLE_HEADERS
    if not headers:
        return None
    pairs: list[tuple[str, object]] = []
    for name, value in headers:
        try:
            pairs.append((name, None if value is None else value.decode()))
        except UnicodeDecodeError:
            pairs.append((name, {"base64": base64.b64encode(value or b"").decode()}))
    return json.dumps(pairs, ensure_ascii=False)


@cache
def _dictionary_columns(topic: str) -> list[str]:
    enumerated = {column.name for column in columns(topic) if column.allowed}
    return [name for name in lake_schema(topic).names if name in REPEATED | enumerated]


@cache
def _sought_columns(topic: str) -> list[str]:
    """Columns by which readers skip row groups; the smallest and largest of the others cost a tenth of the encoding."""
    instants = [column.name for column in columns(topic) if column.kind == "instant"]
    return [*ENVELOPE.names, *instants, "platform"]


@cache
def _encodings(topic: str) -> dict[str, str]:
    """Numbers that mostly grow are written as differences."""
    instants = [column.name for column in columns(topic) if column.kind == "instant"]
    return dict.fromkeys(["_offset", "_timestamp", *instants], "DELTA_BINARY_PACKED")
