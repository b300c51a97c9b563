"""What can happen to a good answer on its way, or to what it says: the same for every platform."""

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

from infra.sandbox.wire import HTML, Answer

_PAGE = b"<!DOCTYPE html><html><title>Just a moment...</title><body>Checking your browser</body></html>"
_COUNTER = re.compile(r"(count|counts|likes|views|score|ups|num_comments|num_crossposts)$", re.IGNORECASE)
_NAME = re.compile(r"(display_?name|name|nickname|title|description|bio|note|text)$", re.IGNORECASE)
_HANDLE = re.compile(r"(user_?name|screen_?name|.*_login|handle)$", re.IGNORECASE)
HUGE = 2**53 + 1
"""The first whole number that a float cannot hold."""
ODD = "\x00\ud800\u202e"
"""NUL, half of a surrogate pair, and the mark that turns the direction of writing."""


def _truncated(answer: Answer) -> Answer:
    body = answer.encoded()
    return Answer(answer.status, body[: len(body) // 2], answer.headers, answer.content_type)


def _cut_gzip(answer: Answer) -> Answer:
    body = gzip.compress(answer.encoded())
    headers = (*answer.headers, ("content-encoding", "gzip"))
    return Answer(answer.status, body[: len(body) // 2], headers, answer.content_type)


def _redirect(answer: Answer) -> Answer:
    return Answer(302, b"", (*answer.headers, ("location", "https://elsewhere.example/")), HTML)


def _changed(answer: Answer, change: Callable[[Any], Any]) -> Answer:
    """The answer with its document changed; one that is no JSON stays."""
    try:
        document = json.loads(answer.encoded())
    except ValueError:
        return answer
    return Answer(answer.status, json.dumps(change(document)).encode(), answer.headers, answer.content_type)


def _repeated(document: Any, depth: int = 3) -> Any:
    """Every row of a page or of a table twice; the names of a table's columns are no rows."""
    if isinstance(document, list) and document and all(isinstance(row, dict | list) for row in document):
        return [*document, *document]
    if isinstance(document, dict) and depth:
        return {name: value if name == "columnHeaders" else _repeated(value, depth - 1)
                for name, value in document.items()}  # fmt: skip
    return document


def _counting(document: Any, count: int) -> Any:
    """Every counter the same, as a number or as digits."""
    if isinstance(document, list):
        return [_counting(row, count) for row in document]
    if not isinstance(document, dict):
        return document
    return {
        name: _count(value, count) if _COUNTER.search(name) else _counting(value, count)
        for name, value in document.items()
    }


def _count(value: Any, count: int) -> Any:
    if isinstance(value, str) and value.isdigit():
        return str(count)
    return count if isinstance(value, int) and not isinstance(value, bool) else _counting(value, count)


def _odd(document: Any) -> Any:
    """Names and texts with characters in them that few expect; what names are looked up by stays."""
    if isinstance(document, list):
        return [_odd(row) for row in document]
    if not isinstance(document, dict):
        return document
    return {
        name: value + ODD
        if isinstance(value, str) and _NAME.search(name) and not _HANDLE.search(name) and not value.startswith("t3_")
        else _odd(value)
        for name, value in document.items()
    }


SPOILING: dict[str, Callable[[Answer], Answer]] = {
    "truncated": _truncated,
    "html": lambda answer: Answer(200, _PAGE, answer.headers, HTML),
    "empty": lambda answer: Answer(200, b"", answer.headers, answer.content_type),
    "cut_gzip": _cut_gzip,
    "redirect": _redirect,
    "repeated_rows": lambda answer: _changed(answer, _repeated),
    "zeroed": lambda answer: _changed(answer, lambda document: _counting(document, 0)),
    "huge": lambda answer: _changed(answer, lambda document: _counting(document, HUGE)),
    "odd_names": lambda answer: _changed(answer, _odd),
}
"""What each of these kinds of fault makes of a good answer."""
