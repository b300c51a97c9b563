"""The watch list: which accounts are followed, one line each. Collectors and dbt read the same file."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ingest.errors import Misconfigured
from ingest.events import Platform

REQUIRED = ("creator_id", "creator_name", "platform", "account")
OPTIONAL = ("market", "tags")
PLATFORMS = get_args(Platform)


@dataclass(frozen=True, slots=True)
class Watched:
    """One line: an account of a creator. `account` is a handle or the platform's id; `line` is its line in the file."""

    creator_id: str
    creator_name: str
    platform: str
    account: str
    market: str | None
    tags: tuple[str, ...]
    line: int


def read(path: Path) -> list[Watched]:
    """The watch list's accounts in the file's order; empty lines are skipped.

    Raises Misconfigured with every fault of the file: a missing column, an empty required value, an unknown platform,
    an account listed twice (compared without a leading @, and without case but for ids of which case is a part).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Misconfigured(f"{path}: no watch list there. Set ASSAY_WATCHLIST_PATH, or write the file") from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8") from None
    except OSError as error:
        raise Misconfigured(f"{path}: the watch list cannot be read: {error.strerror}") from None
    try:
        return _read(path, text)
    except csv.Error as error:
        raise Misconfigured(f"{path}: no CSV ({error}). Look for a quote that is never closed") from None


def _read(path: Path, text: str) -> list[Watched]:
    """The accounts in the file's text. Raises csv.Error where it is no CSV."""
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = rows.fieldnames or []
    if missing := [name for name in REQUIRED if name not in names]:
        raise Misconfigured(
            f"{path}:1: the header lacks {', '.join(missing)}. "
            f"Columns: {', '.join(REQUIRED + OPTIONAL)} (the last two optional)"
        )
    faults: list[str] = []
    watched: list[Watched] = []
    first_line: dict[tuple[str, str], int] = {}
    for row in rows:
        line = rows.line_num
        value = {name: (row.get(name) or "").strip() for name in REQUIRED + OPTIONAL}
        if None in row:
            faults.append(f"{path}:{line}: more values than the header has columns; quote a value that holds a comma")
            continue
        if empty := [name for name in REQUIRED if not value[name]]:
            faults.append(f"{path}:{line}: {' and '.join(empty)} empty; fill in, or remove the line")
            continue
        if value["platform"] not in PLATFORMS:
            faults.append(f"{path}:{line}: unknown platform {value['platform']!r}; one of {', '.join(PLATFORMS)}")
            continue
        identity = (value["platform"], _compared(value["account"]))
        if identity in first_line:
            faults.append(f"{path}:{line}: {value['account']!r} stands on line {first_line[identity]} too; keep one")
            continue
        first_line[identity] = line
        tags = tuple(tag.strip() for tag in value["tags"].split(";") if tag.strip())
        watched.append(
            Watched(
                creator_id=value["creator_id"],
                creator_name=value["creator_name"],
                platform=value["platform"],
                account=value["account"],
                market=value["market"] or None,
                tags=tags,
                line=line,
            )
        )
    if faults:
        raise Misconfigured("the watch list has faults:\n  " + "\n  ".join(faults))
    return watched


def _compared(account: str) -> str:
    """An account as it is compared with others: handles are the same in any case, ids of many letters are not."""
    return account if re.fullmatch(r"[\w-]{20,}", account) else account.removeprefix("@").lower()
