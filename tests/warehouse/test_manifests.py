"""Manifests are numbered without gaps, never changed, and say how far a topic is checked."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import DependencyFailed
from ingest.land.store import Entry, Object, Put
from ingest.warehouse import manifests
from ingest.warehouse.manifests import LakeKey, Manifest, Range


class Memory:
    """An object store in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.listed: list[str] = []

    def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Put:
        if if_absent and key in self.objects:
            return Put.REFUSED
        self.objects[key] = body
        return Put.WRITTEN

    def head(self, key: str) -> Entry | None:
        return Entry(key, len(self.objects[key]), "", {}) if key in self.objects else None

    def get(self, key: str) -> Object | None:
        return Object(self.objects[key], "") if key in self.objects else None

    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        self.listed.append(prefix)
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        if delimiter:
            keys = sorted({prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter for key in keys})
        yield from keys


def manifest(number: int, ranges: tuple[Range, ...] = (), objects: tuple[str, ...] = ()) -> Manifest:
    return Manifest("posts", number, "check", "2026-03-04T13:00:00Z", "landed_posts", ranges, objects, (), 0)


def key(day: str, partition: int, start: int) -> str:
    return f"raw/posts/date={day}/partition={partition}/{start:020d}.parquet"


def test_a_manifest_is_written_once() -> None:
    store = Memory()
    first = manifest(1, (Range(0, 0, 5),))
    assert manifests.write(store, first)
    assert not manifests.write(store, manifest(1))
    assert manifests.read(store, "posts", 1) == first
    assert manifests.read(store, "posts", 2) is None


def test_manifests_past_a_number_come_in_order() -> None:
    store = Memory()
    for number in range(1, 13):
        manifests.write(store, manifest(number))
    assert [found.number for found in manifests.read_all(store, "posts", after=9)] == [10, 11, 12]


def test_what_is_no_manifest_is_named() -> None:
    store = Memory()
    store.put("checks/posts/00000001.json", b'{"topic": "posts"}')
    with pytest.raises(DependencyFailed, match=r"checks/posts/00000001\.json"):
        list(manifests.read_all(store, "posts"))


def test_a_partition_that_landed_late_is_found_on_an_older_day() -> None:
    store = Memory()
    checked = (key("2026-03-04", 0, 0),)
    late, new = key("2026-03-01", 7, 3), key("2026-03-05", 0, 10)
    for name in (*checked, late, new):
        store.put(name, b"")
    newest = manifest(1, (Range(0, 0, 10),), checked)
    assert manifests.unchecked(store, "posts", newest) == [LakeKey(0, 10, new), LakeKey(7, 3, late)]


def test_days_on_which_nothing_can_still_land_are_not_listed() -> None:
    store = Memory()
    for day in ("2025-01-01", "2026-02-20", "2026-03-04"):
        store.put(key(day, 0, 0), b"")
    manifests.unchecked(store, "posts", manifest(1, (Range(0, 0, 10),), (key("2026-03-04", 0, 9),)))
    days = ["raw/posts/date=2026-03-04/", "raw/posts/date=2026-02-20/"]
    assert store.listed == ["raw/posts/_gaps/", "raw/posts/", *days]


Steps = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), max_size=6)


@given(st.fixed_dictionaries(dict.fromkeys(range(3), Steps)))
def test_ranges_follow_on_each_other_however_the_objects_are_cut(landed: dict[int, list[tuple[int, int]]]) -> None:
    """Objects (rows, number of the check that finds them): every offset is in exactly one range of one check."""
    heads = {partition: 100 * partition for partition in landed}
    ranges: dict[int, list[Range]] = {partition: [] for partition in landed}
    newest = None
    for step in range(1, 5):
        keys = []
        for partition, objects in landed.items():
            for rows in [rows for rows, found in sorted(objects, key=lambda one: one[1]) if found == step]:
                keys.append(LakeKey(partition, heads[partition], ""))
                heads[partition] += rows
        ends = {one.partition: heads[one.partition] for one in keys}
        newest = manifest(step, manifests.next_ranges(newest, keys, ends))
        for found in newest.ranges:
            ranges[found.partition].append(found)
    for partition, found_ranges in ranges.items():
        assert [one.end for one in found_ranges[:-1]] == [one.start for one in found_ranges[1:]]
        assert sum(one.end - one.start for one in found_ranges) == sum(rows for rows, _ in landed[partition])
        assert all(one.start == 100 * partition for one in found_ranges[:1])
