"""From Kafka to the lake: land, verify, and read dead letters again."""

from datetime import datetime
from typing import Annotated

import typer

from ingest.commands.terminal import AsJson, moment, print_rows, say
from ingest.settings import load

commands = typer.Typer()

Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only this topic; repeatable.")]


@commands.command()
def land(
    topic: Topics = None,
    follow: Annotated[bool, typer.Option("--follow/--drain", help="Serve until stopped, or land what is due.")] = False,
    as_json: AsJson = False,
) -> None:
    """Land events from Kafka in the lake, exactly once."""
    from ingest.land import service, worker

    if follow:
        service.follow(load(), topics=topic)
    else:
        print_rows(worker.drain(load(), topics=topic, progress=say), as_json)


@commands.command()
def verify(topic: Topics = None, as_json: AsJson = False) -> None:
    """Compare the lake with the broker, offset by offset. Lag is no error; exit 1 on any difference."""
    from ingest.land.verify import verify

    rows = verify(load(), topics=topic, progress=say)
    print_rows(rows, as_json)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


@commands.command()
def replay(
    *,
    reason: Annotated[str | None, typer.Option(help="Only letters of this reason, as `dead_letters` names it.")] = None,
    platform: Annotated[str | None, typer.Option(help="Only letters of this platform.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only letters of this topic; answers are in dead_letters.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only letters that arrived then or later, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only letters that arrived before, UTC.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be replayed; publish nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read dead letters again with today's decoder and parsers, and publish what is now good."""
    from ingest.land.letters import Wanted
    from ingest.land.replay import replay

    wanted = Wanted(topic, platform, reason, since and moment(since), until and moment(until))
    print_rows(replay(load(), wanted, now=moment(None), dry_run=dry_run, progress=say), as_json)
