"""`assay verify` sees every way in which the lake and the broker can differ, and blames nothing else."""

import io
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.events import CONTRACT
from ingest.land import chain, worker
from ingest.land.encode import ObjectWriter
from ingest.land.store import S3Store
from ingest.land.verify import verify
from ingest.publish import create_topics
from ingest.settings import Settings
from tests.land.lake import send
from tests.land.payloads import post, wire

pytestmark = pytest.mark.stack
SLOT = chain.Slot("posts", 0)


@pytest.fixture(scope="module")
def whole(stack: Settings) -> Settings:
    """Nine posts in partition 0, three to an object, all landed."""
    name = f"v{uuid.uuid4().hex[:10]}"
    own = stack.model_copy(update={"lake_bucket": name, "topic_prefix": f"{name}.", "land_object_rows": 3})
    S3Store(own).create_bucket()
    create_topics(own)
    send(own, "posts", [wire(post())] * 9)
    worker.drain(own)
    return own


@pytest.fixture
def landed(whole: Settings) -> Iterator[Settings]:
    """The same, made whole again after a test broke it."""
    store = S3Store(whole)
    before = {key: (store.get(key), store.head(key)) for key in store.list(chain.dates_prefix("posts"))}
    yield whole
    for key in list(store.list(chain.dates_prefix("posts"))):
        store.delete(key)
    for key, (stored, entry) in before.items():
        assert stored is not None
        assert entry is not None
        store.put(key, stored.body, metadata=entry.metadata)


class Lake:
    """The landed objects of partition 0, to be broken."""

    def __init__(self, settings: Settings) -> None:
        self.store = S3Store(settings)
        self.keys = [key for key in self.store.list(chain.dates_prefix("posts")) if chain.parse_key(key)]
        assert len(self.keys) == 3

    def read(self, key: str) -> tuple[pa.Table, dict[str, str]]:
        stored, entry = self.store.get(key), self.store.head(key)
        assert stored is not None
        assert entry is not None
        return pq.read_table(io.BytesIO(stored.body)), dict(entry.metadata)

    def write(self, key: str, table: pa.Table, metadata: dict[str, str]) -> None:
        """Put an object as the landing would, footer and all."""
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, table.schema.remove_metadata(), compression="zstd") as writer:
            writer.write_table(table)
            writer.add_key_value_metadata(metadata)
        self.store.put(key, sink.getvalue(), metadata=metadata)

    def change(self, key: str, change: Callable[[pa.Table], pa.Table], **metadata: str) -> None:
        table, before = self.read(key)
        table = change(table)
        self.write(key, table, before | {"rows": str(len(table))} | metadata)


def difference(settings: Settings) -> str:
    """What is wrong with partition 0; everything else must be right."""
    rows = {(row["topic"], row["partition"]): row for row in verify(settings, ["posts"])}
    found = rows.pop(("posts", 0))
    assert all(row["ok"] for row in rows.values())
    assert found["ok"] is (found["difference"] is None)
    return found["difference"] or ""


def replaced(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def test_a_whole_lake_is_green_and_lag_is_no_difference(settings: Settings) -> None:
    send(settings, "posts", [wire(post())] * 9)
    worker.drain(settings)
    assert difference(settings) == ""
    send(settings, "posts", [wire(post())] * 4)
    (row,) = [row for row in verify(settings) if (row["topic"], row["partition"]) == ("posts", 0)]
    assert (row["from"], row["to"], row["rows"], row["lag"], row["ok"]) == (0, 9, 9, 4, True)


def test_nothing_landed_yet_is_only_lag(settings: Settings) -> None:
    send(settings, "posts", [wire(post())] * 4)
    (row,) = [row for row in verify(settings) if (row["topic"], row["partition"]) == ("posts", 0)]
    assert (row["rows"], row["lag"], row["ok"]) == (0, 4, True)


def test_a_missing_object_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.store.delete(lake.keys[1])
    assert difference(landed) == "no object for 3 to 6; missing: 3, 4, 5"


def test_a_missing_first_object_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.store.delete(lake.keys[0])
    assert difference(landed) == "no object for 0 to 3; missing: 0, 1, 2"


def test_a_row_that_stands_twice_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.change(lake.keys[1], lambda table: pa.concat_tables([table, table.slice(1, 1)]))
    assert difference(landed) == "doubled: 4"


def test_a_hole_within_an_object_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.change(lake.keys[1], lambda table: table.slice(1))
    assert difference(landed) == "missing: 3"


def test_an_offset_of_another_range_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.change(lake.keys[1], lambda table: replaced(table, "_offset", [3, 4, 77]))
    assert difference(landed) == "the object at 3 to 6 holds foreign offsets 77; missing: 5"


def test_a_row_of_another_partition_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.change(lake.keys[1], lambda table: replaced(table, "_partition", [0, 5, 0]))
    assert difference(landed) == "the object at 3 holds rows of _partition 5"


def test_a_range_landed_twice_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    table, metadata = lake.read(lake.keys[1])
    lake.write(chain.object_key(SLOT, date(2020, 1, 1), 3), table, metadata)
    assert "2 objects start at 3" in difference(landed)


def test_fences_of_a_gap_beside_rows_that_came_in_time_are_no_difference(landed: Settings) -> None:
    lake = Lake(landed)
    _, metadata = lake.read(lake.keys[1])
    fence = chain.Landed(6, chain.FENCE, metadata["topic_id"])
    body, named = ObjectWriter(SLOT).close(fence, writer="", schema_version=CONTRACT)
    for day in (date(2020, 1, 1), date(2020, 1, 2)):
        lake.store.put(chain.object_key(SLOT, day, 3), body, metadata=named)
    assert difference(landed) == ""
    lake.store.delete(lake.keys[1])
    assert difference(landed) == "no object for 3 to 6; missing: 3, 4, 5"


def test_an_overlapping_object_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    table, metadata = lake.read(lake.keys[1])
    day = date.fromisoformat(lake.keys[1].split("date=")[1][:10])
    lake.write(chain.object_key(SLOT, day, 4), table.slice(1), metadata | {"rows": "2"})
    found = difference(landed)
    assert "the object at 4 overlaps: the chain is at 6 already" in found
    assert "doubled: 4, 5" in found


def test_an_offset_that_the_broker_never_held_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    table, metadata = lake.read(lake.keys[2])
    invented = replaced(table, "_offset", [9, 10, 11])
    day = date.fromisoformat(lake.keys[2].split("date=")[1][:10])
    lake.write(chain.object_key(SLOT, day, 9), invented, metadata | {"next": "12"})
    assert "the lake is at 12, past the log's end 9" in difference(landed)


def test_another_topics_object_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.change(lake.keys[1], lambda table: table, topic_id="another")
    assert difference(landed) == "the object at 3 belongs to a topic of another id (another)"


def test_a_broken_object_is_seen(landed: Settings) -> None:
    lake = Lake(landed)
    lake.store.put(lake.keys[1], b"PAR1 no more")
    found = difference(landed)
    assert "the object at 3 cannot be read" in found
    assert "missing: 3, 4, 5" in found


def test_the_command_ends_with_1_on_a_difference_and_0_without(landed: Settings, assay: Callable[..., Any]) -> None:
    assert assay(landed, "verify", "--topic", "posts").returncode == 0
    lake = Lake(landed)
    lake.store.delete(lake.keys[0])
    done = assay(landed, "verify", "--topic", "posts")
    assert done.returncode == 1
    assert "missing" in done.stdout
