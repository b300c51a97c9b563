"""The service's log: what a line says can be taken apart again, whatever the values hold."""

import json
import logging
import re

import pytest

from ingest.logs import JsonFormatter, LogfmtFormatter


def record(message: str, *values: object, name: str = "assay.land") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "file", 1, message, values, None)


def test_words_are_the_event_and_named_values_are_fields() -> None:
    line = LogfmtFormatter().format(record("put %s key=%s rows=%d pause=%.1f", "done", "raw/posts", 3, 0.23))
    assert re.fullmatch(
        r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warning event="put done" key=raw/posts rows=3 pause=0.2',
        line,
    )


@pytest.mark.parametrize("value", ["two words", 'a "quote"', "line\nbreak", "key=forged level=info", "", "\\", "é%s"])
def test_a_value_stays_one_value_in_both_forms(value: str) -> None:
    made = record("put failed key=%s error=%s", "k", value)
    said = json.loads(JsonFormatter().format(made))
    assert (said["event"], said["key"], said["error"], said["level"]) == ("put failed", "k", value, "warning")
    line = LogfmtFormatter().format(made)
    assert "\n" not in line
    text = line.partition(" error=")[2]
    assert (json.loads(text) if text.startswith('"') else text) == value
    assert text.startswith('"') or not re.search(r'[\s="]', text)


def test_a_line_of_a_library_is_one_event() -> None:
    said = json.loads(JsonFormatter().format(record("retry %d of key=%s", 1, "x", name="botocore")))
    assert (said["event"], said["logger"]) == ("retry 1 of key=x", "botocore")
