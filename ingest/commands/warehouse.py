"""From the lake to the marts: check, build, publish, what is in quarantine, and what may leave the lake."""

from typing import Annotated

import typer

from ingest.commands.terminal import AsJson, moment, print_rows, say
from ingest.settings import load

commands = typer.Typer()
quarantine = typer.Typer(help="Ranges that failed a critical check: list them, release them.", no_args_is_help=True)


@commands.command()
def expire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete raw objects past ASSAY_LAKE_RAW_DAYS that are loaded and have left Kafka; without it, nothing goes."""
    from ingest.warehouse.expire import expire

    print_rows(expire(load(), now=moment(None), dry_run=dry_run), as_json)


@commands.command()
def check(
    marts: Annotated[bool, typer.Option("--marts", help="Check the marts instead of landed ranges.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the expectations on newly landed ranges and write the manifests of what passed."""
    from ingest.warehouse import check

    print_rows(check.check_marts(load()) if marts else check.check_landed(load(), now=moment(None)), as_json)


@commands.command()
def build(
    full_refresh: Annotated[bool, typer.Option(help="Build everything anew from the lake.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build the warehouse from the passed ranges: staging, facts, marts."""
    from ingest.warehouse.build import build

    print_rows(build(load(), full_refresh=full_refresh, progress=say), as_json)


@commands.command()
def publish(as_json: AsJson = False) -> None:
    """Publish the marts to Postgres in one transaction, and write the known posts back to the lake."""
    from ingest.warehouse.known_posts import write
    from ingest.warehouse.publish import publish

    settings = load()
    rows = publish(settings, now=moment(None))
    write(settings)
    print_rows(rows, as_json)


@quarantine.command("list")
def quarantine_list(as_json: AsJson = False) -> None:
    """Ranges in quarantine, with the reasons."""
    from ingest.warehouse.quarantine import quarantined

    print_rows(quarantined(load()), as_json)


@quarantine.command("release")
def quarantine_release(
    topic: str,
    number: Annotated[int, typer.Argument(help="Number of the manifest, from `quarantine list`.")],
    platform: str,
    reason: Annotated[str, typer.Option(help="Why; kept in the manifest.")],
) -> None:
    """Let a quarantined range in: the next build loads it."""
    from ingest.warehouse.quarantine import release

    print_rows([release(load(), topic, number, platform, reason=reason, now=moment(None))], as_json=False)
