"""The `assay` command: `ingest/commands` put together, and what a failure becomes.

Exit codes: 0 done (data faults are counted, not failed), 1 the work or something it depends on failed, 2 usage or
configuration (the message has the next step).
"""

import os
import sys

import typer
from rich.console import Console

from ingest.commands import collect, grants, land, stack, warehouse
from ingest.errors import AssayError

app = typer.Typer(
    help="From platform answers to three marts: collect, land, verify, check, build, publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for area in (stack, collect, grants, land, warehouse):
    app.add_typer(area.commands)
app.add_typer(warehouse.quarantine, name="quarantine")
app.add_typer(grants.grants, name="grants")


def main() -> None:
    """Run the command; a failure that a person can act on becomes one message and its exit code."""
    try:
        app()
    except AssayError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"assay: {error}", markup=False)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.exit_code)  # Kafka's clients, torn down by the interpreter, may wait for a broker that is gone
