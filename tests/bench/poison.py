"""Good payloads broken in the ways that topics have seen: what the landing must keep as poison rows, and go on."""

import random
from collections.abc import Callable

Break = Callable[[bytes, random.Random], bytes]


def _without_a_required_field(payload: bytes, _: random.Random) -> bytes:
    start = payload.index(b',"post_id":')
    return payload[:start] + payload[payload.index(b',"state":') :]


def _cut_short(payload: bytes, chance: random.Random) -> bytes:
    return payload[: chance.randrange(1, len(payload) - 1)]


WAYS: dict[str, Break] = {
    "a number where a text belongs": lambda payload, _: payload.replace(b'"endpoint":"', b'"endpoint":7,"_":"', 1),
    "a word where a number belongs": lambda payload, _: payload.replace(b'"contract":1', b'"contract":"one"', 1),
    "an unknown platform": lambda payload, _: payload.replace(b'"platform":"', b'"platform":"my', 1),
    "a loose time": lambda payload, _: payload.replace(b'"observed_at":"2026-', b'"observed_at":"yesterday ', 1),
    "invalid UTF-8": lambda payload, _: payload.replace(b'"run_id":"', b'"run_id":"\xc3\x28', 1),
    "a required field is missing": _without_a_required_field,
    "cut short": _cut_short,
    "two events in one message": lambda payload, _: payload + payload,
    "empty": lambda _, __: b"",
}


def broken(payload: bytes, chance: random.Random) -> bytes:
    """The payload, broken in one of the ways."""
    return WAYS[chance.choice(sorted(WAYS))](payload, chance)
