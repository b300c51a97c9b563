"""Bent payloads through a real broker, `assay land` and `assay verify`: what came is what lies in the lake, by offset.

Keys and headers are any bytes too. A record's offset is the one that the broker acknowledged it under, so that a row
under another's offset is seen.
"""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from ingest import events
from ingest.land.decode import Judged, judge
from ingest.publish import PARTITIONS, create_topics
from ingest.settings import ROOT, Settings
from tests.bench.own_stack import own_stack
from tests.land.fuzzed import KEYS, batch, show
from tests.land.lake import rows
from tests.land.mutations import Payload

Place = tuple[str, int, int]
LARGEST = 900_000
"""Bytes of a payload that a topic of ours surely takes."""
HEADERS: tuple[Any, ...] = (None, None, [("a", b"b")], [("a", None), ("a", b"\xff\x00")], [("é" * 300, b"\xed\xa0")])


def through_broker(settings: Settings, seed: int, count: int) -> tuple[Counter[str], list[str]]:
    """Counts by verdict, and what is wrong in words, of at least `count` records over all topics."""
    sent = _send(settings, seed, count)
    faults = []
    for command in ("land", "verify"):
        done = _assay(settings, command)
        if done.returncode:
            faults.append(f"`assay {command}` ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    counts: Counter[str] = Counter()
    for topic in events.TOPICS:
        for row in rows(settings, topic):
            place = (topic, row["_partition"], row["_offset"])
            if place not in sent:
                faults.append(f"{place} is in the lake twice, or was never sent")
                continue
            verdict, fault = _compare(topic, row, *sent.pop(place))
            counts[verdict] += 1
            if fault:
                faults.append(f"{place}: {fault}")
    faults += [f"{place} is not in the lake [{show(payload)}]" for place, (_, payload) in list(sent.items())[:9]]
    return counts, faults


def own_broker(seed: int, count: int) -> list[str]:
    """The same on a stack of its own; prints what it saw."""
    with own_stack() as settings:
        create_topics(settings)
        counts, faults = through_broker(settings, seed, count)
    print(f"through the broker: {counts.total()} records landed and verified, {dict(counts)}")
    return faults


def _send(settings: Settings, seed: int, count: int) -> dict[Place, tuple[bytes | None, Payload]]:
    """Publish batches of the seed until there are enough; key and payload of each by the place it was given."""
    producer = Producer({"bootstrap.servers": settings.kafka, "linger.ms": 20})
    sent: dict[Place, tuple[bytes | None, Payload]] = {}
    number = handed = 0
    while handed < count:
        found, draw = batch(seed, number), random.Random(f"keys {seed}:{number}")
        partition = draw.randrange(PARTITIONS[found.topic])
        for payload in found.payloads:
            if len(payload or b"") > LARGEST:
                continue
            key = draw.choice(KEYS)

            def delivered(error: Any, message: Any, kept: Any = (found.topic, key, payload)) -> None:
                assert error is None, error
                topic, key, payload = kept
                sent[topic, message.partition(), message.offset()] = key, payload

            producer.produce(
                settings.topic(found.topic), payload, key, partition=partition, headers=draw.choice(HEADERS),
                on_delivery=delivered,
            )  # fmt: skip
            handed += 1
        producer.poll(0)
        number += 1
    assert producer.flush(60) == 0
    return sent


def _compare(topic: str, row: dict[str, Any], key: bytes | None, payload: Payload) -> tuple[str, str | None]:
    """The row's verdict, and how it differs from what was sent."""
    judged = judge(topic, payload)
    if row["_key"] != key:
        return "other", f"its key is {row['_key']!r}, not {key!r}"
    if not isinstance(judged, Judged):
        same = (row["_error"], row["_payload"]) == (judged, payload) and row["event_id"] is None
        return "poison", None if same else f"is no dead letter of its own bytes: {row['_error']} [{show(payload)}]"
    verdict, kept = ("beyond", payload) if judged.beyond else ("good", None)
    same = (row["_error"], row["_payload"], row["event_id"]) == (None, kept, judged.event.event_id)  # type: ignore[attr-defined]
    return verdict, None if same else f"is not its own event: {row['_error']}, {row['event_id']} [{show(payload)}]"


def _assay(settings: Settings, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "assay"), command],
        env=os.environ | settings.as_environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
