"""Deleting raw objects: only what left the log, was checked long ago, and is not the last of its partition."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from confluent_kafka import TopicPartition

from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import chain, upkeep, worker
from ingest.land.broker import Log, Topic
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.warehouse.build import account_for_expired, build, run_dbt
from ingest.warehouse.check import check_landed
from ingest.warehouse.expire import expire
from tests.land.lake import admin, all_ok, rows, send
from tests.land.memory import MemoryStore
from tests.land.payloads import post, wire

SLOT = chain.Slot("posts", 0)
TOPIC = Topic("posts", "id-1", 8)
DAY = date(2026, 3, 1)
CHECKED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    """Three objects of partition 0: 0 to 10, 20, 30."""
    made = MemoryStore()
    for start in (0, 10, 20):
        found = chain.Landed(start + 10, "a", "id-1")
        metadata = chain.metadata(found, rows=10, poison=0, writer="w", schema_version=1)
        made.put(key(start), b"", metadata=metadata)
    return made


def key(start: int) -> str:
    return chain.object_key(SLOT, DAY, start)


def old(store: MemoryStore, start: int, covered: list[int], *, before: datetime = CHECKED) -> list[int]:
    checked = {key(one): CHECKED for one in covered}
    return [one.start for one in upkeep.old(store, TOPIC, {0: Log(start, 90)}, checked, before=before)]


def test_an_object_goes_when_it_ends_before_the_log_begins_and_never_the_last(store: MemoryStore) -> None:
    assert [old(store, start, [0, 10, 20]) for start in (0, 9, 10, 19, 20, 90)] == [[], [], [0], [0], [0, 10], [0, 10]]


def test_what_no_check_covered_or_only_lately_stays(store: MemoryStore) -> None:
    assert old(store, 90, [10]) == [10]
    assert old(store, 90, [0, 10], before=CHECKED - timedelta(seconds=1)) == []


def test_a_topic_made_anew_is_refused(store: MemoryStore) -> None:
    with pytest.raises(Misconfigured, match="made anew"):
        upkeep.old(store, Topic("posts", "id-2", 8), {0: Log(90, 90)}, {key(0): CHECKED}, before=CHECKED)


def test_what_is_deleted_is_recorded_first(store: MemoryStore) -> None:
    found = upkeep.old(store, TOPIC, {0: Log(20, 90)}, {key(0): CHECKED, key(10): CHECKED}, before=CHECKED)
    broken = MemoryStore.delete
    store.delete = lambda _: (_ for _ in ()).throw(DependencyFailed("503"))  # type: ignore[method-assign]
    with pytest.raises(DependencyFailed):
        upkeep.delete(store, "posts", found, now=CHECKED)
    assert upkeep.expired(store, "posts") == {key(0), key(10)}
    store.delete = broken.__get__(store)  # type: ignore[method-assign]
    upkeep.delete(store, "posts", found, now=CHECKED + timedelta(days=1))
    assert [chain.parse_key(name) for name in store.objects if chain.parse_key(name)] == [(0, 20)]


def loaded(settings: Settings, number: int) -> None:
    """A warehouse whose last build loaded the manifests of posts up to `number`."""
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create schema if not exists staging")
        connection.execute(
            f"create or replace table staging.stg_manifests as select 'posts' as topic, {number} as manifest_number"
        )


@pytest.mark.stack
def test_expire_deletes_what_is_loaded_and_gone_from_kafka_and_the_rest_of_assay_knows(
    settings: Settings, assay: Callable[..., Any]
) -> None:
    own = settings.model_copy(update={"land_object_rows": 3})
    kept, store = own.model_copy(update={"lake_raw_days": 1}), S3Store(own)
    send(own, "posts", [wire(post())] * 9)
    worker.drain(own)
    client = admin(own)
    (deleted,) = client.delete_records([TopicPartition(own.topic("posts"), 0, 7)]).values()
    deleted.result(30)
    later = datetime.now(UTC) + timedelta(days=2)

    with pytest.raises(Misconfigured, match="no warehouse"):
        expire(kept, now=later)
    loaded(own, 1)
    assert expire(kept, now=later) == []  # no check covered anything
    check_landed(own, now=datetime.now(UTC))
    loaded(own, 0)
    assert expire(kept, now=later) == []  # no build loaded it
    loaded(own, 1)
    assert expire(own, now=later) == []  # no retention is set
    assert expire(kept, now=datetime.now(UTC)) == []  # too young
    (would,) = expire(kept, now=later, dry_run=True)
    assert (would["from"], would["to"], would["objects"], len(rows(own))) == (0, 6, 2, 9)
    assert expire(kept, now=later) == [would]
    assert [row["_offset"] for row in rows(own)] == [6, 7, 8]
    assert expire(kept, now=later + timedelta(seconds=1)) == []

    send(own, "posts", [wire(post())] * 2)
    worker.drain(own)
    assert all_ok(own)
    assert sorted(row["_offset"] for row in rows(own)) == [6, 7, 8, 9, 10]
    with pytest.raises(Misconfigured, match=r"has rows of 2 objects of posts that `assay expire` deleted.*would lose"):
        build(own, full_refresh=True)
    own.warehouse.unlink()
    said: list[str] = []
    account_for_expired(own, store, said.append)
    assert [line.partition(",")[0] for line in said] == [
        "without the rows of 2 objects of posts that `assay expire` deleted"
    ]
    assert run_dbt(own, ["run", "--select", "stg_manifests"]).success
    with duckdb.connect(str(own.warehouse)) as connection:
        (objects,) = connection.execute("select objects from staging.stg_manifests").fetchall()[0]
    assert [chain.parse_key(name) for name in objects] == [(0, 6)]

    own.warehouse.unlink()
    store.delete(objects[0])
    with pytest.raises(DependencyFailed, match="1 objects of posts were checked and are gone"):
        build(own)
    assert assay(own, "expire", "--dry-run", ASSAY_LAKE_RAW_DAYS="1").returncode == 2
    assert assay(own, "expire", "--json").stdout == "[]\n"
