"""A gap and rows that land late: one of both wins, whatever comes first, and nothing is there twice."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from ingest.land import chain, gaps
from ingest.land.broker import Log, Topic
from ingest.land.heads import Heads
from ingest.land.partition import Ending, Partition
from ingest.land.records import Records
from tests.land.memory import DAY_MS, Bare, MemoryStore, TestClock

SLOT = chain.Slot("dead_letters", 0)
TOPIC = Topic("dead_letters", "id-1", 1)
NOON = 20_000 * DAY_MS + DAY_MS // 2
DAY = chain.day_of(NOON)


def holding(store: MemoryStore, first: int, count: int, day: date | None = None) -> Partition:
    """A worker at the head `first` with so many rows buffered."""
    limits = chain.Limits(100, 1 << 20, 60)
    part = Partition(SLOT, store, head=first, topic_id=TOPIC.id, limits=limits, writer="w", clock=TestClock(), day=day)
    assert part.begin(first, NOON) is None
    offsets = list(range(first, first + count))
    part.append(Records(offsets, [NOON] * count, [None] * count, [b""] * count, [Bare()] * count))
    return part


def land_one(store: MemoryStore) -> None:
    """The chain's first object: offsets 0 to 2."""
    Heads(store).find(TOPIC, {0: Log(0, 9)})
    assert holding(store, 0, 2).land() is Ending.LANDED


def recorded(store: MemoryStore) -> dict[int, int]:
    """The lost ranges."""
    return dict(chain.read_gap(body) for key, (body, _) in store.objects.items() if "_gaps" in key)


def starts(store: MemoryStore, *, fences: bool) -> list[int]:
    """Where objects begin."""
    parsed = {key: chain.parse_key(key) for key in store.objects}
    return sorted(
        found[1]
        for key, found in parsed.items()
        if found and (store.objects[key][1]["attempt"] == chain.FENCE) is fences
    )


def test_rows_that_land_after_the_gap_was_recorded_are_refused_and_their_worker_goes_on_after_it() -> None:
    store = MemoryStore()
    land_one(store)
    late = holding(store, 2, 4, DAY)
    assert Heads(store).find(TOPIC, {0: Log(5, 9)}) == {0: 5}
    assert late.land() is Ending.SUPERSEDED
    assert (late.head, late.rows) == (5, 0)
    assert (starts(store, fences=False), starts(store, fences=True), recorded(store)) == ([0], [2], {2: 5})


def test_rows_that_land_while_the_gap_is_recorded_are_no_gap_and_the_record_is_withdrawn() -> None:
    store = MemoryStore()
    land_one(store)
    late, delete = holding(store, 2, 4, DAY), store.delete
    store.put(chain.opened_key(SLOT.topic, DAY + timedelta(days=1)), b"")

    def listed(prefix: str, *, delimiter: str = "") -> Iterator[str]:
        if recorded(store) and late.rows:  # between the record and the fences
            assert late.land() is Ending.LANDED
        return MemoryStore.list(store, prefix, delimiter=delimiter)

    store.list = listed  # type: ignore[method-assign]
    deleted: list[str] = []
    store.delete = lambda key: (deleted.append(key), delete(key))[1]  # type: ignore[func-returns-value, method-assign]
    assert Heads(store).find(TOPIC, {0: Log(5, 9)}) == {0: 6}
    assert (starts(store, fences=False), starts(store, fences=True), recorded(store)) == ([0, 2], [], {})
    assert deleted == [chain.object_key(SLOT, DAY + timedelta(days=1), 2), chain.gap_key(SLOT, 2)]


def test_a_record_without_fences_does_not_stop_rows_that_are_still_held() -> None:
    store = MemoryStore()
    land_one(store)
    late = holding(store, 2, 4, DAY)
    store.put(chain.gap_key(SLOT, 2), chain.gap_body(SLOT, 2, 5, "2026-01-01T00:00:00Z"))  # and then it was killed
    assert late.land() is Ending.LANDED
    assert Heads(store).find(TOPIC, {0: Log(5, 9)}) == {0: 6}


def test_a_day_is_opened_once_and_a_gap_that_came_before_is_seen() -> None:
    store = MemoryStore()
    late = holding(store, 0, 4)
    Heads(store).find(TOPIC, {0: Log(0, 9)})
    assert Heads(store).find(TOPIC, {0: Log(5, 9)}) == {0: 5}
    assert starts(store, fences=True) == []  # nobody knew of a day
    assert late.land() is Ending.STALE
    assert starts(store, fences=False) == []
    again = holding(store, 5, 2)
    assert again.land() is Ending.LANDED
    before = len(store.puts)
    again.begin(7, NOON)
    again.append(Records([7], [NOON], [None], [b""], [Bare()]))
    assert again.land() is Ending.LANDED
    assert len(store.puts) == before + 1


def test_a_worker_that_comes_after_a_gap_goes_on_where_it_ends_though_the_log_has_dropped_more() -> None:
    store = MemoryStore()
    land_one(store)
    assert Heads(store).find(TOPIC, {0: Log(5, 9)}) == {0: 5}
    assert Heads(store).find(TOPIC, {0: Log(7, 9)}) == {0: 7}
    assert recorded(store) == {2: 5, 5: 7}


def test_a_fence_is_an_empty_object_with_the_lakes_columns() -> None:
    import io

    import pyarrow.parquet as pq

    from ingest.land.columns import lake_schema

    store = MemoryStore()
    land_one(store)
    Heads(store).find(TOPIC, {0: Log(5, 9)})
    body, metadata = store.objects[chain.object_key(SLOT, DAY, 2)]
    table = pq.read_table(io.BytesIO(body))
    assert (table.num_rows, metadata["next"], metadata["rows"]) == (0, "5", "0")
    assert table.schema.remove_metadata().equals(lake_schema("dead_letters"))


def test_a_day_that_cannot_be_opened_is_a_failure_of_the_store() -> None:
    store = MemoryStore()
    store.faults = ["conflict"]
    with pytest.raises(Exception, match="409"):
        gaps.open_day(store, SLOT, DAY, 0)
