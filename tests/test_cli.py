"""The `assay` command put together: which subcommands there are, and that asking for help reads no heavy library."""

import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ingest.cli import app

COMMANDS = {
    "up", "down", "status", "doctor", "collect", "sample", "plan", "parse", "connect", "land", "verify", "replay",
    "expire", "check", "build", "publish", "quarantine list", "quarantine release", "grants", "grants revoke",
}  # fmt: skip
HEAVY = {"airflow", "boto3", "confluent_kafka", "dbt", "duckdb", "great_expectations", "httpx2", "pandas", "pyarrow"}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_says_what_it_does(command):
    asked = CliRunner().invoke(app, [*command.split(), "--help"])
    assert asked.exit_code == 0
    assert f"{command} [OPTIONS]" in asked.output


def test_there_is_no_command_that_nobody_knows():
    found = set()
    for name, command in get_command(app).commands.items():
        inner = getattr(command, "commands", {})
        found |= {f"{name} {each}" for each in inner} | (
            {name} if not inner or command.invoke_without_command else set()
        )
    assert found == COMMANDS


def test_asking_for_help_reads_no_heavy_library():
    script = f"import sys, ingest.cli; print(*sorted({HEAVY!r} & set(sys.modules)))"
    read = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert read.stdout.split() == []
