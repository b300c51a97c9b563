"""Payloads to columns by Arrow's JSON reader: fast, and fenced, because on its own it is neither strict nor safe.

Seen with pyarrow 26: a batch of `null` alone ends the process; two objects in one message shift the offsets of the
next; invalid UTF-8, `NaN`, loose instants and null list elements pass. So every payload must look like one object
before the reader sees it, and every column is held against the contract afterwards. Any doubt about any row, and the
whole batch is left to the record-by-record way, which alone decides what is poison.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ingest.land.columns import ARROW, TIMESTAMP, Column, columns

PREFIX = b'{"event_id":"'
ID_LENGTH = 36
HEAD_LENGTH = len(PREFIX) + ID_LENGTH
NEWLINE = ord("\n")
PAYLOAD_LIMIT = 1 << 20
"""Bytes of one payload that this way reads; longer ones, which our topics do not take, go record by record."""
INSTANT_DATE, INSTANT_LENGTHS = len("YYYY-MM-DD"), (len("YYYY-MM-DDThh:mm:ssZ"), len("YYYY-MM-DDThh:mm:ss.mmmZ"))
FIRST_MOMENT = -62_135_596_800_000
"""The year 1 in milliseconds: Python knows no moment before it, so neither way does."""


def read(topic: str, payloads: Sequence[bytes]) -> pa.Table | None:
    """The typed columns of payloads that all keep the contract; None on any doubt.

    Rows are in the order of `payloads`. Never raises for any bytes.
    """
    joined = b"\n".join(payloads)
    heads = _heads(joined, payloads)
    if heads is None:
        return None
    try:
        _text(joined).validate(full=True)
        table = pj.read_json(
            pa.BufferReader(joined),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(joined) + 1),
            parse_options=pj.ParseOptions(explicit_schema=_wire_schema(topic), unexpected_field_behavior="error"),
        )
    except pa.ArrowException:
        return None
    if table.num_rows != len(payloads):
        return None
    table = table.combine_chunks()
    if not _ids_match(heads, table.column(0)):
        return None
    read_columns = [_kept(column, table.column(column.name)) for column in columns(topic)]
    if any(column is None for column in read_columns):
        return None
    return pa.table(dict(zip(table.column_names, read_columns, strict=True)))


def _text(joined: bytes) -> pa.Array:
    """All payloads as one text value, whose full validation is one fast look at every byte's UTF-8."""
    bounds = np.array([0, len(joined)], np.int32)
    return pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(bounds), pa.py_buffer(joined)])


def _heads(joined: bytes, payloads: Sequence[bytes]) -> np.ndarray | None:
    """The first bytes of each payload up to the id's end, a row each; None unless all look like one object.

    A payload that begins with `{` and ends with `}` cannot share an object with its neighbour: `}` newline `{` is
    valid JSON only between two objects. So as many rows as messages means one object in each.
    """
    lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
    if lengths.min() <= HEAD_LENGTH + 1 or lengths.max() > PAYLOAD_LIMIT:
        return None
    data = np.frombuffer(joined, np.uint8)
    if np.count_nonzero(data == NEWLINE) != len(payloads) - 1:
        return None
    ends = np.cumsum(lengths + 1) - 1
    if (data[ends - 1] != ord("}")).any():
        return None
    heads: np.ndarray = np.lib.stride_tricks.sliding_window_view(data, HEAD_LENGTH)[ends - lengths]
    return heads if (heads[:, : len(PREFIX)] == np.frombuffer(PREFIX, np.uint8)).all() else None


def _bytes(texts: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The bounds of each text (one more than texts), and the bytes that they point into."""
    array = texts.chunk(0)
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return bounds, np.frombuffer(data, np.uint8)


def _ids_match(heads: np.ndarray, ids: pa.ChunkedArray) -> bool:
    """Whether each row's id is the one at the head of its own payload: no row has shifted."""
    bounds, data = _bytes(ids)
    if (np.diff(bounds) != ID_LENGTH).any():
        return False
    found = data[bounds[0] : bounds[-1]].reshape(-1, ID_LENGTH)
    return bool((found == heads[:, len(PREFIX) :]).all())


def _kept(  # noqa: PLR0911 - one return a kind
    column: Column, values: pa.ChunkedArray
) -> pa.ChunkedArray | None:
    """The column as the lake has it; None if a value may break the contract."""
    if values.null_count == len(values):
        return None if column.required else pa.chunked_array([pa.nulls(len(values), ARROW[column.kind])])
    if column.required and values.null_count:
        return None
    match column.kind:
        case "text":
            return values if _texts_kept(column, values) else None
        case "texts":
            items = pc.list_flatten(values)
            return values if not items.null_count and _texts_kept(column, items) else None
        case "instant":
            return _moments(values)
        case "number":
            return values if pc.all(pc.is_finite(values)).as_py() and _within(column, values) else None
        case "integer":
            return values if _within(column, values) else None
        case "flag":
            return values


def _texts_kept(column: Column, texts: pa.Array) -> bool:
    if column.allowed and not pc.all(pc.is_in(texts, value_set=_allowed(column))).as_py():
        return False
    if column.filled and pc.min(pc.binary_length(texts)).as_py() == 0:
        return False
    # RE2 reads `$` and `\d` more strictly than Python does: what it refuses is only doubt.
    return column.pattern is None or pc.all(pc.match_substring_regex(texts, column.pattern)).as_py() is not False


def _moments(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The moments; None unless each text is `YYYY-MM-DDThh:mm:ssZ` or `YYYY-MM-DDThh:mm:ss.mmmZ` and a real moment.

    Of texts that long with a T and a Z in their places, Arrow's own parser takes no other form.
    """
    bounds, data = _bytes(texts)
    lengths = np.diff(bounds)
    starts = bounds[:-1][np.isin(lengths, INSTANT_LENGTHS)]
    lengths = lengths[np.isin(lengths, INSTANT_LENGTHS)]
    if len(starts) != len(texts) - texts.null_count:
        return None
    if (data[starts + INSTANT_DATE] != ord("T")).any() or (data[starts + lengths - 1] != ord("Z")).any():
        return None
    try:
        moments = texts.cast(TIMESTAMP)
    except pa.ArrowInvalid:  # no such moment
        return None
    return moments if pc.min(moments.cast(pa.int64())).as_py() >= FIRST_MOMENT else None


def _within(column: Column, values: pa.ChunkedArray) -> bool:
    found = pc.min_max(values).as_py()
    return (column.least is None or found["min"] >= column.least) and (
        column.most is None or found["max"] <= column.most
    )


@cache
def _allowed(column: Column) -> pa.Array:
    return pa.array([*column.allowed, *([] if column.required else [None])], pa.string())


@cache
def _wire_schema(topic: str) -> pa.Schema:
    """How the reader is to take each field: instants stay texts, because its own reading of them is loose."""
    return pa.schema(
        [(column.name, pa.string() if column.kind == "instant" else ARROW[column.kind]) for column in columns(topic)]
    )
