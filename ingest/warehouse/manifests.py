"""Manifests: what of the lake was checked, with which verdict. One numbered object a check or release, never changed.

`checks/{topic}/{number:08d}.json`, numbers contiguous from 1, written only where there is none yet. A check manifest
names a range for every partition known of its topic (an empty one where nothing was new), so that the newest check
manifest alone says how far the topic is checked.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Literal, NamedTuple

import msgspec

from ingest.errors import DependencyFailed
from ingest.events import TOPICS
from ingest.land import chain
from ingest.land.store import Put, Store
from ingest.publish import RETENTION_MS


class Range(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """Offsets of one partition, `start` inside and `end` not."""

    partition: int
    start: int
    end: int


class Failure(msgspec.Struct, frozen=True):
    """One expectation that did not hold, and what was seen instead."""

    expectation: str
    column: str | None
    severity: Literal["critical", "warning"]
    observed: str

    def in_words(self) -> str:
        """One line for a table or a message."""
        return f"{self.severity}: {self.expectation} on {self.column or 'the table'} observed {self.observed}"


class Verdict(msgspec.Struct, frozen=True):
    """What became of one platform's rows; `rows` counts the good ones."""

    platform: str
    verdict: Literal["passed", "quarantined", "released"]
    rows: int
    failures: tuple[Failure, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """One check or release, covering whole objects. `poison` counts the rows that break the contract."""

    topic: str
    number: int
    kind: Literal["check", "release"]
    checked_at: str
    suite: str
    ranges: tuple[Range, ...]
    objects: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    poison: int
    releases: int | None = None
    reason: str | None = None


class LakeKey(NamedTuple):
    """What the key of a landed object says."""

    partition: int
    start: int
    key: str


_decoder = msgspec.json.Decoder(Manifest)

LAG = timedelta(days=7)
"""How long Kafka may keep a record past its topic's retention: a segment goes only when it is closed."""


def manifest_key(topic: str, number: int) -> str:
    """Where the manifest lies in the lake."""
    return f"checks/{topic}/{number:08d}.json"


def numbers(store: Store, topic: str) -> list[int]:
    """Numbers of all manifests of the topic, ascending."""
    return [int(key[-13:-5]) for key in store.list(f"checks/{topic}/") if key.endswith(".json")]


def read(store: Store, topic: str, number: int) -> Manifest | None:
    """The manifest; None when there is none. Raises DependencyFailed for an object that is no manifest."""
    key = manifest_key(topic, number)
    found = store.get(key)
    if found is None:
        return None
    try:
        return _decoder.decode(found.body)
    except msgspec.DecodeError as error:
        raise DependencyFailed(f"{key} is no manifest: {error}. Was it changed by hand? Restore it") from error


def read_all(store: Store, topic: str, *, after: int = 0) -> Iterator[Manifest]:
    """The topic's manifests past number `after`, in order."""
    for number in numbers(store, topic):
        if number > after and (manifest := read(store, topic, number)) is not None:
            yield manifest


def write(store: Store, manifest: Manifest) -> bool:
    """Write the manifest under its number; False when somebody else has taken the number.

    A conflict of two writers counts as taken: who reads again finds out who won.
    """
    body = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    return store.put(manifest_key(manifest.topic, manifest.number), body, if_absent=True) is Put.WRITTEN


def newest_check(store: Store, topic: str, known: list[int]) -> Manifest | None:
    """The newest manifest of kind `check` among the `known` numbers."""
    for number in reversed(known):
        manifest = read(store, topic, number)
        if manifest is not None and manifest.kind == "check":
            return manifest
    return None


def unchecked(store: Store, topic: str, newest: Manifest | None) -> list[LakeKey]:
    """Landed objects that no check has covered yet, by partition and offset.

    Only arrival dates are listed on which something can still have landed: what Kafka kept when the newest check was
    written is not older than the topic's retention, and its newest object's date is not later than that check.
    """
    heads = checked_heads(newest)
    earliest = _earliest_day(topic, newest)
    gaps = set(map(chain.parse_gap_key, store.list(chain.all_gaps_prefix(topic))))
    found = []
    for day in chain.days(store.list(chain.dates_prefix(topic), delimiter="/")):
        if earliest and day < earliest:
            break
        for key in store.list(chain.day_prefix(topic, day)):
            parsed = chain.parse_key(key)
            if parsed and parsed[1] >= heads.get(parsed[0], 0) and not (parsed in gaps and _is_fence(store, key)):
                found.append(LakeKey(*parsed, key))
    return sorted(found)


def _is_fence(store: Store, key: str) -> bool:
    """Whether the object is an empty one that stands at a gap: nothing that could be checked."""
    entry = store.head(key)
    return entry is not None and chain.landed(key, entry.metadata).fence


def checked_heads(newest: Manifest | None) -> dict[int, int]:
    """By partition, the first offset that is not checked."""
    return {} if newest is None else {range_.partition: range_.end for range_ in newest.ranges}


def next_ranges(newest: Manifest | None, keys: list[LakeKey], ends: Mapping[int, int]) -> tuple[Range, ...]:
    """Ranges of the check that follows `newest` and covers `keys`; `ends` is each partition's last object's `next`."""
    starts: dict[int, list[int]] = defaultdict(list)
    for key in sorted(keys):
        starts[key.partition].append(key.start)
    heads = {partition: first[0] for partition, first in starts.items()} | checked_heads(newest)
    return tuple(Range(partition, head, ends.get(partition, head)) for partition, head in sorted(heads.items()))


def anything_unchecked(store: Store) -> bool:
    """Whether the lake holds a landed object that no check has covered."""
    return any(unchecked(store, topic, newest_check(store, topic, numbers(store, topic))) for topic in TOPICS)


def _earliest_day(topic: str, newest: Manifest | None) -> date | None:
    checked = chain.days(key.partition("/partition=")[0] for key in newest.objects) if newest else []
    return checked[0] - timedelta(milliseconds=RETENTION_MS[topic]) - LAG if checked else None
