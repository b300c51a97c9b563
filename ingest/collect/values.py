"""Values as platforms write them, read into values as events have them. Pure.

Ids and counters are strict: something else in their place means that the platform changed, and the answer is
malformed. Decoration (names, texts, times, links) is lenient: what cannot be read is unknown, null.
"""

import html
import json
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from ingest.events import instant

LARGEST = 2**63 - 1
TEXT_LIMIT = 100_000
"""Characters of one text in an event. Kafka refuses messages of more than 1 MiB."""
RAW_LIMIT = 400_000
"""Bytes of a platform's own object that are kept in an event; a larger one is left out."""

DURATION = re.compile(
    r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12}(?:\.\d{1,9})?)S)?)?", re.ASCII
)
HASHES = "#\uff03"
UNITS = (604_800, 86_400, 3_600, 60, 1)


class Unreadable(Exception):
    """An answer that has not the shape its collector understands; the text is the reason, without any of its values."""


def document(body: bytes) -> Any:
    """The JSON document in `body`. Raises Unreadable when it is empty or no JSON.

    A text with half a surrogate pair (cut by a program that counts in UTF-16) does not cost the rest of the answer.
    """
    if not body.strip():
        raise Unreadable("empty")
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise Unreadable("too_deep") from None
    except (msgspec.DecodeError, ValueError):
        pass
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False, allow_nan=False)
        return msgspec.json.decode(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise Unreadable("no_json") from None


def mapping(value: Any) -> dict[str, Any]:
    """An optional object: empty when absent. Raises Unreadable when it is something else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable("no_object")
    return value


def lenient(value: Any) -> dict[str, Any]:
    """An object of decoration: empty when it is anything else."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """A list of objects. Raises Unreadable when it is something else."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Unreadable("no_list_of_objects")
    return value


def items(value: Any) -> list[dict[str, Any]]:
    """The objects of an optional list of decoration; whatever else stands in it is left out."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def identifier(value: Any) -> str:
    """A required id as a text, also where a fork writes a number. Raises Unreadable for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise Unreadable("no_id")
    return value


def count(value: Any) -> int | None:
    """An optional counter, an integer or its digits. Below zero it is hidden, beyond 64 bits it is no counter: null.

    Raises Unreadable when something else stands in its place.
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 40:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable("no_count")
    return value if 0 <= value <= LARGEST else None


def flag(value: Any) -> bool | None:
    """An optional yes or no."""
    return value if isinstance(value, bool) else None


def text(value: Any) -> str | None:
    """An optional text; an empty one is unknown."""
    return value[:TEXT_LIMIT] if isinstance(value, str) and value else None


def moment(value: Any) -> datetime | None:
    """An optional RFC 3339 moment in UTC; without an offset it is not one."""
    if not isinstance(value, str) or len(value) < 16:
        return None
    try:
        read = datetime.fromisoformat(value.strip())
        if read.tzinfo is UTC:
            return read  # as nearly all are written
        return read.astimezone(UTC) if read.tzinfo else None
    except (ValueError, OverflowError):
        return None


def epoch(written: str) -> datetime | None:
    """Whole seconds since 1970, as headers write them."""
    return datetime.fromtimestamp(int(written), UTC) if re.fullmatch(r"[0-9]{1,11}", written) else None


def when(value: datetime | None) -> str | None:
    """The moment as events write it."""
    return None if value is None else instant(value)


def plain(markup: Any) -> str | None:
    """HTML as plain text: tags stripped, entities decoded. None when there is no text at all."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup)) if isinstance(markup, str) else None


def readable(markup: Any) -> str | None:
    """HTML as text for readers: as `plain`, with breaks and paragraphs kept as line breaks."""
    if not isinstance(markup, str):
        return None
    broken = re.sub(r"<br\s*/?>|</p>\s*<p[^>]*>", "\n", markup, flags=re.IGNORECASE)
    return text((plain(broken) or "").strip())


def length(value: Any) -> int | None:
    """Characters of a text; null when there is none to measure."""
    return len(value) if isinstance(value, str) else None


def digit_share(handle: Any) -> float | None:
    """Share of digits in a handle, 0-1."""
    if not isinstance(handle, str) or not handle:
        return None
    return sum(character.isdigit() for character in handle) / len(handle)


def tags(names: Iterable[Any]) -> list[str]:
    """Hashtags in lower case, without `#`, each once, in order."""
    clean = (name.lstrip(HASHES).lower() for name in names if isinstance(name, str))
    return list(dict.fromkeys(name for name in clean if name))


def tags_in(written: str | None) -> list[str]:
    """The hashtags of a plain text, where the platform does not name them itself. A number alone is none."""
    found: list[str] = re.findall(rf"(?<![\w&/])[{HASHES}](\w+)", written or "")
    return tags(name for name in found if not name.isdigit())


def links_in(written: str | None) -> list[str]:
    """The web addresses of a plain text, each once, in order."""
    found = (link.rstrip(".,;:!?)]}'\"") for link in re.findall(r"https?://[^\s<>\"]+", written or ""))
    return list(dict.fromkeys(found))


def seconds(value: Any) -> float | None:
    """An ISO 8601 duration (`P1DT2H`, `PT3M33S`) or seconds with unit (`213s`); null for none and for zero days."""
    if not isinstance(value, str):
        return None
    if plain_seconds := re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)s", value):
        return number(float(plain_seconds[1]))
    parts = DURATION.fullmatch(value)
    if not parts or value in {"P", "P0D"}:
        return None
    return number(sum(float(part or 0) * unit for part, unit in zip(parts.groups(), UNITS, strict=True)))


def number(value: float) -> float:
    """The number without a fraction that says nothing."""
    return int(value) if value.is_integer() else value


def raw(value: Any) -> str | None:
    """The platform's own object as text, unless it is too large for a message."""
    encoded = msgspec.json.encode(value)
    return encoded.decode() if len(encoded) <= RAW_LIMIT else None


def normalised(written: str) -> str:
    """A text as it is compared with others: compatibility forms, case and everything but letters and digits dropped."""
    folded = unicodedata.normalize("NFKC", written).casefold()
    return "".join(character for character in folded if character.isalnum())
