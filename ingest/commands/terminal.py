"""What the commands have in common at the terminal: options, the moment to act at, progress and results."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Now = Annotated[datetime | None, typer.Option(help="The moment to act at, UTC; default: the clock's.")]


def moment(now: datetime | None) -> datetime:
    """The given moment in UTC, else the clock's: the one place of the command that reads it."""
    if now is None:
        return datetime.now(UTC)
    return now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)


def say(text: str) -> None:
    """Progress: to stderr, so that stdout stays the result."""
    print(text, file=sys.stderr, flush=True)


def print_rows(rows: list[dict[str, Any]], as_json: bool, title: str | None = None) -> None:
    """The result, to stdout: a JSON list, else a table; a single row is shown as names and values."""
    if as_json:
        sys.stdout.write(json.dumps(rows, default=str, ensure_ascii=False) + "\n")
        return
    if not rows:
        print("nothing to do")
        return
    # A pipe has no width: wide enough then that no value is folded.
    console = Console(width=None if sys.stdout.isatty() else 250, highlight=False)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    if len(rows) == 1:
        table.show_header = False
        for name, value in rows[0].items():
            if value is not None:
                table.add_row(name.replace("_", " "), str(value))
        console.print(table)
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
    console.print(table)
