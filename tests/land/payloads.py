"""Payloads for the decoding tests: good events of any topic, what may be wrong with one, and the worst there is."""

import json
from typing import Any

from hypothesis import strategies as st

from ingest import events
from ingest.land.columns import Column, columns

ID = "0f8fad5b-d9cb-5e9f-a165-70867728950e"
LARGEST = 2**63 - 1

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
INSTANTS = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z") | st.sampled_from(
    ["2026-11-18T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2024-02-29T12:00:00Z"]
)


def good_value(column: Column) -> st.SearchStrategy[Any]:
    """Values that the contract allows in a field."""
    if column.name == "event_id":
        return st.uuids().map(str)
    if column.allowed:
        return st.sampled_from(column.allowed)
    match column.kind:
        case "instant":
            return INSTANTS
        case "integer":
            least, most = int(column.least or 0), int(column.most or LARGEST)
            return st.sampled_from([least, most]) | st.integers(max(least, 0), min(most, 10**6))
        case "number":
            return st.floats(0, 1 if column.most == 1 else 1e6) | st.sampled_from([0, 1, -0.0])
        case "flag":
            return st.booleans()
        case "texts":
            item = {"unavailable": "views:hidden", "outcomes": "ok:3"}.get(column.name)
            return st.lists(st.just(item) if item else TEXTS, max_size=3)
        case "text":
            return TEXTS


@st.composite
def good_events(draw: st.DrawFn, topic: str) -> dict[str, Any]:
    """An event of the topic as a dictionary, with some of its optional fields."""
    event = {}
    for column in columns(topic):
        if column.required or draw(st.integers(0, 3)) == 0:
            event[column.name] = draw(good_value(column))
    return event


