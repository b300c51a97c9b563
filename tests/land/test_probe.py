"""Each property that a store may lack is found by name, and the landing starts on no store that lacks what it needs."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ingest.errors import Misconfigured
from ingest.land import probe
from ingest.land.store import Entry, Object, Put
from tests.land.memory import MemoryStore


class Sound(MemoryStore):
    """A store in memory that honours both conditions."""

    def put(self, key: str, body: bytes, *, if_match: str | None = None, **rest: Any) -> Put:
        if if_match is not None and (key not in self.objects or if_match != self.etag(key)):
            return Put.REFUSED
        return super().put(key, body, **rest)

    def head(self, key: str) -> Entry | None:
        found = super().head(key)
        return found and replace(found, etag=self.etag(key))

    def etag(self, key: str) -> str:
        return str(self.objects[key][0])


class IgnoresIfNoneMatch(Sound):
    def put(self, key: str, body: bytes, *, if_absent: bool = False, **rest: Any) -> Put:
        return super().put(key, body, **rest)


class ToldWrongly(Sound):
    """Refuses, and overwrites all the same."""

    def put(self, key: str, body: bytes, **rest: Any) -> Put:
        told = super().put(key, body, **rest)
        if told is Put.REFUSED and rest.get("if_absent"):
            super().put(key, body)
        return told


class IgnoresIfMatch(Sound):
    def put(self, key: str, body: bytes, *, if_match: str | None = None, **rest: Any) -> Put:
        return super().put(key, body, **rest)


class ForgetsMetadata(Sound):
    def put(self, key: str, body: bytes, **rest: Any) -> Put:
        return super().put(key, body, **rest | {"metadata": {}})


class LooksLate(Sound):
    """An object is not found the first time, as behind a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: set[str] = set()

    def head(self, key: str) -> Entry | None:
        if key.endswith("object") or key in self.looked:
            return super().head(key)
        self.looked.add(key)
        return None


class ListsBackwards(Sound):
    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        yield from reversed(list(super().list(prefix, delimiter=delimiter)))


class RepeatsGroups(Sound):
    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        for name in super().list(prefix, delimiter=delimiter):
            yield from itertools.repeat(name, 2 if delimiter else 1)


class GivesBackLess(Sound):
    def get(self, key: str) -> Object | None:
        return Object(b"", "etag")


LACKING = {
    Sound: set(),
    IgnoresIfNoneMatch: {"If-None-Match", "If-None-Match, raced"},
    ToldWrongly: {"If-None-Match", "If-None-Match, raced"},
    GivesBackLess: {"If-None-Match", "If-None-Match, raced"},
    IgnoresIfMatch: {"If-Match"},
    ForgetsMetadata: {"read after PUT, metadata"},
    LooksLate: {"read after PUT, metadata"},
    ListsBackwards: {"LIST order, delimiter"},
    RepeatsGroups: {"LIST order, delimiter"},
}
REFUSED = {IgnoresIfNoneMatch, ToldWrongly, ForgetsMetadata, LooksLate}
"""Stores on which the landing does not start."""


@pytest.mark.parametrize("kind", LACKING)
def test_what_a_store_lacks_is_found_by_name_and_nothing_is_left_there(kind: type[Sound]) -> None:
    store = kind()
    assert {one.name for one, fault in probe.examine(store) if fault} == LACKING[kind]
    assert store.objects == {}


@pytest.mark.parametrize("kind", LACKING)
def test_the_landing_starts_only_where_its_put_is_a_commit(kind: type[Sound]) -> None:
    if kind in REFUSED:
        with pytest.raises(Misconfigured, match=r"nothing can be landed exactly once in this object store: .*doctor"):
            probe.require_conditional_put(kind())
    else:
        probe.require_conditional_put(kind())


def test_a_start_while_another_writes_waits_for_its_turn() -> None:
    store = Sound()
    store.faults = ["conflict", "conflict", "", "conflict"]
    probe.require_conditional_put(store)
