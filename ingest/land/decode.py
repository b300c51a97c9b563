"""Payloads to columns: whole batches by the fast way, and record by record whatever it has a doubt about.

The record-by-record way is the judge of the contract. An event with fields beyond the contract is good, and keeps its
payload; of a key that stands twice in one object the last value counts, as most JSON readers have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import cast

import msgspec
import pyarrow as pa

from ingest import events
from ingest.land import decode_fast
from ingest.land.columns import ARROW, Column, columns, open_struct, typed_schema

ERROR_LENGTH = 500
"""Characters of an error that are kept beside a poison row."""


@dataclass(frozen=True)
class Decoded:
    """A batch in columns."""

    table: pa.Table
    """The topic's typed columns, a row a payload in their order; all null where the row is poison."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """Why a row is poison, by row."""
    beyond: frozenset[int] = frozenset()
    """Good rows whose payload says more than the columns do."""


@dataclass(frozen=True)
class Judged:
    """One payload that keeps the contract."""

    event: msgspec.Struct
    beyond: bool
    """It has fields that the contract does not know."""


def decode(topic: str, payloads: Sequence[bytes | None]) -> Decoded:
    """The payloads in columns, with a verdict on each. Never raises for any bytes; None (no value) is poison."""
    if not payloads:
        return Decoded(typed_schema(topic).empty_table())
    if None not in payloads:
        table = decode_fast.read(topic, cast("Sequence[bytes]", payloads))
        if table is not None:
            return Decoded(table)
    return decode_by_record(topic, payloads)


def decode_by_record(topic: str, payloads: Sequence[bytes | None], *, fast: bool = True) -> Decoded:
    """The same with each payload judged by itself; `fast` lets the plain good ones take the fast way once more."""
    errors: dict[int, str] = {}
    good: dict[int, Judged] = {}
    for row, payload in enumerate(payloads):
        verdict = judge(topic, payload)
        if isinstance(verdict, Judged):
            good[row] = verdict
        else:
            errors[row] = verdict
    plain = [row for row, judged in good.items() if fast and not judged.beyond]
    quick = decode_fast.read(topic, [payloads[row] or b"" for row in plain]) if plain else None
    if quick is None:
        plain, quick = [], typed_schema(topic).empty_table()
    odd = sorted(good.keys() - set(plain))
    both = pa.concat_tables([quick, _table(topic, [good[row].event for row in odd])])
    place = {row: at for at, row in enumerate([*plain, *odd])}
    order = pa.array([place.get(row) for row in range(len(payloads))], pa.int64())
    return Decoded(
        both.combine_chunks().take(order), errors, frozenset(row for row, judged in good.items() if judged.beyond)
    )


def judge(topic: str, payload: bytes | None) -> Judged | str:
    """The event if the payload keeps the contract, else what is wrong with it."""
    if payload is None:
        return "the message has no value"
    closed, opened = _decoders(topic)
    event: msgspec.Struct
    try:
        try:
            event, beyond = closed.decode(payload), False
        except msgspec.ValidationError:
            # The decoder skips unknown fields unread, so that the rest of the bytes must be looked at by itself.
            payload.decode("utf-8")
            event, beyond = opened.decode(payload), True
        for column in _instants(topic):
            text = getattr(event, column.name)
            if text is not None:
                datetime.fromisoformat(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return _words(error)
    return Judged(event, beyond)


def _words(error: Exception) -> str:
    return str(error).encode("utf-8", "backslashreplace").decode()[:ERROR_LENGTH]


def _table(topic: str, rows: Sequence[msgspec.Struct]) -> pa.Table:
    arrays = {}
    for column in columns(topic):
        values = [getattr(row, column.name) for row in rows]
        if column.kind == "instant":
            arrays[column.name] = pa.array(values, pa.string()).cast(ARROW["instant"])
        else:
            arrays[column.name] = pa.array(values, ARROW[column.kind])
    return pa.table(arrays)


@cache
def _decoders(topic: str) -> tuple[msgspec.json.Decoder[events.Message], msgspec.json.Decoder[msgspec.Struct]]:
    return msgspec.json.Decoder(events.TOPICS[topic]), msgspec.json.Decoder(open_struct(topic))


@cache
def _instants(topic: str) -> tuple[Column, ...]:
    return tuple(column for column in columns(topic) if column.kind == "instant")
