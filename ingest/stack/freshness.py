"""How old the newest row of each topic in the lake and of each mart is, and how much of Kafka is not landed yet."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow.fs
import pyarrow.parquet as pq
from psycopg import sql

from ingest import events
from ingest.errors import AssayError
from ingest.land import chain
from ingest.land.broker import Broker, Log
from ingest.land.store import S3Store, credentials
from ingest.settings import Settings
from ingest.warehouse.publish import PUBLISHED_AT, SCHEMA


def topics(settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """A row a topic: part, state (events on Kafka that are not in the lake), age of the last landed row, ok."""
    try:
        broker = Broker(settings)
        found = broker.topics(events.TOPICS)
        logs = broker.logs(found.values())
        store = S3Store(settings)
        rows = []
        for name in found:
            of_topic = {slot.partition: log for slot, log in logs.items() if slot.topic == name}
            keys = _newest_keys(store, name, set(of_topic))
            rows.append(
                {
                    "part": f"topic {name}",
                    "state": f"{_lag(store, keys, of_topic)} to land",
                    "age": _age(now, _last_arrival(settings, keys.values())),
                    "ok": True,
                }
            )
    except AssayError as error:
        return [{"part": "topics", "state": str(error), "ok": False}]
    return rows


def marts(settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """A row a mart that was published: part, age of what is published, ok."""
    try:
        with psycopg.connect(settings.postgres, connect_timeout=3) as connection:
            return [
                {"part": f"mart {name}", "state": "published", "age": _age(now, published_at), "ok": True}
                for name, published_at in _published(connection)
            ]
    except psycopg.OperationalError as error:
        return [{"part": "marts", "state": str(error).splitlines()[0], "ok": False}]


def _newest_keys(store: S3Store, topic: str, partitions: set[int]) -> dict[int, str]:
    """Key of the newest object by partition; days are looked through from the newest on, until each has one."""
    found: dict[int, str] = {}
    for day in chain.days(store.list(chain.dates_prefix(topic), delimiter="/")):
        found = chain.newest(store.list(chain.day_prefix(topic, day))) | found
        if partitions <= set(found):
            break
    return found


def _lag(store: S3Store, keys: dict[int, str], logs: dict[int, Log]) -> int:
    lag = 0
    for partition, log in logs.items():
        entry = store.head(keys[partition]) if partition in keys else None
        landed = chain.landed(entry.key, entry.metadata).next if entry else log.start
        lag += max(0, log.end - max(landed, log.start))
    return lag


def _last_arrival(settings: Settings, keys: Iterable[str]) -> datetime | None:
    """The newest Kafka timestamp in these objects, from their footers."""
    address = urlsplit(settings.s3)
    key, secret, token = credentials(settings)
    lake = pyarrow.fs.S3FileSystem(
        access_key=key,
        secret_key=secret,
        session_token=token or None,
        tls_ca_file_path=str(settings.s3_ca_file) if settings.s3_ca_file else None,
        endpoint_override=address.netloc,
        scheme=address.scheme,
        region=settings.s3_region,
    )
    arrivals = []
    for name in keys:
        footer = pq.read_metadata(f"{settings.lake_bucket}/{name}", filesystem=lake)
        column = footer.schema.names.index("_timestamp")
        groups = (footer.row_group(number).column(column).statistics for number in range(footer.num_row_groups))
        arrivals += [group.max for group in groups if group is not None and group.has_min_max]
    return max(arrivals, default=None)


def _published(connection: "psycopg.Connection[Any]") -> Iterator[tuple[str, datetime | None]]:
    tables = connection.execute("select tablename from pg_tables where schemaname = %s order by 1", [SCHEMA]).fetchall()
    for (name,) in tables:
        # All rows of a table were published at once.
        newest = sql.SQL("select {} from {} limit 1").format(sql.Identifier(PUBLISHED_AT), sql.Identifier(SCHEMA, name))
        row = connection.execute(newest).fetchone()
        yield name, row[0] if row else None


def _age(now: datetime, moment: datetime | None) -> str:
    """For people: `12 s`, `3 min`, `5 h`, `2 d`; empty when there is no row."""
    if moment is None:
        return ""
    age = max(timedelta(0), now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
    for unit, length in {"d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1)}.items():
        if age >= 2 * length:
            return f"{age // length} {unit}"
    return f"{age.seconds} s"
