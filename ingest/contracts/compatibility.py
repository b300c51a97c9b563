"""May a contract change so? Pure: two JSON Schemas of a topic in, what is wrong with the step between them out.

The rule is widening: every message that was valid stays valid and lands in the same column, for old messages lie in
the lake and old producers go on. So new optional fields, more values of an enumeration and looser bounds are fine;
everything else is not. A keyword that is not known here may not change at all.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

WAY_OUT = (
    "Leave it as it was and add a new optional field beside it; where that cannot be, give the new shape a struct and "
    "a topic of its own in ingest/events.py"
)
WORDS = {"$schema", "title", "description"}
"""Keywords that ask nothing of a value."""


@dataclass(frozen=True)
class Value:
    """What a schema asks of one value, with absent bounds filled in."""

    type: str
    nullable: bool = False
    allowed: frozenset[str] | None = None
    pattern: str | None = None
    least: float = -math.inf
    most: float = math.inf
    shortest: float = 0
    longest: float = math.inf
    items: "Value | None" = None
    others: str = "{}"
    """Keywords that are not known here, as JSON."""


@dataclass(frozen=True)
class Contract:
    """What a topic's schema asks of a message."""

    fields: dict[str, Value]
    required: frozenset[str]
    closed: bool


@dataclass(frozen=True)
class Fault:
    """One step that no contract may take."""

    field: str
    was: str
    now: str


def contract(schema: Schema) -> Contract:
    """The schema without its words, so that two that ask the same are equal."""
    return Contract(
        {name: _value(one) for name, one in schema["properties"].items()},
        frozenset(schema.get("required", ())),
        schema.get("additionalProperties", True) is False,
    )


def faults(published: Schema, today: Schema) -> list[Fault]:
    """What makes today's schema refuse, or land elsewhere, a message that the published one allowed."""
    was, now = contract(published), contract(today)
    found = []
    for name, value in was.fields.items():
        if name not in now.fields:
            found.append(Fault(name, value.type, "gone"))
            continue
        if name in now.required - was.required:
            found.append(Fault(name, "optional", "required"))
        found += [Fault(name, *step) for step in _steps(value, now.fields[name])]
    found += [Fault(name, "not there", "new and required") for name in now.required if name not in was.fields]
    if now.closed and not was.closed:
        found.append(Fault("any other field", "allowed", "refused"))
    return found


def _steps(was: Value, now: Value) -> list[tuple[str, str]]:
    """Each forbidden step from one value to the other: what was, what is."""
    if was.type != now.type:
        return [(was.type, now.type)]
    found = []
    if was.nullable and not now.nullable:
        found.append(("null or a value", "never null"))
    if now.allowed is not None and (was.allowed is None or was.allowed - now.allowed):
        found.append((_enumeration(was.allowed), _enumeration(now.allowed)))
    if was.pattern != now.pattern:
        found.append((f"pattern {was.pattern}", f"pattern {now.pattern}"))
    found += [
        (f"at least {before}", f"at least {after}")
        for before, after in ((was.least, now.least), (was.shortest, now.shortest))
        if after > before
    ]
    found += [
        (f"at most {before}", f"at most {after}")
        for before, after in ((was.most, now.most), (was.longest, now.longest))
        if after < before
    ]
    if was.others != now.others:
        found.append((was.others, now.others))
    if was.items and now.items:
        found += [(f"items {before}", f"items {after}") for before, after in _steps(was.items, now.items)]
    return found


def _enumeration(allowed: frozenset[str] | None) -> str:
    return "any text" if allowed is None else f"one of {', '.join(sorted(allowed))}"


def _value(schema: Schema) -> Value:
    keywords = {name: value for name, value in schema.items() if name not in WORDS}
    options = keywords.get("anyOf", [])
    plain = [option for option in options if option.get("type") != "null"]
    nullable = len(plain) < len(options)
    if len(plain) == 1:
        del keywords["anyOf"]
        keywords |= {name: value for name, value in plain[0].items() if name not in WORDS}
    allowed = keywords.pop("enum", None)
    if allowed is not None and not all(isinstance(one, str) for one in allowed):
        keywords["enum"], allowed = allowed, None
    items = keywords.pop("items", None)
    return Value(
        type=keywords.pop("type", "string" if allowed is not None else "any"),
        nullable=nullable,
        allowed=None if allowed is None else frozenset(allowed),
        pattern=keywords.pop("pattern", None),
        least=keywords.pop("minimum", -math.inf),
        most=keywords.pop("maximum", math.inf),
        shortest=keywords.pop("minLength", 0),
        longest=keywords.pop("maxLength", math.inf),
        items=None if items is None else _value(items),
        others=json.dumps(keywords, sort_keys=True),
    )
