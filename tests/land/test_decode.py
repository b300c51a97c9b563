"""Bytes to columns: both ways of reading give the same verdict and the same columns on any bytes, and none ends us."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import events
from ingest.land import decode as decoding
from ingest.land.columns import columns, typed_schema
from ingest.land.decode import decode, decode_by_record
from tests.bench.generate import posts
from tests.land.fuzzed import NEIGHBOUR, Batch, examine
from tests.land.payloads import bent_events, good_events, mixed_batches, post, wire, worst

TOPICS = list(events.TOPICS)
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def agree(topic: str, payloads: list[bytes | None]) -> None:
    """Both ways of reading the batch say the same."""
    quick, careful = decode(topic, payloads), decode_by_record(topic, payloads)
    assert dict(quick.errors) == dict(careful.errors)
    assert quick.beyond == careful.beyond
    assert quick.table.schema == careful.table.schema == typed_schema(topic)
    assert quick.table.num_rows == len(payloads)
    assert quick.table.equals(careful.table)
    careful.table.validate(full=True)


@pytest.mark.parametrize("topic", TOPICS)
@MANY
@given(data=st.data())
def test_both_ways_agree_on_mixed_batches(topic: str, data: st.DataObject) -> None:
    agree(topic, data.draw(mixed_batches(topic)))


@settings(MANY, max_examples=300)
@given(payload=bent_events("posts"))
def test_both_ways_agree_on_one_bent_event(payload: bytes) -> None:
    agree("posts", [payload])


@settings(MANY, max_examples=200)
@given(payloads=st.lists(st.binary(max_size=40) | st.binary(max_size=20).map(lambda b: b'{"event_id":"' + b + b"}")))
def test_both_ways_agree_on_any_bytes(payloads: list[bytes | None]) -> None:
    agree("posts", payloads)


def among_good(*payloads: bytes | None) -> Batch:
    """The payloads between two good events that say who they are."""
    event = post(text="good", views=3, duration_seconds=5.5, hashtags=["a"])
    ways = [NEIGHBOUR, *["bent"] * len(payloads), NEIGHBOUR]
    return Batch("posts", ways, [wire(event), *payloads, wire(event)], {0: event, len(ways) - 1: event}, "1")


@pytest.mark.parametrize("name", worst())
def test_the_worst_payloads_get_one_verdict_alone_and_among_good_neighbours(name: str, tmp_path: Path) -> None:
    """And they become a row or a dead letter in a file that both readers take, under any key and headers."""
    assert examine(among_good(worst()[name]), tmp_path)[1] == []


def test_all_of_them_together_leave_good_neighbours_alone(tmp_path: Path) -> None:
    counts, faults = examine(among_good(*worst().values(), None), tmp_path)
    assert faults == []
    assert counts[NEIGHBOUR, "good"] == 2
    assert counts["bent", "poison"] > 60


@pytest.mark.parametrize("at", [1, 13, 49, 60, -1])
def test_an_object_split_over_two_messages_is_two_dead_letters(at: int, tmp_path: Path) -> None:
    whole = wire(post(text="split"))
    counts, faults = examine(among_good(whole[:at], whole[at:], whole + whole, b""), tmp_path)
    assert (counts["bent", "poison"], faults) == (4, [])


def test_only_what_keeps_the_contract_is_good() -> None:
    kept = {name for name, payload in worst().items() if not decode("posts", [payload]).errors}
    assert kept == {
        "a newline in an object",
        "NUL in a text",
        "a key twice",
        "a required key twice",
        "a key twice beyond",
        "an escaped id",
        "a megabyte of text",
        "a megabyte of spaces",
        "a fraction of 10,000 digits",
        "a megabyte in a field beyond",
        "space around",
        "lines of Windows around",
        "lines of Windows within",
        "an endless exponent beyond",
        "the year 1",
        "the last moment",
        "a field beyond",
        "all in order",
    }


def test_no_payload_ends_the_process() -> None:
    program = (
        "import sys\n"
        "from ingest.land.decode import decode\n"
        "from tests.land.payloads import worst\n"
        "for topic in ('posts', 'notices'):\n"
        "    for payload in worst().values():\n"
        "        decode(topic, [payload]); decode(topic, [payload] * 100)\n"
        "    decode(topic, [b'null'] * 1000); decode(topic, list(worst().values()))\n"
        "print('alive')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


@pytest.mark.parametrize("topic", TOPICS)
@settings(MANY, max_examples=40)
@given(data=st.data())
def test_good_events_keep_their_values(topic: str, data: st.DataObject) -> None:
    event = data.draw(good_events(topic))
    decoded = decode(topic, [wire(event)])
    assert not decoded.errors
    row = decoded.table.to_pylist()[0]
    for column in columns(topic):
        value = event.get(column.name)
        if column.kind == "instant" and value is not None:
            assert row[column.name] == datetime.fromisoformat(value)
        else:
            assert row[column.name] == value


def test_good_events_never_need_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "judge", None)
    assert not decode("posts", [payload for _, payload in posts(2_000)]).errors


def test_a_field_beyond_the_contract_keeps_the_payload_and_the_columns() -> None:
    decoded = decode("posts", [wire(post(views=1)), wire(post(views=2, new_metric={"a": 1})), b"{}"])
    assert decoded.beyond == {1}
    assert list(decoded.errors) == [2]
    assert decoded.table.column("views").to_pylist() == [1, 2, None]


def test_of_a_key_that_stands_twice_the_last_value_counts() -> None:
    assert decode("posts", [worst()["a key twice"]]).table.column("views").to_pylist() == [2]


def test_of_a_key_that_stands_twice_only_the_last_value_must_keep_the_contract() -> None:
    whole = wire(post())
    mended = whole.replace(b'"observed_at"', b'"observed_at":"yesterday","observed_at"', 1)
    spoilt = whole[:-1] + b',"observed_at":"yesterday"}'
    for payloads in ([mended], [spoilt], [whole, mended, spoilt, whole]):
        agree("posts", payloads)
    assert list(decode("posts", [mended, spoilt]).errors) == [1]


def test_the_error_says_what_is_wrong_and_where() -> None:
    decoded = decode("posts", [wire(post(views="12")), wire(post(observed_at="2026-02-30T00:00:00Z")), None])
    assert decoded.errors[0] == "Expected `int | null`, got `str` - at `$.views`"
    assert "day is out of range" in decoded.errors[1]
    assert decoded.errors[2] == "the message has no value"


def test_instants_become_moments_in_utc() -> None:
    table = decode("posts", [wire(post(observed_at="2026-11-18T01:02:03.004Z"))]).table
    assert table.column("observed_at").to_pylist() == [datetime(2026, 11, 18, 1, 2, 3, 4000, UTC)]


def test_an_empty_batch_has_all_columns() -> None:
    assert decode("followers", []).table.schema == typed_schema("followers")
