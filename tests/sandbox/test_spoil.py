"""What can happen to a good answer does happen, and to nothing else of it."""

import gzip
import json
import zlib

import pytest

from infra.sandbox.spoil import ODD, SPOILING
from infra.sandbox.wire import Answer

PAGE = {
    "items": [
        {"id": "1", "displayName": "Ann", "handle": "ann", "stats": {"viewCount": "12", "likes": 3, "is_up": True}}
    ],
    "next": "c",
}


def spoiled(kind: str) -> Answer:
    return SPOILING[kind](Answer(200, PAGE, (("x-left", "7"),)))


@pytest.mark.parametrize("kind", SPOILING)
def test_every_kind_changes_the_answer_and_keeps_its_headers(kind: str) -> None:
    answer = spoiled(kind)
    assert (answer.status, answer.encoded()) != (200, Answer(200, PAGE).encoded())
    assert ("x-left", "7") in answer.headers


def test_rows_come_twice_under_the_same_cursor() -> None:
    found = json.loads(spoiled("repeated_rows").encoded())
    assert found == {"items": PAGE["items"] * 2, "next": "c"}


def test_counters_fall_to_0_as_numbers_or_digits_and_nothing_else_does() -> None:
    (row,) = json.loads(spoiled("zeroed").encoded())["items"]
    assert row == {
        "id": "1",
        "displayName": "Ann",
        "handle": "ann",
        "stats": {"viewCount": "0", "likes": 0, "is_up": True},
    }


def test_names_are_odd_and_what_is_looked_up_by_is_not() -> None:
    (row,) = json.loads(spoiled("odd_names").encoded())["items"]
    assert (row["displayName"], row["handle"], row["id"]) == ("Ann" + ODD, "ann", "1")


def test_gzip_is_cut_and_cannot_be_read_to_its_end() -> None:
    answer = spoiled("cut_gzip")
    assert ("content-encoding", "gzip") in answer.headers
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress(answer.encoded())
