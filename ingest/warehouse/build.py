"""Build the warehouse: one `dbt build` in this process, over what the manifests have let in."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import urlsplit

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt_common.events.base_types import EventMsg
from duckdb_extensions import import_extension

from ingest.collect.platforms import REGISTRY
from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import TOPICS, Platform, moment
from ingest.land import chain, upkeep
from ingest.land.store import S3Store, Store, credentials
from ingest.settings import ROOT, Settings
from ingest.warehouse import manifests
from ingest.warehouse.lock import hold, holder_of

PROJECT = ROOT / "dbt_project"
MEMORY = "1500MB"
FINE = {"success", "pass", "warn", "skipped", "no-op"}


def build(
    settings: Settings, *, full_refresh: bool = False, progress: Callable[[str], None] | None = None
) -> list[dict[str, Any]]:
    """Load what the manifests admit since the last build, and bring facts and marts up to it.

    Returns a row per model and seed: name, status, rows (in the table after the build), seconds. Without any manifest
    the tables are built empty, so that they can be published and queried. Raises DependencyFailed when the store does
    not answer, another process keeps the warehouse, or a model or test fails; Misconfigured when the warehouse was
    built from another lake.
    """
    with hold(settings, progress=progress):
        store = S3Store(settings)
        if next(iter(store.list("checks/")), None) is None and progress:
            progress("no range has been checked yet: empty tables. Next: `assay land`, `assay check`")
        if not full_refresh:
            refuse_another_lake(settings, store)
        if full_refresh or not settings.warehouse.exists():
            account_for_expired(settings, store, progress)
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        outcome = run_dbt(settings, [*arguments, *(["--full-refresh"] if full_refresh else [])], progress=progress)
        _raise_failure(settings, outcome)
        write_docs(settings)
        return _rows(settings, outcome)


def run_dbt(
    settings: Settings, arguments: list[str], *, progress: Callable[[str], None] | None = None
) -> dbtRunnerResult:
    """Run dbt on the project with the settings' warehouse and lake; its state and logs stay in the var directory."""
    install_extensions(settings)
    directory = settings.var_dir / "warehouse"
    places = ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", directory / "target"]
    logs = ["--log-path", directory / "logs", "--log-level", "none", "--log-level-file", "info", "--no-use-colors"]

    def say(event: EventMsg) -> None:
        if progress and event.info.name in {"LogModelResult", "LogSeedResult"}:
            progress(f"{event.data.status.lower()} {event.data.node_info.node_name} {event.data.execution_time:.1f} s")

    # What models need to know of platforms comes from the collectors: a new one needs no edit in the project.
    known = {
        "platforms": list(get_args(Platform)),
        "platforms_of_commenters": [name for name, platform in REGISTRY.items() if platform.audience_posts],
    }
    with _environment(settings):
        try:
            asked = [*arguments, *map(str, places), *map(str, logs), "--vars", json.dumps(known)]
            return dbtRunner(callbacks=[say]).invoke(asked)
        finally:
            # Else dbt keeps the file open, and locked against everybody, until this process ends.
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def write_docs(settings: Settings) -> Path:
    """Write dbt's documentation as one page, unless it is there and newer than the project; returns the page."""
    page = settings.docs_dir / "dbt" / "index.html"
    changed_at = max(path.stat().st_mtime for path in PROJECT.rglob("*") if path.is_file())
    if not page.exists() or page.stat().st_mtime < changed_at:
        _raise_failure(settings, run_dbt(settings, ["docs", "generate", "--static", "--no-compile"]))
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(settings.var_dir / "warehouse" / "target" / "static_index.html", page)
    return page


def refuse_another_lake(settings: Settings, store: Store) -> None:
    """Raise Misconfigured if the last manifest that was loaded is not (or no longer) in the lake.

    Numbers of manifests begin at 1 in every lake: without this, those of a new lake would be taken for loaded.
    """
    for topic, number, checked_at in _last_manifests(settings.warehouse):
        manifest = manifests.read(store, topic, number)
        if manifest is None or moment(manifest.checked_at).replace(tzinfo=None) != checked_at:
            raise Misconfigured(
                f"the warehouse {settings.warehouse} was built from another lake: its manifest {number} of {topic}, "
                f"checked at {checked_at} UTC, is not in bucket {settings.lake_bucket!r} at {settings.s3}. If this "
                "lake is the right one, build the warehouse anew from it: `assay build --full-refresh`"
            )


