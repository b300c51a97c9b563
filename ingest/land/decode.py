"""Payloads to columns, with a verdict on each: no bytes end the process, and no bad event costs a good one its place.

Every payload is parsed by msgspec straight into the contract's types, which is exact and, into plain structs that
become tuples that become Arrow columns, quicker than Arrow's own JSON reader (docs/performance.md). The plain structs
leave out one thing, the patterns of texts: Python would match them one by one, so they are matched as columns here.

`judge` is the law: whatever the quick way has a doubt about goes there by itself. An event with fields beyond the
contract is good, and keeps its payload; of a key that stands twice in one object the last value counts, as most JSON
readers have it (the others must be of the field's type, no more).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingest.land.columns import ARROW, TIMESTAMP, Column, columns, plain_struct, typed_schema

ERROR_LENGTH = 500
"""Characters of an error that are kept beside a poison row."""
FIRST_MOMENT = -62_135_596_800_000
"""The year 1 in milliseconds: Arrow knows moments before it, Python does not, so neither way does."""
UNFIT = (msgspec.DecodeError, ValueError, RecursionError)
"""What a decoder raises for bytes that are no event."""

Values = tuple[object, ...]
"""One event's values in the order of the columns."""


@dataclass(frozen=True)
class Decoded:
    """A batch in columns."""

    table: pa.Table
    """The topic's typed columns, a row a payload in their order; all null where the row is poison."""
    errors: dict[int, str] = field(default_factory=dict)
    """Why a row is poison, by row."""
    beyond: set[int] = field(default_factory=set)
    """Good rows whose payload says more than the columns do."""


@dataclass(frozen=True)
class Judged:
    """One payload that keeps the contract."""

    event: msgspec.Struct
    beyond: bool
    """It has fields that the contract does not know."""


def decode(topic: str, payloads: Sequence[bytes | None]) -> Decoded:
    """The payloads in columns, with a verdict on each. Never raises for any bytes; None (no value) is poison.

    A thousand or two at a time are quickest: their Python objects then stay in the processor's cache.
    """
    verdicts = _Verdicts(topic, payloads)
    rows = verdicts.parse()
    arrays, doubts = _arrays(topic, rows)
    doubts -= verdicts.errors.keys()
    if doubts:
        for row in sorted(doubts):
            rows[row] = verdicts.judge(row)
        if doubts <= verdicts.errors.keys():  # nothing but poison: the other rows' columns stand
            places = pa.array([None if row in doubts else row for row in range(len(rows))], pa.int64())
            arrays = [array if array.null_count == len(rows) else array.take(places) for array in arrays]
        else:
            arrays, _ = _arrays(topic, rows)
    return verdicts.decoded(arrays)


def decode_by_record(topic: str, payloads: Sequence[bytes | None]) -> Decoded:
    """The same by the judge alone: what `decode` must agree with, at twice the cost."""
    verdicts = _Verdicts(topic, payloads)
    arrays, _ = _arrays(topic, [verdicts.judge(row) for row in range(len(payloads))])
    return verdicts.decoded(arrays)


def judge(topic: str, payload: bytes | None) -> Judged | str:
    """The event if the payload keeps the contract, else what is wrong with it."""
    if payload is None:
        return "the message has no value"
    closed, opened = _decoder(topic), _open_decoder(topic)
    try:
        try:
            event, beyond = closed.decode(payload), False
        except msgspec.ValidationError:
            # The decoder skips unknown fields unread, so that the rest of the bytes must be looked at by itself.
            payload.decode("utf-8")
            event, beyond = opened.decode(payload), True
        for column in columns(topic):
            if column.pattern:
                _match(column, column.pattern, getattr(event, column.name))
    except UNFIT as error:
        return str(error).encode("utf-8", "backslashreplace").decode()[:ERROR_LENGTH]
    return Judged(event, beyond)


def _match(column: Column, pattern: str, value: str | list[str] | None) -> None:
    """Raises ValueError when a text does not match the contract's pattern, or is no moment where it should be one."""
    texts = value if isinstance(value, list) else [] if value is None else [value]
    for text in texts:
        if re.search(pattern, text) is None:
            place = f"$.{column.name}{'[...]' if texts is value else ''}"
            raise ValueError(f"Expected `str` matching regex {pattern!r} - at `{place}`")
        if column.kind == "instant":
            datetime.fromisoformat(text)


