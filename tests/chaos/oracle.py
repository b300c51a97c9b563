"""What the Parquet files themselves say, against what the broker acknowledged: nothing of the landing takes part."""

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from ingest.settings import Settings


@dataclass(frozen=True)
class Counts:
    """The lake, counted."""

    objects: int
    rows: int
    poison: int
    newer: int
    """Rows that keep their payload beside the typed columns: a field beyond the contract."""
    doubled: int
    """Rows beyond the first of a (topic, partition, offset)."""
    lost: int
    """Acknowledged offsets without a row."""
    astray: int
    """Acknowledged events whose id is not in the row of their offset."""


def count(settings: Settings, acknowledged: pa.Table) -> Counts:
    """Read every Parquet file of the lake from the store's disk."""
    # ministack keeps each object as a file of its own, below a folder of the account.
    bucket = settings.var_dir / "store" / "s3" / "*" / settings.lake_bucket
    files = str(bucket / "raw" / "*" / "date=*" / "*" / "*.parquet")
    with duckdb.connect() as connection:
        connection.register("acknowledged", acknowledged)
        connection.execute(
            """
            create table lake as
            select _topic, _partition, _offset, event_id, _error is not null as is_poison,
                _payload is not null as has_payload, filename
            from read_parquet(?, union_by_name = true, filename = true, hive_partitioning = false)
            """,
            [files],
        )
        found = connection.execute(
            """
            select count(distinct filename), count(*), count(*) filter (is_poison),
                count(*) filter (has_payload and not is_poison),
                count(*) - count(distinct (_topic, _partition, _offset)),
                (select count(*) from acknowledged anti join lake using (_topic, _partition, _offset)),
                (select count(*) from acknowledged as sent
                    join lake using (_topic, _partition, _offset)
                    where lake.event_id is distinct from sent.event_id and sent.event_id is not null)
            from lake
            """
        ).fetchone()
    assert found is not None
    return Counts(*found)
