"""Keys and heads: what the lake's names say, and what they do not."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import Misconfigured
from ingest.land import chain
from ingest.land.broker import Log, Topic
from ingest.land.columns import columns, lake_schema
from ingest.land.heads import Heads
from tests.land.memory import MemoryStore

SLOT = chain.Slot("posts", 3)
TOPIC = Topic("posts", "id-1", 8)


def put(store: MemoryStore, start: int, end: int, *, day: str = "2026-11-18", topic_id: str = "id-1") -> None:
    found = chain.metadata(chain.Landed(end, "a", topic_id), rows=1, poison=0, writer="w", schema_version=1)
    store.put(chain.object_key(SLOT, date.fromisoformat(day), start), b"", metadata=found)


@given(st.integers(0, 500), st.dates(), st.integers(0, 2**63 - 1))
def test_a_key_names_its_partition_and_start(partition: int, day: date, start: int) -> None:
    key = chain.object_key(chain.Slot("posts", partition), day, start)
    assert chain.parse_key(key) == (partition, start)
    assert key.startswith(chain.day_prefix("posts", day))


@given(st.lists(st.integers(0, 10**15), min_size=1, unique=True))
def test_keys_of_a_day_sort_as_their_starts(starts: list[int]) -> None:
    keys = [chain.object_key(SLOT, date(2026, 11, 18), start) for start in starts]
    assert sorted(keys) == [chain.object_key(SLOT, date(2026, 11, 18), start) for start in sorted(starts)]
    assert chain.newest(keys) == {3: max(keys)}


def test_other_keys_are_no_objects() -> None:
    for key in (chain.origin_key(SLOT), chain.gap_key(SLOT, 5), "raw/posts/date=2026-11-18/notes.txt", ""):
        assert chain.parse_key(key) is None


def test_the_day_of_a_record_is_the_utc_date_of_its_arrival() -> None:
    assert chain.day_of(1_794_959_999_999) == date(2026, 11, 17)
    assert chain.day_of(1_794_960_000_000) == date(2026, 11, 18)


def test_days_are_listed_newest_first_without_origins_and_gaps() -> None:
    prefixes = ["raw/posts/_gaps/", "raw/posts/_origin/", "raw/posts/date=2026-11-18/", "raw/posts/date=2026-12-01/"]
    assert chain.days(prefixes) == [date(2026, 12, 1), date(2026, 11, 18)]


def test_a_chain_begins_where_the_log_began_when_a_worker_first_looked() -> None:
    store = MemoryStore()
    assert Heads(store).find(TOPIC, {3: Log(40, 90)}) == {3: 40}
    assert chain.read_origin(store.objects[chain.origin_key(SLOT)][0]) == chain.Origin(40, "id-1")


def test_the_head_is_where_the_newest_object_ends() -> None:
    store = MemoryStore()
    put(store, 0, 10, day="2026-11-17")
    put(store, 10, 30)
    assert Heads(store).find(TOPIC, {3: Log(0, 90)}) == {3: 30}


def test_rows_that_left_the_log_before_they_landed_are_recorded_once() -> None:
    store = MemoryStore()
    put(store, 0, 10)
    assert Heads(store).find(TOPIC, {3: Log(40, 90)}) == {3: 40}
    gap = store.objects[chain.gap_key(SLOT, 10)][0]
    assert chain.read_gap(gap) == (10, 40)
    # A worker that comes later, when more has left, goes on from what is recorded.
    assert Heads(store).find(TOPIC, {3: Log(60, 90)}) == {3: 60}
    assert chain.read_gap(store.objects[chain.gap_key(SLOT, 40)][0]) == (40, 60)
    assert store.objects[chain.gap_key(SLOT, 10)][0] == gap


def test_before_a_gap_is_recorded_the_chains_end_is_looked_for_on_every_day() -> None:
    store = MemoryStore()
    put(store, 0, 10, day="2026-11-19")
    put(store, 10, 50, day="2026-11-18")  # the broker's clock was set back over midnight
    assert Heads(store).find(TOPIC, {3: Log(50, 90)}) == {3: 50}
    assert not [key for key in store.objects if "_gaps" in key]


@pytest.mark.parametrize("where", ["object", "origin"])
def test_a_topic_made_anew_is_refused_with_two_ways_out(where: str) -> None:
    store = MemoryStore()
    if where == "object":
        put(store, 0, 10, topic_id="old")
    else:
        Heads(store).find(Topic("posts", "old", 8), {3: Log(0, 5)})
    with pytest.raises(Misconfigured, match=r"topic posts was deleted and made anew .*Two ways out: \(1\).*\(2\)"):
        Heads(store).find(TOPIC, {3: Log(0, 90)})


def test_a_head_past_the_logs_end_is_refused_with_two_ways_out() -> None:
    store = MemoryStore()
    put(store, 0, 10)
    with pytest.raises(Misconfigured, match=r"landed up to offset 10, but the log ends at 4.*Two ways out"):
        Heads(store).find(TOPIC, {3: Log(0, 4)})


def test_a_remembered_object_spares_the_listing_and_is_looked_at_again() -> None:
    store = MemoryStore()
    put(store, 0, 10)
    heads = Heads(store)
    assert heads.find(TOPIC, {3: Log(0, 90)}) == {3: 10}
    store.list = None  # type: ignore[assignment, method-assign]
    assert heads.find(TOPIC, {3: Log(0, 90)}) == {3: 10}
    del store.list
    store.objects.clear()  # the lake was wiped
    assert heads.find(TOPIC, {3: Log(0, 90)}) == {3: 0}


def test_the_lakes_columns_are_the_envelope_and_the_contracts_fields_in_order() -> None:
    names = lake_schema("posts").names
    assert names[:8] == ["_topic", "_partition", "_offset", "_timestamp", "_key", "_payload", "_headers", "_error"]
    assert names[8:] == [column.name for column in columns("posts")]
    assert {str(lake_schema("posts").field(name).type) for name in ("_timestamp", "observed_at", "published_at")} == {
        "timestamp[ms, tz=UTC]"
    }
    assert str(lake_schema("posts").field("views").type) == "int64"
    assert str(lake_schema("posts").field("hashtags").type).startswith("list<")
