"""The `assay` command: one function a command, no logic. Heavy imports happen inside the command that needs them.

Exit codes: 0 done (data faults are counted, not failed), 1 the work or something it depends on failed, 2 usage or
configuration (the message has the next step).
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ingest.errors import AssayError
from ingest.settings import load

app = typer.Typer(
    help="From platform answers to three marts: collect, land, verify, check, build, publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
quarantine = typer.Typer(help="Ranges that failed a critical check: list them, release them.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")
grants = typer.Typer(help="What creators granted: list it, give it back.")
app.add_typer(grants, name="grants")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Now = Annotated[datetime | None, typer.Option(help="The moment to act at, UTC; default: the clock's.")]
RunId = Annotated[str | None, typer.Option(help="The run's id; the same id publishes the same event ids.")]
Accounts = Annotated[list[str] | None, typer.Option("--account", help="Only this watched account; repeatable.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only this topic; repeatable.")]


@app.command()
def up() -> None:
    """Start the local stack (idempotent): Postgres, object store, Kafka, sandbox, Airflow."""
    from ingest.stack import up

    up(load(), progress=_say)


@app.command()
def down() -> None:
    """Stop the local stack and wait until nothing of it is left; data stays."""
    from ingest.stack import down

    down(load(), progress=_say)


@app.command()
def status(as_json: AsJson = False) -> None:
    """What runs, where, and the age of the last row of each topic and mart."""
    from ingest.stack import status

    rows = status(load())
    _print_rows(rows, as_json)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check every part and say the next step for whatever is wrong."""
    from ingest.doctor import examine

    findings = examine(load())
    _print_rows(findings, as_json)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


@app.command()
def collect(
    platform: str, account: Accounts = None, now: Now = None, run_id: RunId = None, as_json: AsJson = False
) -> None:
    """Read one platform's accounts and posts that are due, and publish what was seen."""
    from ingest.collect.run import collect

    settings, moment = load(), _moment(now)
    batch = collect(settings, platform, now=moment, run_id=run_id or _by_hand(moment), accounts=account, progress=_say)
    _print_rows([msgspec.to_builtins(batch)], as_json)


@app.command()
def sample(
    platform: str, account: Accounts = None, now: Now = None, run_id: RunId = None, as_json: AsJson = False
) -> None:
    """Sample the audiences of one platform's accounts: features only, never identities."""
    from ingest.collect.run import sample

    settings, moment = load(), _moment(now)
    batch = sample(settings, platform, now=moment, run_id=run_id or _by_hand(moment), accounts=account, progress=_say)
    _print_rows([msgspec.to_builtins(batch)], as_json)


