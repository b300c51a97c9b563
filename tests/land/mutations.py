"""Payloads for the fuzzer: good events with known values, and ways to bend them that know what JSON is made of.

An event is a list of members, each a name and a value as *raw JSON text*, so that a way may change a value, a type, a
name, the structure or any byte. A way gives one payload or several that must stay side by side. All is drawn from one
`random.Random`: the same seed gives the same bytes.
"""

import json
import random
from collections.abc import Callable
from typing import Any

from ingest import events
from ingest.contracts.examples import EXAMPLES
from ingest.land.columns import Column, columns
from tests.land.payloads import LARGEST, ODD_VALUES

Payload = bytes | None
Members = list[tuple[bytes, bytes]]
Way = Callable[[random.Random, str], list[Payload]]

WORDS = ("a", "café", "東京", "🎬 ✨", "x" * 300, 'say "hi"', "back\\slash", "line\nbreak", "NUL\x00", "\u2028", " ")
LISTED = {"unavailable": ("views:hidden", "likes:not_yet"), "outcomes": ("ok:3", "gone:12")}
BROKEN_TEXTS = (b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ud83d\\u0041"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"',
                b'"\xf4\x90\x80\x80"', b'"a\nb"', b'"a\x00b"', b'"\t"', b'"\\x41"', b'"\\u12"', b'"', b"'a'",
                b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\xef\xbf\xbf"', b'"\xe2\x80\xa8"')  # fmt: skip
NUMBERS = (b"0", b"-0", b"-0.0", b"1", b"1.0", b"1.5", b"1e2", b"1E+2", b"10e-1", b"1e400", b"-1e400", b"1e-400",
           b"5e-324", b"1.7976931348623157e308", b"0.30000000000000004", b"123456789.123456789012345678",
           b"9007199254740993", b"9007199254740993.0", b"9223372036854775807", b"9223372036854775808",
           b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551615", b"18446744073709551616",
           b"9" * 400, b"0." + b"1" * 400, b"1e" + b"9" * 30, b"01", b"+1", b".5", b"5.", b"1e", b"0x10", b"1_000",
           b"NaN", b"Infinity", b"-Infinity", b"-", b"--1", b"1 2", "٣".encode(), b'"12"', b'"1.0"')  # fmt: skip
INSTANTS = ("2026-02-28T23:59:59.999Z", "2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2026-06-30T23:59:60Z",
            "2026-01-01T24:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z",
            "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00z", "2026-01-01t00:00:00Z", "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00Z",
            "20260101T000000Z", "2026-W01-1T00:00:00Z", "2026-001T00:00:00Z", "+2026-01-01T00:00:00Z", "2026-01-01Z",
            "2026-01-01T00:00:00Z\n", " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00,123Z", "-001-01-01T00:00:00Z",
            "2026-01-01T00:00:00.000Z\x00", "epoch", "infinity", "1767225600", "٢٠٢٦-01-01T00:00:00Z")  # fmt: skip
SPACES = (b" ", b"\n", b"\r\n", b"\t", b"\xef\xbb\xbf", b"\x0c", b"\xc2\xa0", b"\x00", b"\xe2\x80\xa8", b"")
PIECES = (b"\x00", b"\n", b"\r", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"}{", b"}\n{", b"\xff", b"\xc3",
          b"\xf0\x9f", b"\xed\xa0\x80", b"\\u", b"\\ud800", b"\\u0000", b"null", b"true", b"-", b"e9", b"//", b"/* */",
          b'{"event_id":"', b'"event_id":"', b"\xef\xbb\xbf", b"\x1a", b"\x7f")  # fmt: skip
SCALARS: tuple[Payload, ...] = (b"", b" ", b"\n", b"null", b"true", b"false", b"0", b"-1", b"1e400", b'""', b'"x"',
           b"[]", b"{}", b"[{}]", b"[null]", b"nul", b"NaN", b"\xef\xbb\xbf", b"\x00", b'{"":""}', b"{{}}", b"}", b"{",
           b'{"event_id":"', b'{"event_id":""}', b'{"event_id":null}', b"null\nnull", b",", None)  # fmt: skip


def good_event(draw: random.Random, topic: str) -> dict[str, Any]:
    """An event that keeps the contract: an example of the topic or one of our own making, under an id of its own."""
    if draw.random() < 0.15:
        event = json.loads(events.encode(draw.choice(EXAMPLES[topic])))
    else:
        share = draw.choice((0.0, 0.2, 0.2, 0.8))
        event = {one.name: _value(draw, one) for one in columns(topic) if one.required or draw.random() < share}
    return event | {"event_id": _id(draw)}


def wire(event: dict[str, Any]) -> bytes:
    """The event as our producers write it."""
    return render(_members(event))


def render(members: Members) -> bytes:
    """One JSON object of the members as they stand."""
    return b"{" + b",".join(name + b":" + value for name, value in members) + b"}"


def bent(draw: random.Random, topic: str) -> tuple[str, list[Payload]]:
    """A way, drawn by its weight, and what it made: payloads that belong side by side."""
    (name,) = draw.choices(list(WAYS), weights=[WEIGHTS.get(way, 4) for way in WAYS])
    return name, WAYS[name](draw, topic)


def _id(draw: random.Random) -> str:
    digits = f"{draw.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _value(draw: random.Random, column: Column) -> Any:
    if column.allowed:
        return draw.choice(column.allowed)
    match column.kind:
        case "instant":
            fraction = draw.choice(("", f".{draw.randrange(1000):03d}"))
            day = f"20{draw.randrange(100):02d}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}"
            return f"{day}T00:00:0{draw.randrange(10)}{fraction}Z"
        case "integer":
            least, most = int(column.least or 0), int(column.most or LARGEST)
            return draw.choice((least, most, max(least, 1), min(most, draw.randrange(1, 10**6))))
        case "number":
            return draw.choice((0, 1, 0.5, draw.random(), 1 if column.most == 1 else draw.random() * 1e6))
        case "flag":
            return draw.random() < 0.5
        case "texts":
            return draw.choices(LISTED.get(column.name, WORDS), k=draw.randrange(3))
        case "text":
            return draw.choice(WORDS)


def _members(event: dict[str, Any]) -> Members:
    return [(_json(name), _json(value)) for name, value in event.items()]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _token(draw: random.Random) -> bytes:
    """A value as JSON text that no field may expect."""
    match draw.randrange(6):
        case 0:
            return draw.choice(NUMBERS)
        case 1:
            return draw.choice(BROKEN_TEXTS)
        case 2:
            return _json(draw.choice(INSTANTS))
        case 3:
            return draw.choice((b"null", b"true", b"false", b"nul", b"[]", b"{}", b"[null]", b'[""]', b"[[]]",
                                b'{"a":1}', b"[1,2", b"undefined", b""))  # fmt: skip
        case _:
            return json.dumps(draw.choice(ODD_VALUES), ensure_ascii=draw.random() < 0.5).encode("utf-8")


def _fresh(draw: random.Random, topic: str) -> Members:
    return _members(good_event(draw, topic))


def _at(draw: random.Random, members: Members) -> int:
    """A place of a member, mostly behind the id, where the fast way still looks."""
    return 0 if draw.random() < 0.05 else draw.randrange(1, len(members))


def _with(draw: random.Random, topic: str, value: bytes, kinds: tuple[str, ...] = ()) -> bytes:
    """A good event with the value in a field, of one of the kinds where any are named."""
    event = good_event(draw, topic)
    fitting = [one.name for one in columns(topic) if one.kind in kinds] or [one.name for one in columns(topic)[1:]]
    name = _json(draw.choice(fitting))
    members = [one for one in _members(event) if one[0] != name]
    members.insert(draw.randrange(1, len(members) + 1), (name, value))
    return render(members)


def _changed_value(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = _at(draw, members)
        members[at] = (members[at][0], _token(draw))
    return [render(members)]


def _swapped(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    one, other = draw.randrange(1, len(members)), draw.randrange(1, len(members))
    (name, value), (name_2, value_2) = members[one], members[other]
    members[one], members[other] = (name, value_2), (name_2, value)
    return [render(members)]


def _number(draw: random.Random, topic: str) -> list[Payload]:
    return [_with(draw, topic, draw.choice(NUMBERS), ("integer", "number"))]


def _text(draw: random.Random, topic: str) -> list[Payload]:
    token = draw.choice(BROKEN_TEXTS)
    return [_with(draw, topic, token if draw.random() < 0.6 else b"[" + token + b"]", ("text", "texts"))]


def _instant(draw: random.Random, topic: str) -> list[Payload]:
    return [_with(draw, topic, _json(draw.choice(INSTANTS)), ("instant",))]


def _null(draw: random.Random, topic: str) -> list[Payload]:
    return [_with(draw, topic, b"null") for _ in range(draw.choice((1, 1, 3)))]


def _dropped(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    del members[draw.randrange(len(members))]
    return [render(members)]


def _beyond(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    name = draw.choice((b'"new"', b'"New Field"', b'""', b'"Event_Id"', b'"_error"', b'"event_id "', b'"\xff"'))
    value = _token(draw) if draw.random() < 0.5 else _json(draw.choice(ODD_VALUES[:-20]))
    members.insert(draw.randrange(1, len(members) + 1), (name, value))
    return [render(members)]


def _twice(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    name, value = members[draw.randrange(len(members))]
    if draw.random() < 0.6:
        value = draw.choice((_token(draw), b"null", b"1", b'"other"'))
    members.insert(draw.randrange(1, len(members) + 1), (name, value))
    return [render(members)]


def _name(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    at = _at(draw, members)
    name, value = members[at]
    bare = name[1:-1]
    name = draw.choice((b'"' + bare.upper() + b'"', b'"' + bare + b' "', b'"' + bare + b'\\u0000"', bare, b"1", b"null",
                        b"'" + bare + b"'", b'"\\u%04x' % bare[0] + bare[1:] + b'"', b'"' + bare + b"\x00" + b'"',
                        b'"\\ud800"', b'"' + bare))  # fmt: skip
    members[at] = (name, value)
    return [render(members)]


def _shuffled(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    draw.shuffle(members)
    return [render(members)]


def _spaced(draw: random.Random, topic: str) -> list[Payload]:
    payload = wire(good_event(draw, topic))
    if draw.random() < 0.5:
        return [draw.choice(SPACES) + payload + draw.choice(SPACES)]
    space = draw.choice(SPACES)
    at = draw.choice([place for place, byte in enumerate(payload) if byte in b'{},:"'])
    return [payload[:at] + space * draw.randint(1, 3) + payload[at:]]


def _escaped(draw: random.Random, topic: str) -> list[Payload]:
    members = _fresh(draw, topic)
    at = _at(draw, members)
    name, value = members[at]
    return [render([*members[:at], (name, json.dumps(json.loads(value)).encode()), *members[at + 1 :]]).replace(
        b"a", draw.choice((b"a", b"\\u0061", b"\\u0061")), draw.randint(0, 2))]  # fmt: skip


def _nested(draw: random.Random, topic: str) -> list[Payload]:
    deep = draw.choice((2, 30, 200, 1_100, 5_000, 20_000))
    opening, closing = draw.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")))
    value = opening * deep + draw.choice((b"1", b"", b"null")) + closing * draw.choice((deep, deep, deep - 1, 0))
    if draw.random() < 0.2:
        return [value]
    if draw.random() < 0.5:
        return [render([*_fresh(draw, topic), (b'"new"', value)])]
    return [_with(draw, topic, value)]


def _huge(draw: random.Random, topic: str) -> list[Payload]:
    size = draw.choice((70_000, 1 << 18, 1 << 20))
    match draw.randrange(6):
        case 0:
            return [_with(draw, topic, b'"' + b"x" * size + b'"', ("text",))]
        case 1:
            return [_with(draw, topic, draw.choice((b"9" * 10_000, b"0." + b"3" * 10_000, b"1e" + b"9" * 10_000)))]
        case 2:
            return [_with(draw, topic, b"[" + b",".join([b'"t"'] * (size // 8)) + b"]", ("texts", "text"))]
        case 3:
            return [wire(good_event(draw, topic))[:-1] + b" " * size + b"}"]
        case 4:
            return [render([*_fresh(draw, topic), *((b'"n%d"' % at, b"1") for at in range(2_000))])]
        case _:
            return [render([*_fresh(draw, topic), (b'"' + b"k" * size + b'"', b"1")])]


def _bytes(draw: random.Random, topic: str) -> list[Payload]:
    data = bytearray(wire(good_event(draw, topic)))
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(data)) if draw.random() < 0.3 else draw.randrange(min(50, len(data) - 1), len(data))
        match draw.randrange(3):
            case 0:
                data[at] = draw.randrange(256)
            case 1:
                data[at:at] = bytes([draw.randrange(256)])
            case _:
                del data[at]
    return [bytes(data)]


def _pieces(draw: random.Random, topic: str) -> list[Payload]:
    payload = wire(good_event(draw, topic))
    for _ in range(draw.choice((1, 1, 3))):
        at = draw.randrange(len(payload) + 1)
        payload = payload[:at] + draw.choice(PIECES) + payload[at + draw.randrange(2) :]
    return [payload]


def _cut(draw: random.Random, topic: str) -> list[Payload]:
    payload = wire(good_event(draw, topic))
    at = draw.randrange(len(payload))
    return [draw.choice((payload[:at], payload[at:], payload[:at] + b"}", payload[:at] + b'"}', payload[:-1] + b",}"))]


def _spliced(draw: random.Random, topic: str) -> list[Payload]:
    one, other = wire(good_event(draw, topic)), wire(good_event(draw, draw.choice([topic, *events.TOPICS])))
    return [one[: draw.randrange(len(one))] + other[draw.randrange(len(other)) :]]


def _foreign(draw: random.Random, topic: str) -> list[Payload]:
    return [wire(good_event(draw, draw.choice([one for one in events.TOPICS if one != topic])))]


def _joined(draw: random.Random, topic: str) -> list[Payload]:
    one, other = wire(good_event(draw, topic)), wire(good_event(draw, topic))
    return [one + draw.choice((b"", b"\n", b",", b" ", b"\x00", b"\r\n")) + other]


def _split(draw: random.Random, topic: str) -> list[Payload]:
    payload = wire(good_event(draw, topic))
    cuts = sorted(draw.choices(range(len(payload)), k=draw.choice((1, 1, 2))))
    return [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]


def _shifted(draw: random.Random, topic: str) -> list[Payload]:
    """As many objects as messages, but not one in each: what gives events each other's offsets."""
    one, other, third = (wire(good_event(draw, topic)) for _ in range(3))
    at = draw.randrange(1, len(third))
    return draw.choice((
        [one + other, third[:at], third[at:]],
        [one + b"\n" + other, b""],
        [b"", one + b"\n" + other],
        [one + other, b" "],
        [one[:-1], b"}" + other],
        [one[:-1] + b',"new":', b'{"event_id":"x"}' + b"}"],
        [one[:-1] + b',"new":"', other + b'"}'],
        [one[:-1] + b',"new":[' + other, other + b"]}"],
    ))  # fmt: skip


def _same_id(draw: random.Random, topic: str) -> list[Payload]:
    payload = wire(good_event(draw, topic))
    found = payload[13:49]
    odd = draw.choice((found.upper(), found[:-1], found + b"0", b"\\u0030" + found[1:], b"x" * 36, b"", found + b"\\n",
                       found[:-1] + b"\n", b"\xc3\xa9" * 18, found[:-6] + b"\\u0030", b"\\" * 36))  # fmt: skip
    return [payload, payload] if draw.random() < 0.3 else [payload[:13] + odd + payload[49:]]


def _noise(draw: random.Random, _: str) -> list[Payload]:
    noise = draw.randbytes(draw.choice((1, 3, 20, 400)))
    return [noise if draw.random() < 0.5 else b'{"event_id":"' + _id(draw).encode() + b'"' + noise + b"}"]


def _scalar(draw: random.Random, _: str) -> list[Payload]:
    return [draw.choice(SCALARS)] * draw.choice((1, 1, 3))


def _untouched(draw: random.Random, topic: str) -> list[Payload]:
    return [wire(good_event(draw, topic))]


WAYS: dict[str, Way] = {
    "untouched": _untouched, "value": _changed_value, "swap": _swapped, "number": _number, "text": _text,
    "instant": _instant, "null": _null, "drop": _dropped, "beyond": _beyond, "twice": _twice, "name": _name,
    "order": _shuffled, "space": _spaced, "escape": _escaped, "nesting": _nested, "huge": _huge, "bytes": _bytes,
    "pieces": _pieces, "cut": _cut, "splice": _spliced, "foreign": _foreign, "join": _joined, "split": _split,
    "shift": _shifted, "id": _same_id, "noise": _noise, "scalar": _scalar,
}  # fmt: skip
"""By the name under which they are counted."""
WEIGHTS = {"huge": 0.05, "nesting": 0.5, "value": 8, "bytes": 8, "pieces": 8, "beyond": 6, "twice": 6}