def wire(event: dict[str, Any]) -> bytes:
    """As our producers write it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


ODD_VALUES: list[Any] = [
    *(None, True, 0, -1, 1.0, 1.5, -0.0, 1e400, LARGEST + 1, 10**40),
    *("", "x", "12", "\x00", "é", "youtube", "visible", "views:hidden", ID + "\n", ID.upper()),
    *([], ["a"], [None], [""], [1], {}, {"a": 1}, ["views:no"]),
    *("2026-02-30T00:00:00Z", "2026-02-20 00:00:00Z", "2026-02-20T00:00:00.123456Z", "2026-02-20T00:00:00.5Z"),
    *("2026-02-20T00:00:00Z\n", "2026-02-20T00:00:00+00Z", "2026-02-20T24:00:00Z", "2026-02-20T00:00:60Z"),
    *("0000-01-01T00:00:00Z", "٢٠٢٦-02-20T00:00:00Z", "2026-02-20"),
]


@st.composite
def bent_events(draw: st.DrawFn, topic: str) -> bytes:
    """An event with something about it that may or may not keep the contract."""
    event = draw(good_events(topic))
    names = [column.name for column in columns(topic)]
    name = draw(st.sampled_from(names))
    way = draw(
        st.sampled_from(["value", "drop", "beyond", "order", "space", "escape", "twice", "bytes", "cut", "none"])
    )
    if way == "value":
        event[name] = draw(st.sampled_from(ODD_VALUES))
    elif way == "drop":
        event.pop(name, None)
    elif way == "beyond":
        event["brand_new"] = draw(st.sampled_from(ODD_VALUES))
    elif way == "order":
        event = dict(reversed(event.items()))
    payload = wire(event)
    if way == "space":
        return (
            draw(st.sampled_from([b" ", b"\n", b"\r\n", b"\t", b"\xef\xbb\xbf"]))
            + payload
            + draw(st.sampled_from([b"", b" "]))
        )
    if way == "escape":
        return payload.replace(b'"platform"', b'"pl\\u0061tform"', 1).replace(
            b'"run_id":"', b'"run_id":"\\ud83d\\ude00', 1
        )
    if way == "twice":
        return (
            payload[:-1]
            + b","
            + json.dumps(name).encode()
            + b":"
            + json.dumps(draw(st.sampled_from(ODD_VALUES))).encode()
            + b"}"
        )
    if way == "bytes":
        at = draw(st.integers(0, len(payload)))
        junk = draw(
            st.sampled_from([b"\xff", b"\x00", b"\n", b"}{", b"}", b"\\", b'"', b"\\ud800", b"\t", b"\xed\xa0\x80"])
        )
        return payload[:at] + junk + payload[at + draw(st.integers(0, 1)) :]
    if way == "cut":
        return payload[: draw(st.integers(0, len(payload)))]
    return payload


def mixed_batches(topic: str) -> st.SearchStrategy[list[bytes | None]]:
    """Batches of mostly good events with others among them."""
    good = good_events(topic).map(wire)
    return st.lists(good | good | bent_events(topic) | st.sampled_from([*worst(topic).values(), None]), max_size=6)


def post(**changes: Any) -> dict[str, Any]:
    """The least good post."""
    return {
        "event_id": ID,
        "contract": events.CONTRACT,
        "platform": "youtube",
        "account_id": "UC1",
        "observed_at": "2026-11-18T00:00:00Z",
        "run_id": "r",
        "endpoint": "videos",
        "collector": "youtube/1",
        "authorisation": "public",
        "post_id": "p",
        "state": "visible",
    } | changes


def worst(topic: str = "posts") -> dict[str, bytes]:
    """Payloads that ended a process, shifted rows or slipped through, in some reader, by what they are."""
    whole = wire(post())
    head = b'{"event_id":"' + ID.encode() + b'"'
    return {
        "empty": b"",
        "null": b"null",
        "nothing but space": b"  ",
        "a raw newline": b"\n",
        "nested lists": b"[" * 20_000,
        "nested lists in a text": head + b',"text":' + b"[" * 20_000 + b"}",
        "nested lists in a list": head + b',"hashtags":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        "nested lists beyond": whole[:-1] + b',"new":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        "nested objects beyond": whole[:-1] + b',"new":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        "two objects": whole + whole,
        "two objects on two lines": whole + b"\n" + whole,
        "first half of an object": whole[: len(whole) // 2],
        "second half of an object": whole[len(whole) // 2 :],
        "an object without its end": whole[:-1],
        "a newline in an object": whole[:-1] + b"\n}",
        "bytes after NUL": whole + b"\x00{garbage}",
        "NUL alone": b"\x00" * 64,
        "NUL in a text": wire(post(text="a\x00b")),
        "raw NUL in a text": whole[:-1] + b',"text":"a\x00b"}',
        "raw tab in a text": whole[:-1] + b',"text":"a\tb"}',
        "invalid UTF-8": whole[:-1] + b',"text":"\xff"}',
        "invalid UTF-8 in a field beyond": whole[:-1] + b',"new":"\xff"}',
        "invalid UTF-8 in a name": whole[:-1] + b',"\xff":1}',
        "a surrogate in UTF-8": whole[:-1] + b',"text":"\xed\xa0\x80"}',
        "a lone surrogate": whole[:-1] + b',"text":"\\ud800"}',
        "a lone surrogate beyond": whole[:-1] + b',"new":"\\ud800"}',
        "a key twice": whole[:-1] + b',"views":1,"views":2}',
        "a required key twice": whole[:-1] + b',"platform":"x"}',
        "a key twice beyond": whole[:-1] + b',"new":1,"new":2}',
        "1.0 in an integer": whole[:-1] + b',"views":1.0}',
        "an exponent in an integer": whole[:-1] + b',"views":1e2}',
        "a text in an integer": whole[:-1] + b',"views":"12"}',
        "a huge integer": whole[:-1] + b',"views":' + b"9" * 5_000 + b"}",
        "one too many": whole[:-1] + b',"views":9223372036854775808}',
        "a negative count": whole[:-1] + b',"views":-1}',
        "a leading zero": whole[:-1] + b',"views":01}',
        "an endless number": whole[:-1] + b',"duration_seconds":1e400}',
        "NaN": whole[:-1] + b',"duration_seconds":NaN}',
        "Infinity": whole[:-1] + b',"duration_seconds":Infinity}',
        "-Infinity": whole[:-1] + b',"duration_seconds":-Infinity}',
        "six digits of a second": wire(post(observed_at="2026-11-18T00:00:00.123456Z")),
        "no such day": wire(post(observed_at="2026-02-30T00:00:00Z")),
        "a space in an instant": wire(post(observed_at="2026-11-18 00:00:00Z")),
        "a null in a list": wire(post(hashtags=[None])),
        "a number in a text": wire(post(account_id=12)),
        "an unknown platform": wire(post(platform="myspace")),
        "an empty id": wire(post(account_id="")),
        "an escaped id": whole.replace(b'"0f8f', b'"\\u0030f8f', 1),
        "an id that is none": wire(post(event_id="x" * 36)),
        "a byte-order mark": b"\xef\xbb\xbf" + whole,
        "a comment": whole[:-1] + b"/* no */}",
        "a trailing comma": whole[:-1] + b",}",
        "an array": b"[" + whole + b"]",
        "a megabyte of text": wire(post(text="x" * (1 << 20))),
        "a megabyte of spaces": whole[:-1] + b" " * (1 << 20) + b"}",
        "true": b"true",
        "an empty list": b"[]",
        "an empty object": b"{}",
        "a required field missing": wire({name: value for name, value in post().items() if name != "platform"}),
        "null in a required field": wire(post(account_id=None)),
        "an object in a text": wire(post(title={"a": 1})),
        "a list in a flag": wire(post(is_paid_partnership=[])),
        "a text in a list": wire(post(hashtags="a")),
        "a number of 10,000 digits": whole[:-1] + b',"duration_seconds":' + b"9" * 10_000 + b"}",
        "a fraction of 10,000 digits": whole[:-1] + b',"duration_seconds":0.' + b"3" * 10_000 + b"}",
        "an endless exponent in an integer": whole[:-1] + b',"views":1e400}',
        "an endless exponent beyond": whole[:-1] + b',"new":1e400}',
        "a megabyte in a field beyond": wire(post(new="x" * (1 << 20))),
        "space around": b" \t" + whole + b"  ",
        "lines of Windows around": b"\r\n" + whole + b"\r\n",
        "lines of Windows within": whole.replace(b",", b",\r\n"),
        "a leap second": wire(post(observed_at="2026-06-30T23:59:60Z")),
        "midnight as 24:00": wire(post(observed_at="2026-11-18T24:00:00Z")),
        "an offset instead of Z": wire(post(observed_at="2026-11-18T01:00:00+01:00")),
        "the year 0": wire(post(observed_at="0000-01-01T00:00:00Z")),
        "the year 1": wire(post(observed_at="0001-01-01T00:00:00Z")),
        "the last moment": wire(post(observed_at="9999-12-31T23:59:59.999Z")),
        "a field beyond": wire(post(new_metric=3)),
        "all in order": whole,
    }
