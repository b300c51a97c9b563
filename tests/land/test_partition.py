"""One partition's buffer and its write: when an object ends, and what each answer of the store leads to."""

import io
import itertools
import json
from datetime import date

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import chain, partition
from ingest.land.columns import lake_schema
from ingest.land.partition import Ending, Partition
from ingest.land.records import Records
from tests.land.memory import DAY_MS, Bare, MemoryStore, TestClock
from tests.land.payloads import post, wire

NOON = 20_000 * DAY_MS + DAY_MS // 2
DAY = chain.day_of(NOON)
SLOT = chain.Slot("dead_letters", 1)
WIDE = chain.Limits(rows=1000, bytes=1 << 26, seconds=60)


def make(store: MemoryStore, *, limits: chain.Limits = WIDE, head: int = 0, slot: chain.Slot = SLOT) -> Partition:
    """A partition whose chain already has an object of the day."""
    return Partition(slot, store, head=head, topic_id="id-1", limits=limits, writer="me", clock=TestClock(), day=DAY)


def records(*places: tuple[int, int], payload: bytes | None = b"") -> Records:
    offsets, timestamps = [offset for offset, _ in places], [timestamp for _, timestamp in places]
    return Records(offsets, timestamps, [b"k"] * len(places), [payload] * len(places), [Bare()] * len(places))


def some(first: int, count: int, timestamp: int = NOON) -> Records:
    return records(*((first + number, timestamp) for number in range(count)))


def feed(part: Partition, batch: Records) -> None:
    """As the worker does, where nobody else is about."""
    while batch:
        first = batch.offsets[0], batch.timestamps[0]
        assert part.begin(*first) is None or part.begin(*first) is None  # a gap is asked about twice
        batch = part.append(batch)
        if batch:
            assert part.land() is Ending.LANDED


def landed(store: MemoryStore) -> list[tuple[str, dict[str, str], list[int]]]:
    """Each object in the order of its start: key, metadata, offsets."""
    found = []
    for key in sorted(filter(chain.parse_key, store.objects), key=lambda key: chain.parse_key(key) or (0, 0)):
        body, metadata = store.objects[key]
        table = pq.read_table(io.BytesIO(body), use_threads=False)
        found.append((key, dict(metadata), table.column("_offset").to_pylist()))
    return found


def test_rows_land_under_the_key_of_their_start_with_what_comes_next() -> None:
    store = MemoryStore()
    part = make(store, head=5)
    feed(part, some(5, 3))
    assert part.land() is Ending.LANDED
    ((key, metadata, offsets),) = landed(store)
    assert key == f"raw/dead_letters/date={DAY}/partition=1/{5:020d}.parquet"
    assert (metadata["next"], metadata["rows"], metadata["poison"], offsets) == ("8", "3", "3", [5, 6, 7])
    assert (part.head, part.position, part.rows) == (8, 8, 0)


def test_an_objects_footer_carries_its_metadata_and_every_column() -> None:
    store = MemoryStore()
    part = make(store, slot=chain.Slot("posts", 0))
    feed(part, records((0, NOON), (1, NOON), payload=wire(post(views=7))))
    part.land()
    ((body, metadata),) = store.objects.values()
    parquet = pq.ParquetFile(io.BytesIO(body))
    footer = {key.decode(): value.decode() for key, value in parquet.metadata.metadata.items()}
    assert {key: footer[key] for key in metadata if key != "sha256"} == {
        key: value for key, value in metadata.items() if key != "sha256"
    }
    assert parquet.schema_arrow.remove_metadata().equals(lake_schema("posts"))
    row = parquet.read().to_pylist()[1]
    assert (row["_topic"], row["_partition"], row["_offset"], row["_key"]) == ("posts", 0, 1, b"k")
    assert (row["views"], row["_payload"], row["_headers"], row["_error"]) == (7, None, None, None)
    assert {parquet.metadata.row_group(0).column(0).compression} == {"ZSTD"}


