"""A broker and a store for one bench: on free ports, in a temporary directory, gone when it ends."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest import stack
from ingest.settings import Settings, load

PORTS = ("kafka_port", "kafka_controller_port", "s3_port", "postgres_port", "sandbox_port", "airflow_port")


@contextmanager
def own_stack(**chosen: object) -> Iterator[Settings]:
    """Settings of a running Kafka and object store, with what is chosen on top."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-", ignore_cleanup_errors=True) as var_dir:
        sockets = [socket.socket() for _ in PORTS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = {name: one.getsockname()[1] for name, one in zip(PORTS, sockets, strict=True)}
        for one in sockets:
            one.close()
        settings = load(_env_file=None, var_dir=Path(var_dir), **ports, **chosen)
        stack.up(settings, names=("kafka", "store"), outlive_us=False)
        try:
            yield settings
        finally:
            stack.down(settings)