@app.command()
def plan(
    platform: Annotated[list[str] | None, typer.Option(help="Only this platform; repeatable.")] = None,
    posts_a_day: Annotated[float | None, typer.Option(min=0, help="Of every account; default: as measured.")] = None,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """What the watch list will cost a day and a month, what does not fit (exit 1), and what would make it fit."""
    from ingest.collect import plan

    rows = plan.plan(load(), now=_moment(now), platforms=platform, posts_a_day=posts_a_day)
    for title, table in [("", rows)] if as_json else plan.tables(rows):
        _print_rows(table, as_json, title)
    for line in plan.sources(rows):
        _say(line)
    if not all(row["fits"] for row in rows):
        raise typer.Exit(1)


@app.command()
def parse(
    platform: str,
    files: Annotated[list[Path], typer.Argument(help="HAR 1.2 files of recorded exchanges.")],
    now: Now = None,
    publish: Annotated[bool, typer.Option("--publish", help="Send the events on to Kafka.")] = False,
) -> None:
    """What the pipeline makes of recorded answers: one JSON line an entry, no network."""
    from ingest.collect.parse_har import parse_files

    for line in parse_files(load(), platform, files, now=now and _moment(now), publish=publish):
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


@app.command()
def connect(
    platform: str,
    *,
    account: Annotated[str | None, typer.Option(help="Id of the account that must be the one granted.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on at 127.0.0.1; 0: a free one.")] = 0,
    redirect: Annotated[str, typer.Option(help="Https address registered with the app; the answer is pasted.")] = "",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the browser.")] = 300,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser on this machine.")] = False,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Have a creator grant access to their account: prints the address to consent at, keeps what comes of it."""
    import webbrowser

    from ingest.collect.connect import Way, grant

    browse = webbrowser.open if open_browser else None
    way = Way(port=port, redirect=redirect, seconds=timeout, browse=browse)
    _print_rows([grant(load(), platform, now=_moment(now), way=way, account=account, say=_say).row()], as_json)


@grants.callback(invoke_without_command=True)
def grants_list(context: typer.Context, as_json: AsJson = False) -> None:
    """What creators granted: accounts, scopes, since when, until when. Never a token."""
    from ingest.collect.grants import Grants

    if context.invoked_subcommand is None:
        _print_rows([grant.row() for grant in Grants(load()).all()], as_json)


@grants.command("revoke")
def grants_revoke(platform: str, account: str, now: Now = None, as_json: AsJson = False) -> None:
    """Give a grant back, at the platform where it takes it and then here, and forget its tokens."""
    from ingest.collect.connect import revoke

    found, told = revoke(load(), platform, account, now=_moment(now), say=_say)
    if not told:
        _say(f"{platform} was not told: the creator can end the consent in the account's settings there")
    _print_rows([found.row()], as_json)


@app.command()
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
        _print_rows(worker.drain(load(), topics=topic, progress=_say), as_json)


@app.command()
def verify(topic: Topics = None, as_json: AsJson = False) -> None:
    """Compare the lake with the broker, offset by offset. Lag is no error; exit 1 on any difference."""
    from ingest.land.verify import verify

    rows = verify(load(), topics=topic, progress=_say)
    _print_rows(rows, as_json)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


@app.command()
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

    wanted = Wanted(topic, platform, reason, since and _moment(since), until and _moment(until))
    _print_rows(replay(load(), wanted, now=_moment(None), dry_run=dry_run, progress=_say), as_json)


@app.command()
def expire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete raw objects past ASSAY_LAKE_RAW_DAYS that are loaded and have left Kafka; without it, nothing goes."""
    from ingest.warehouse.expire import expire

    _print_rows(expire(load(), now=_moment(None), dry_run=dry_run), as_json)


@app.command()
def check(
    marts: Annotated[bool, typer.Option("--marts", help="Check the marts instead of landed ranges.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the expectations on newly landed ranges and write the manifests of what passed."""
    from ingest.warehouse import check

    _print_rows(check.check_marts(load()) if marts else check.check_landed(load(), now=_moment(None)), as_json)


@app.command()
def build(
    full_refresh: Annotated[bool, typer.Option(help="Build everything anew from the lake.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build the warehouse from the passed ranges: staging, facts, marts."""
    from ingest.warehouse.build import build

    _print_rows(build(load(), full_refresh=full_refresh, progress=_say), as_json)


@app.command()
def publish(as_json: AsJson = False) -> None:
    """Publish the marts to Postgres in one transaction, and write the known posts back to the lake."""
    from ingest.warehouse.known_posts import write
    from ingest.warehouse.publish import publish

    settings = load()
    rows = publish(settings, now=_moment(None))
    write(settings)
    _print_rows(rows, as_json)


@quarantine.command("list")
def quarantine_list(as_json: AsJson = False) -> None:
    """Ranges in quarantine, with the reasons."""
    from ingest.warehouse.quarantine import quarantined

    _print_rows(quarantined(load()), as_json)


@quarantine.command("release")
def quarantine_release(
    topic: str,
    number: Annotated[int, typer.Argument(help="Number of the manifest, from `quarantine list`.")],
    platform: str,
    reason: Annotated[str, typer.Option(help="Why; kept in the manifest.")],
) -> None:
    """Let a quarantined range in: the next build loads it."""
    from ingest.warehouse.quarantine import release

    _print_rows([release(load(), topic, number, platform, reason=reason, now=_moment(None))], as_json=False)


def main() -> None:
    """Run the command; a failure that a person can act on becomes one message and its exit code."""
    try:
        app()
    except AssayError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"assay: {error}", markup=False)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.exit_code)  # Kafka's clients, torn down by the interpreter, may wait for a broker that is gone


def _moment(now: datetime | None) -> datetime:
    """The given moment in UTC, else the clock's: the one place of the command that reads it."""
    if now is None:
        return datetime.now(UTC)
    return now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)


def _by_hand(moment: datetime) -> str:
    return f"manual/{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def _say(text: str) -> None:
    """Progress: to stderr, so that stdout stays the result."""
    print(text, file=sys.stderr, flush=True)


def _print_rows(rows: list[dict[str, Any]], as_json: bool, title: str | None = None) -> None:
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
