"""One writer at a time: the DuckDB file is held by a lock file with the holder's pid in it.

A second writer waits, then fails with that pid. DuckDB's own lock is asked too, because a person may have opened the
file with another tool.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ingest.errors import DependencyFailed
from ingest.settings import Settings

POLL_SECONDS = 0.2


@contextmanager
def hold(settings: Settings, *, progress: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the warehouse for writing, waiting up to `settings.warehouse_wait_seconds` for whoever holds it.

    Raises DependencyFailed with the holder's pid when the wait is over.
    """
    deadline = time.monotonic() + settings.warehouse_wait_seconds
    path = settings.warehouse.with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _wait(settings, lambda: _locked_by(descriptor, path), deadline, progress)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        _wait(settings, lambda: opened_by(settings.warehouse), deadline, progress)
        yield
    finally:
        os.close(descriptor)  # which lets go of the lock, as the end of the process would


def opened_by(warehouse: Path) -> str | None:
    """Pid of the process that has the DuckDB file open, as text; None when it can be opened for writing."""
    if not warehouse.exists():
        return None
    try:
        duckdb.connect(str(warehouse)).close()
    except duckdb.IOException as error:
        holder = holder_of(str(error))
        if holder is None:
            raise DependencyFailed(
                f"the warehouse {warehouse} cannot be opened: {error}. Everything in it can be built again from the "
                "lake: move the file away and `assay build`"
            ) from error
        return holder
    return None


def holder_of(message: str) -> str | None:
    """The pid in DuckDB's message about a lock; None when the message is about something else."""
    if "Could not set lock on file" not in message:
        return None
    found = re.search(r"\(PID (\d+)\)", message)
    return found.group(1) if found else "unknown"


def _locked_by(descriptor: int, path: Path) -> str | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return path.read_text().strip() or "unknown"
    return None


def _wait(
    settings: Settings, holder: Callable[[], str | None], deadline: float, progress: Callable[[str], None] | None
) -> None:
    said = False
    while (pid := holder()) is not None:
        if time.monotonic() >= deadline:
            raise DependencyFailed(
                f"the warehouse {settings.warehouse} is held by process {pid}, after waiting "
                f"{settings.warehouse_wait_seconds:g} s. Try again when it has finished; "
                f"`ps -p {pid}` says what it is, ASSAY_WAREHOUSE_WAIT_SECONDS how long to wait"
            )
        if progress and not said:
            progress(f"waiting for the warehouse: held by process {pid}")
            said = True
        time.sleep(POLL_SECONDS)