def account_for_expired(settings: Settings, store: Store, progress: Callable[[str], None] | None) -> None:
    """Before everything is built anew: say what of the lake is no longer there.

    Raises Misconfigured when that would take rows out of a warehouse that has them, DependencyFailed when objects are
    gone that upkeep did not delete.
    """
    for topic in TOPICS:
        checked = {key for manifest in manifests.read_all(store, topic) for key in manifest.objects}
        gone = checked - set(store.list(chain.dates_prefix(topic))) if checked else set()
        unexplained = sorted(gone - upkeep.expired(store, topic)) if gone else []
        if unexplained:
            raise DependencyFailed(
                f"{len(unexplained)} objects of {topic} were checked and are gone from the lake, though `assay expire` "
                f"did not delete them; the first is {unexplained[0]}. Restore them from the store's versions or a copy"
            )
        if not gone:
            continue
        newest = max(map(chain.day_in, gone))
        what = f"{len(gone)} objects of {topic} that `assay expire` deleted, the newest of {newest}"
        if settings.warehouse.exists():
            raise Misconfigured(
                f"the warehouse {settings.warehouse} has rows of {what}; a full refresh would lose them. Build without "
                "--full-refresh; or restore the objects; or, to go on without those rows, move the warehouse's file "
                "away and `assay build`"
            )
        if progress:
            progress(f"without the rows of {what}")


def install_extensions(settings: Settings) -> Path:
    """Put DuckDB's extension for S3, which came as a package, where DuckDB looks for it; returns the directory."""
    directory = settings.var_dir / "warehouse" / "extensions"
    directory.mkdir(parents=True, exist_ok=True)
    if not any(directory.rglob("httpfs.duckdb_extension")):
        with duckdb.connect(config={"extension_directory": str(directory)}) as connection:
            import_extension("httpfs", con=connection)
    return directory


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """The variables that profiles.yml and the macros read, for the time of one run."""
    directory = settings.var_dir / "warehouse"
    address = urlsplit(settings.s3)
    key, secret, token = credentials(settings)
    variables = {
        "ASSAY_DBT_WAREHOUSE": str(settings.warehouse),
        "ASSAY_DBT_EXTENSIONS": str(directory / "extensions"),
        "ASSAY_DBT_TEMP": str(directory / "spill"),
        "ASSAY_DBT_MEMORY": MEMORY,
        "ASSAY_DBT_BUCKET": settings.lake_bucket,
        "ASSAY_DBT_S3_HOST": address.netloc,
        "ASSAY_DBT_S3_SSL": str(address.scheme == "https").lower(),
        "ASSAY_DBT_S3_REGION": settings.s3_region,
        "ASSAY_DBT_S3_KEY": key,
        "DBT_ENV_SECRET_ASSAY_S3": secret,
        "DBT_ENV_SECRET_ASSAY_S3_TOKEN": token,
        "ASSAY_DBT_S3_CA": str(settings.s3_ca_file or ""),
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _last_manifests(warehouse: Path) -> list[tuple[str, int, datetime]]:
    """Topic, number and moment (UTC, without zone) of the last manifest that each topic's staging has seen."""
    if not warehouse.exists():
        return []
    with duckdb.connect(str(warehouse)) as connection:
        known = connection.execute(
            "select 1 from information_schema.tables where table_schema = 'staging' and table_name = 'stg_manifests'"
        ).fetchone()
        if known is None:
            return []
        return connection.execute(
            "select topic, max(manifest_number), arg_max(checked_at, manifest_number) "
            "from staging.stg_manifests group by topic order by topic"
        ).fetchall()


def _rows(settings: Settings, outcome: dbtRunnerResult) -> list[dict[str, Any]]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return [
            {
                "name": result.node.name,
                "status": str(result.status),
                "rows": connection.table(f'"{result.node.schema}"."{result.node.alias}"').count("*").fetchall()[0][0],
                "seconds": round(result.execution_time, 2),
            }
            for result in _results(outcome)
            if result.node.resource_type in {"model", "seed"} and result.node.config.materialized != "view"
        ]


def _results(outcome: dbtRunnerResult) -> list[Any]:
    """What became of each node; dbt's own type says "anything" where a build has results."""
    return list(cast("Any", outcome.result))


def _raise_failure(settings: Settings, outcome: dbtRunnerResult) -> None:
    if outcome.success:
        return
    log = settings.var_dir / "warehouse" / "logs" / "dbt.log"
    if outcome.exception is not None:
        message = f"dbt could not run: {outcome.exception}"
    else:
        failed = [result for result in _results(outcome) if str(result.status).lower() not in FINE]
        message = "; ".join(f"{result.node.unique_id}: {result.message}" for result in failed[:3])
        if len(failed) > 3:
            message += f"; and {len(failed) - 3} more"
    holder = holder_of(message)
    if holder is not None:
        raise DependencyFailed(f"the warehouse {settings.warehouse} is held by process {holder}; try again later")
    raise DependencyFailed(f"the warehouse was not built. {message}\nThe whole story: {log}")
