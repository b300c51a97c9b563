"""Where a stack of the tests may be: ports that are free, a directory that goes again."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PORTS = ("kafka_port", "kafka_controller_port", "s3_port", "postgres_port", "sandbox_port", "airflow_port")


def free_ports() -> dict[str, int]:
    """A port that nobody listens on, for each port of the settings."""
    sockets = [socket.socket() for _ in PORTS]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return dict(zip(PORTS, (one.getsockname()[1] for one in sockets), strict=True))
    finally:
        for one in sockets:
            one.close()


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A directory for one stack, with a short name: a Unix socket lies in it."""
    path = Path(tempfile.mkdtemp(prefix="assay-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
