"""The lake's columns of each topic, with the contract's rule for each: derived from the structs of `ingest.events`.

The plain structs that bytes are parsed into and the Parquet schema follow from this one derivation, so that a field
added to a struct is a column at once.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Optional

import msgspec
import pyarrow as pa
from msgspec import inspect

from ingest import events

Kind = Literal["text", "instant", "integer", "number", "flag", "texts"]

TIMESTAMP = pa.timestamp("ms", "UTC")
ARROW = {
    "text": pa.string(),
    "instant": TIMESTAMP,
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "texts": pa.list_(pa.string()),
}
ENVELOPE = pa.schema(
    [
        pa.field("_topic", pa.string(), nullable=False),
        pa.field("_partition", pa.int32(), nullable=False),
        pa.field("_offset", pa.int64(), nullable=False),
        pa.field("_timestamp", TIMESTAMP, nullable=False),
        ("_key", pa.binary()),
        ("_payload", pa.binary()),
        ("_headers", pa.string()),
        ("_error", pa.string()),
    ]
)
"""What every row has, before the columns of its type."""


@dataclass(frozen=True)
class Column:
    """One field of a struct: what it is in the lake, and what the contract asks of its values."""

    name: str
    kind: Kind
    required: bool
    allowed: tuple[str, ...] = ()
    """The only texts allowed; empty: any."""
    pattern: str | None = None
    """What a text, or each text of a list, must match."""
    least: float | None = None
    most: float | None = None
    filled: bool = False
    """An empty text is not allowed."""


@cache
def columns(topic: str) -> tuple[Column, ...]:
    """The topic's typed columns in the contract's order."""
    described = inspect.type_info(events.TOPICS[topic])
    if not isinstance(described, inspect.StructType):
        raise TypeError(f"{topic} carries no struct")
    return tuple(_column(field) for field in described.fields)


@cache
def typed_schema(topic: str) -> pa.Schema:
    """Arrow schema of the topic's typed columns alone."""
    return pa.schema([(column.name, ARROW[column.kind]) for column in columns(topic)])


@cache
def lake_schema(topic: str) -> pa.Schema:
    """Arrow schema of the topic's objects: the envelope, then the typed columns."""
    return pa.schema([*ENVELOPE, *typed_schema(topic)])


def _column(field: inspect.Field) -> Column:  # noqa: PLR0911 - one return a kind
    name, required, kind = field.encode_name, field.required, _bare(field.type)
    if isinstance(kind, inspect.UnionType):
        (kind,) = (_bare(option) for option in kind.types if not isinstance(option, inspect.NoneType))
    match kind:
        case inspect.LiteralType(values=values):
            return Column(name, "text", required, allowed=tuple(str(value) for value in values))
        case inspect.StrType(pattern=pattern) if pattern is not None and pattern == _instant_pattern():
            return Column(name, "instant", required, pattern=pattern)
        case inspect.StrType(pattern=pattern, min_length=shortest, max_length=None):
            return Column(name, "text", required, pattern=pattern, filled=_at_most_one(shortest))
        case inspect.IntType(ge=least, le=most, gt=None, lt=None, multiple_of=None):
            return Column(name, "integer", required, least=least, most=most)
        case inspect.FloatType(ge=least, le=most, gt=None, lt=None, multiple_of=None):
            return Column(name, "number", required, least=least, most=most)
        case inspect.BoolType():
            return Column(name, "flag", required)
        case inspect.ListType(item_type=item, min_length=None, max_length=None):
            match _bare(item):
                case inspect.StrType(pattern=pattern, min_length=None, max_length=None):
                    return Column(name, "texts", required, pattern=pattern)
    raise TypeError(f"field {name}: the landing has no column for {field.type}")


@cache
def _instant_pattern() -> str | None:
    match _bare(inspect.type_info(events.Instant)):
        case inspect.StrType(pattern=pattern):
            return pattern
    raise TypeError("an instant is no text any more")


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _at_most_one(shortest: int | None) -> bool:
    if shortest not in (None, 0, 1):
        raise TypeError(f"a least length of {shortest} is not known to the landing")
    return shortest == 1


@cache
def plain_struct(topic: str, *, is_open: bool = False) -> type[msgspec.Struct]:
    """The topic's struct without the patterns of its texts; an open one takes fields beyond the contract.

    Python matches patterns one text at a time, which is half of the time of parsing an event; and it matches each value
    of a key that stands twice, of which only the last counts.
    """
    return msgspec.defstruct(
        f"Plain{events.TOPICS[topic].__name__}",
        [
            (column.name, _plain(column)) if column.required else (column.name, Optional[_plain(column)], None)  # noqa: UP045 - built at run time
            for column in columns(topic)
        ],
        kw_only=True,
        gc=False,
        forbid_unknown_fields=not is_open,
    )


def _plain(column: Column) -> Any:
    if column.allowed:
        return Literal[column.allowed]
    match column.kind:
        case "text" | "instant":
            return Annotated[str, msgspec.Meta(min_length=1 if column.filled else 0)]
        case "texts":
            return list[str]
        case "integer":
            return Annotated[int, msgspec.Meta(ge=column.least, le=column.most)]
        case "number":
            return Annotated[float, msgspec.Meta(ge=column.least, le=column.most)]
        case "flag":
            return bool
