"""Reading the built warehouse: DuckDB lets nobody read while somebody writes, so a reader waits for the build."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import Settings
from ingest.warehouse.lock import POLL_SECONDS, holder_of


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the warehouse, in UTC.

    Raises Misconfigured where nothing was built yet, and DependencyFailed with the process that holds the file when it
    is still held after `warehouse_wait_seconds`.
    """
    if not settings.warehouse.exists():
        raise Misconfigured(f"there is no warehouse at {settings.warehouse}: run `assay build` first")
    until = time.monotonic() + settings.warehouse_wait_seconds
    while True:
        try:
            connection = duckdb.connect(str(settings.warehouse), read_only=True)
            break
        except duckdb.IOException as error:
            holder = holder_of(str(error))
            if holder is None:
                raise DependencyFailed(f"{settings.warehouse} cannot be opened: {error}") from error
            if time.monotonic() > until:
                raise DependencyFailed(
                    f"{settings.warehouse} is held by process {holder} (a build?) and was not free within "
                    f"{settings.warehouse_wait_seconds:g} s (ASSAY_WAREHOUSE_WAIT_SECONDS). Try again when it has ended"
                ) from error
            time.sleep(POLL_SECONDS)
    try:
        connection.execute("set timezone = 'UTC'")
        yield connection
    finally:
        connection.close()
