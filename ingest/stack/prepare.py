"""What the running parts need before work can begin: directories, databases, topics, bucket. All idempotent."""

import json
from collections.abc import Callable, Iterable

import psycopg
from psycopg import sql

from ingest.errors import DependencyFailed
from ingest.land.store import S3Store
from ingest.publish import create_topics
from ingest.settings import Settings
from ingest.stack import airflow
from ingest.stack.parts import kafka_properties, run_dir

DATABASES = ("assay", "airflow")
"""Marts for BI; Airflow's metadata."""


def forget(settings: Settings) -> None:
    """Remove the marks of an earlier start, so that nothing begins before this one is prepared."""
    for name in ("prepared", "airflow-migrated"):
        (run_dir(settings) / name).unlink(missing_ok=True)


def directories(settings: Settings) -> None:
    """Make the directories of the parts, and write the broker's configuration and the schedules' pools."""
    for name in ("run", "log", "store/s3", "store/state", "airflow/logs", "warehouse"):
        (settings.var_dir / name).mkdir(parents=True, exist_ok=True)
    (run_dir(settings) / "kafka.properties").write_text(kafka_properties(settings))
    (run_dir(settings) / "pools.json").write_text(json.dumps(airflow.pools()))


def everything(settings: Settings, names: Iterable[str], say: Callable[[str], None]) -> None:
    """Make databases, topics and bucket where they are missing, as far as these parts (here or elsewhere) go.

    Then Airflow's components may begin.
    """
    if "postgres" in names:
        for name in databases(settings):
            say(f"postgres: made the database {name}")
    if "kafka" in names:
        made = create_topics(settings)
        if made:
            say(f"kafka: made the topics {', '.join(made)}")
    if "store" in names:
        S3Store(settings).create_bucket()
    (run_dir(settings) / "prepared").touch()


def databases(settings: Settings) -> list[str]:
    """Make the databases that are missing; the names of those made."""
    made = []
    try:
        with psycopg.connect(airflow.database(settings, "postgres"), autocommit=True, connect_timeout=10) as connection:
            there = {name for (name,) in connection.execute("select datname from pg_database")}
            for name in DATABASES:
                if name not in there:
                    connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
                    made.append(name)
    except psycopg.OperationalError as error:
        raise DependencyFailed(f"Postgres on port {settings.postgres_port} failed: {error}") from error
    return made