def test_poison_lands_among_good_rows_with_its_bytes_and_headers_and_an_error() -> None:
    class Sent:
        def headers(self) -> list[tuple[str, bytes | None]]:
            return [("trace", b"1"), ("blob", b"\xff"), ("none", None)]

    store = MemoryStore()
    part = make(store, slot=chain.Slot("posts", 0))
    payloads = [wire(post()), b"\xffnonsense", wire(post(brand_new=1))]
    feed(part, Records([0, 1, 2], [NOON] * 3, [None] * 3, list(payloads), [Sent()] * 3))
    part.land()
    ((body, metadata),) = store.objects.values()
    rows = pq.read_table(io.BytesIO(body)).to_pylist()
    assert metadata["poison"] == "1"
    assert [row["_error"] is None for row in rows] == [True, False, True]
    assert [row["_payload"] for row in rows] == [None, payloads[1], payloads[2]]
    assert [row["_headers"] is None for row in rows] == [True, False, True]
    assert json.loads(rows[1]["_headers"]) == [["trace", "1"], ["blob", {"base64": "/w=="}], ["none", None]]
    assert [row["event_id"] is None for row in rows] == [False, True, False]


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from([1, 1, 1, 4]), st.sampled_from([0, 0, 0, 1, DAY_MS // 2, -DAY_MS // 4])), max_size=40
    ),
    rows=st.integers(1, 9),
    chunk=st.integers(1, 5),
)
def test_objects_tile_hold_one_day_each_and_keep_their_limit(
    steps: list[tuple[int, int]], rows: int, chunk: int
) -> None:
    offsets = itertools.accumulate(step for step, _ in steps)
    timestamps = itertools.accumulate((step for _, step in steps), initial=NOON)
    places = list(zip(offsets, timestamps, strict=False))
    store = MemoryStore()
    part = make(store, limits=chain.Limits(rows, 1 << 26, 60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "CHUNK_ROWS", chunk)
        feed(part, records(*places))
        part.land()
    expected, when = 0, dict(places)
    for key, metadata, found in landed(store):
        assert chain.parse_key(key) == (1, expected)
        assert 0 < len(found) <= rows
        assert {chain.day_of(when[offset]) for offset in found} == {date.fromisoformat(key.split("date=")[1][:10])}
        expected = int(metadata["next"])
    assert [offset for *_, found in landed(store) for offset in found] == [offset for offset, _ in places]


def test_a_buffer_is_due_by_rows_by_bytes_and_by_age() -> None:
    few = make(MemoryStore(), limits=chain.Limits(2, 1 << 26, 60))
    feed(few, some(0, 1))
    assert not few.due()
    feed(few, some(1, 1))
    assert few.due()
    heavy = make(MemoryStore(), limits=chain.Limits(1000, 10, 60))
    feed(heavy, records((0, NOON), payload=b"x" * 11))
    assert heavy.due()
    clock = TestClock()
    slow = Partition(SLOT, MemoryStore(), head=0, topic_id="id-1", limits=WIDE, writer="me", clock=clock)
    clock.seconds += 1000
    assert not slow.due()
    feed(slow, some(0, 1))
    clock.seconds += 59
    assert not slow.due()
    clock.seconds += 2
    assert slow.due()


def test_a_lost_reply_is_recognised_as_our_own_write() -> None:
    store = MemoryStore()
    part = make(store)
    feed(part, some(0, 2))
    store.faults = ["lost", "down", "conflict"]
    assert part.land() is Ending.LANDED
    assert (part.head, part.totals.rows, len(store.objects), len(store.puts)) == (2, 2, 1, 4)


def test_the_same_bytes_are_tried_again_under_the_same_key() -> None:
    store = MemoryStore()
    part = make(store)
    feed(part, some(0, 2))
    store.faults = ["down"] * 5
    assert part.land() is Ending.LANDED
    assert len(set(store.puts)) == 1


def test_a_store_that_stays_down_fails_within_its_time_and_leaves_nothing_buffered() -> None:
    store, clock = MemoryStore(), TestClock()
    part = Partition(SLOT, store, head=0, topic_id="id-1", limits=WIDE, writer="me", clock=clock)
    feed(part, some(0, 2))
    store.faults = ["down"] * 10_000
    before = clock.seconds
    with pytest.raises(DependencyFailed, match="503"):
        part.land()
    assert clock.seconds - before <= partition.PATIENCE_SECONDS
    assert (part.rows, part.position) == (0, 0)


def test_a_race_that_was_lost_goes_on_where_the_winners_object_ends() -> None:
    store = MemoryStore()
    winner, loser = make(store), make(store)
    feed(winner, some(0, 3))
    feed(loser, some(0, 5))
    assert winner.land() is Ending.LANDED
    assert loser.land() is Ending.SUPERSEDED
    assert (loser.head, loser.position, loser.rows, loser.totals.rows) == (3, 3, 0, 0)
    feed(loser, some(3, 2))
    loser.land()
    assert [found for *_, found in landed(store)] == [[0, 1, 2], [3, 4]]


def test_what_others_landed_since_the_head_was_found_is_walked_over() -> None:
    store = MemoryStore()
    other, late = make(store, limits=chain.Limits(2, 1 << 26, 60)), make(store)
    feed(other, some(0, 4))
    other.land()
    assert late.begin(0, NOON) == 2
    assert late.begin(2, NOON) == 4
    assert late.begin(4, NOON) is None


def test_records_left_over_from_before_a_seek_are_not_taken_for_the_next_ones() -> None:
    part = make(MemoryStore(), head=10)
    assert part.begin(20, NOON) == 10  # asked again
    assert part.begin(10, NOON) is None


def test_a_gap_in_the_offsets_answers_the_same_twice_and_is_taken() -> None:
    store = MemoryStore()
    part = make(store, head=10)
    assert part.begin(20, NOON) == 10
    assert part.begin(20, NOON) is None
    part.append(some(20, 1))
    part.land()
    ((key, metadata, offsets),) = landed(store)
    assert (chain.parse_key(key), metadata["next"], offsets) == ((1, 10), "21", [20])


def test_a_buffer_older_than_an_hour_is_never_written() -> None:
    store, clock = MemoryStore(), TestClock()
    part = Partition(SLOT, store, head=0, topic_id="id-1", limits=WIDE, writer="me", clock=clock)
    feed(part, some(0, 2))
    clock.seconds += chain.BUFFER_SECONDS + 1
    assert part.land() is Ending.STALE
    assert (store.puts, part.rows, part.position) == ([], 0, 0)


def test_another_topics_object_in_the_way_is_refused_with_two_ways_out() -> None:
    store = MemoryStore()
    old = Partition(SLOT, store, head=0, topic_id="old", limits=WIDE, writer="me", clock=TestClock())
    feed(old, some(0, 2))
    part = make(store)
    feed(part, some(0, 2))
    old.land()
    with pytest.raises(Misconfigured, match=r"made anew .*Two ways out: \(1\).*\(2\)"):
        part.land()


def test_an_object_that_is_not_ours_is_refused_by_name() -> None:
    store = MemoryStore()
    key = chain.object_key(SLOT, DAY, 0)
    store.put(key, b"")
    with pytest.raises(Misconfigured, match=f"{key} lies in the landing's place"):
        make(store).begin(0, NOON)
