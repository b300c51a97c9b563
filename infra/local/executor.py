"""Airflow's LocalExecutor, with the heavy libraries imported once, before it forks its workers.

Every task is a fork of a worker, which is a fork of the scheduler: what is imported here costs a task nothing, neither
seconds (dbt and Great Expectations take several each) nor memory of its own. Only libraries: our own code is imported
by each task, so that a change of it needs no restart.
"""

import importlib
import logging
import os

from airflow.executors.local_executor import LocalExecutor

LIBRARIES = (
    "boto3",
    "confluent_kafka",
    "dbt.adapters.duckdb",
    "dbt.cli.main",
    "duckdb",
    "great_expectations",
    "httpx2",
    "kafka",
    "msgspec",
    "psycopg",
    "pyarrow.compute",
    "pyarrow.parquet",
    "pydantic_settings",
)


class WarmExecutor(LocalExecutor):
    """LocalExecutor whose workers know the libraries of our tasks already."""

    def start(self) -> None:
        """Import, then fork the workers."""
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        for library in LIBRARIES:
            importlib.import_module(library)
        super().start()
