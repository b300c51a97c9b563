"""The Graph API's way to ask for fields: `id,media.after(CURSOR).limit(5){id,caption}`, nested and with options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"\w+")
_OPTION = re.compile(r"\.(\w+)\(([^(){}]*)\)")
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Field:
    """One field with its options, such as `limit`, and the fields asked for within it."""

    name: str
    options: Mapping[str, str]
    inner: tuple["Field", ...]


def read(text: str) -> tuple[Field, ...]:
    """The fields of an expression. ValueError says where it is none."""
    found, end = _fields(text, 0, 0)
    if end != len(text):
        raise ValueError(f'Syntax error "Expected end of string instead of "{text[end]}"." at character {end}')
    return found


def _fields(text: str, at: int, depth: int) -> tuple[tuple[Field, ...], int]:
    found: list[Field] = []
    while True:
        name = _NAME.match(text, at)
        if name is None or depth > _DEPTH:
            raise ValueError(f'Syntax error "Expected name." at character {at}')
        at, options = name.end(), {}
        while option := _OPTION.match(text, at):
            options[option[1]] = option[2]
            at = option.end()
        inner: tuple[Field, ...] = ()
        if text[at : at + 1] == "{":
            inner, at = _fields(text, at + 1, depth + 1)
            if text[at : at + 1] != "}":
                raise ValueError(f'Syntax error "Expected closing brace." at character {at}')
            at += 1
        found.append(Field(name[0], options, inner))
        if text[at : at + 1] != ",":
            return tuple(found), at
        at += 1
