"""The local stack: start it, stop it, what runs, what is wrong."""

import typer

from ingest.commands.terminal import AsJson, print_rows, say
from ingest.settings import load

commands = typer.Typer()


@commands.command()
def up() -> None:
    """Start the local stack (idempotent): Postgres, object store, Kafka, sandbox, Airflow."""
    from ingest.stack import up

    up(load(), progress=say)


@commands.command()
def down() -> None:
    """Stop the local stack and wait until nothing of it is left; data stays."""
    from ingest.stack import down

    down(load(), progress=say)


@commands.command()
def status(as_json: AsJson = False) -> None:
    """What runs, where, and the age of the last row of each topic and mart."""
    from ingest.stack import status

    rows = status(load())
    print_rows(rows, as_json)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


@commands.command()
def doctor(as_json: AsJson = False) -> None:
    """Check every part and say the next step for whatever is wrong."""
    from ingest.doctor import examine

    findings = examine(load())
    print_rows(findings, as_json)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)
