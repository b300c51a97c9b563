"""From platforms to Kafka: collect, sample, what it will cost, and what is made of recorded answers."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ingest.commands.terminal import AsJson, Now, moment, print_rows, say
from ingest.settings import load

commands = typer.Typer()

RunId = Annotated[str | None, typer.Option(help="The run's id; the same id publishes the same event ids.")]
Accounts = Annotated[list[str] | None, typer.Option("--account", help="Only this watched account; repeatable.")]


@commands.command()
def collect(
    platform: str, account: Accounts = None, now: Now = None, run_id: RunId = None, as_json: AsJson = False
) -> None:
    """Read one platform's accounts and posts that are due, and publish what was seen."""
    from ingest.collect.run import collect

    settings, at = load(), moment(now)
    batch = collect(settings, platform, now=at, run_id=run_id or _by_hand(at), accounts=account, progress=say)
    print_rows([msgspec.to_builtins(batch)], as_json)


@commands.command()
def sample(
    platform: str, account: Accounts = None, now: Now = None, run_id: RunId = None, as_json: AsJson = False
) -> None:
    """Sample the audiences of one platform's accounts: features only, never identities."""
    from ingest.collect.run import sample

    settings, at = load(), moment(now)
    batch = sample(settings, platform, now=at, run_id=run_id or _by_hand(at), accounts=account, progress=say)
    print_rows([msgspec.to_builtins(batch)], as_json)


@commands.command()
def plan(
    platform: Annotated[list[str] | None, typer.Option(help="Only this platform; repeatable.")] = None,
    posts_a_day: Annotated[float | None, typer.Option(min=0, help="Of every account; default: as measured.")] = None,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """What the watch list will cost a day and a month, what does not fit (exit 1), and what would make it fit."""
    from ingest.collect import plan

    rows = plan.plan(load(), now=moment(now), platforms=platform, posts_a_day=posts_a_day)
    for title, table in [("", rows)] if as_json else plan.tables(rows):
        print_rows(table, as_json, title)
    for line in plan.sources(rows):
        say(line)
    if not all(row["fits"] for row in rows):
        raise typer.Exit(1)


@commands.command()
def parse(
    platform: str,
    files: Annotated[list[Path], typer.Argument(help="HAR 1.2 files of recorded exchanges.")],
    now: Now = None,
    publish: Annotated[bool, typer.Option("--publish", help="Send the events on to Kafka.")] = False,
) -> None:
    """What the pipeline makes of recorded answers: one JSON line an entry, no network."""
    from ingest.collect.parse_har import parse_files

    for line in parse_files(load(), platform, files, now=now and moment(now), publish=publish):
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _by_hand(at: datetime) -> str:
    return f"manual/{at:%Y-%m-%dT%H:%M:%S.%fZ}"