class _Verdicts:
    """One batch before its judge, and what was found so far."""

    def __init__(self, topic: str, payloads: Sequence[bytes | None]) -> None:
        self._topic = topic
        self._payloads = payloads
        self.errors: dict[int, str] = {}
        self.beyond: set[int] = set()

    def parse(self) -> list[Values]:
        """Every payload's values: the quick way, and where that stumbles, the judge's."""
        rows: list[Values] = []
        payloads = cast("Sequence[bytes]", self._payloads)
        quick: Iterator[Values] = map(msgspec.structs.astuple, map(_decoder(self._topic).decode, payloads))
        while len(rows) < len(self._payloads):
            try:
                for values in quick:  # one by one, because what came before a stumble counts
                    rows.append(values)
            except (*UNFIT, TypeError):  # TypeError: a message without a value
                rows.append(self.judge(len(rows)))
        return rows

    def judge(self, row: int) -> Values:
        """One payload's values by the judge; nothing but null for poison."""
        verdict = judge(self._topic, self._payloads[row])
        if isinstance(verdict, str):
            self.errors[row] = verdict
            return (None,) * len(columns(self._topic))
        if verdict.beyond:
            self.beyond.add(row)
        return msgspec.structs.astuple(verdict.event)

    def decoded(self, arrays: Sequence[pa.Array]) -> Decoded:
        """The batch with its verdicts."""
        return Decoded(pa.Table.from_arrays(arrays, schema=typed_schema(self._topic)), self.errors, self.beyond)


def _arrays(topic: str, rows: Sequence[Values]) -> tuple[list[pa.Array], set[int]]:
    """The rows as columns, and the rows with a text that breaks the contract's pattern, or may do so."""
    arrays: list[pa.Array] = []
    doubts: set[int] = set()
    nothing = (None,) * len(rows)
    by_column = zip(*rows, strict=True) if rows else ((),) * len(columns(topic))
    for column, values in zip(columns(topic), by_column, strict=True):
        kind = ARROW[column.kind]
        if values == nothing:
            arrays.append(pa.nulls(len(rows), kind))
            continue
        array = pa.array(values, pa.string() if column.kind == "instant" else kind)
        unmatched = _unmatched(column.pattern, array) if column.pattern else set()
        doubts |= unmatched
        if column.kind == "instant":
            array, unread = _moments(array, unmatched)
            doubts |= unread
        arrays.append(array)
    return arrays, doubts


def _unmatched(pattern: str, array: pa.Array) -> set[int]:
    """Rows with a text, or a text in a list, that the pattern does not match. RE2 reads `$` and `\\d` more strictly
    than Python does, so that what it refuses is only doubt."""
    has_lists = pa.types.is_list(array.type)
    matched = pc.match_substring_regex(array.flatten() if has_lists else array, pattern)
    if pc.all(matched).as_py() is not False:
        return set()
    places = pc.indices_nonzero(pc.invert(matched))
    return set((pc.list_parent_indices(array).take(places) if has_lists else places).to_pylist())


def _moments(texts: pa.Array, unmatched: set[int]) -> tuple[pa.Array, set[int]]:
    """The moments, null for `unmatched` texts and those that are none (the 30th of February), and the latter's rows."""
    try:
        moments = _without(texts, unmatched).cast(TIMESTAMP)
        if (pc.min(moments.cast(pa.int64())).as_py() or 0) >= FIRST_MOMENT:
            return moments, set()
    except pa.ArrowInvalid:
        pass
    unread = {row for row, text in enumerate(texts.to_pylist()) if text is not None and not _is_moment(text)}
    return _without(texts, unmatched | unread).cast(TIMESTAMP), unread


def _without(texts: pa.Array, left_out: set[int]) -> pa.Array:
    if not left_out:
        return texts
    return pa.array([None if row in left_out else text for row, text in enumerate(texts.to_pylist())], pa.string())


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@cache
def _decoder(topic: str) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(plain_struct(topic))


@cache
def _open_decoder(topic: str) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(plain_struct(topic, is_open=True))
