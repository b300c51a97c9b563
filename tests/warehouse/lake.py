"""A lake to build from, written straight into a bucket: objects and manifests as the contracts have them, no broker."""

import zlib
from collections import defaultdict
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingest import events
from ingest.events import Message
from ingest.land.store import Put, S3Store
from ingest.settings import Settings
from tests.warehouse.landed import schema

PARTITIONS = 2
INSTANT = pa.timestamp("ms", tz="UTC")


class Lake:
    """Lands and checks in any order that a test asks for. Offsets count from 0 in every partition."""

    def __init__(self, settings: Settings) -> None:
        self.store = S3Store(settings)
        self._heads: dict[tuple[str, int], int] = defaultdict(int)
        self._unchecked: dict[str, list[tuple[str, dict[str, int], int]]] = defaultdict(list)
        self._numbers: dict[str, int] = defaultdict(int)
        self._checks: dict[tuple[str, int], dict[str, Any]] = {}

    def land(self, messages: list[Message], *, arrived: datetime) -> None:
        """One object for each topic and partition touched."""
        batches = defaultdict(list)
        for message in messages:
            partition = zlib.crc32(events.key(message)) % PARTITIONS
            batches[events.topic(message), partition].append(message)
        for (topic, partition), batch in sorted(batches.items()):
            rows = [{"_key": events.key(message)} | _columns(message) for message in batch]
            self._write(topic, partition, rows, arrived)

    def land_poison(self, topic: str, key: bytes, payload: bytes, error: str, *, arrived: datetime) -> None:
        """An object of one row that breaks the contract."""
        row = {"_key": key, "_payload": payload, "_headers": "[]", "_error": error}
        self._write(topic, 0, [row], arrived)

    def check(self, topic: str, *, quarantine: tuple[str, ...] = (), checked_at: datetime) -> int:
        """The manifest of what was landed since the last; returns its number."""
        objects = self._unchecked.pop(topic)
        rows: dict[str, int] = defaultdict(int)
        for _, counted, _ in objects:
            for platform, count in counted.items():
                rows[platform] += count
        failure = {"expectation": "expect_something", "column": None, "severity": "critical", "observed": "else"}
        verdicts = [
            {
                "platform": platform,
                "verdict": "quarantined" if platform in quarantine else "passed",
                "rows": count,
                "failures": [failure] if platform in quarantine else [],
            }
            for platform, count in sorted(rows.items())
        ]
        return self._put(
            topic,
            kind="check",
            checked_at=events.instant(checked_at),
            objects=[key for key, _, _ in objects],
            verdicts=verdicts,
            poison=sum(poison for _, _, poison in objects),
            releases=None,
            reason=None,
        )

    def release(self, topic: str, number: int, platform: str, *, checked_at: datetime) -> int:
        """The manifest that lets a quarantined platform's rows in; returns its number."""
        held = self._checks[topic, number]
        verdicts = [one | {"verdict": "released"} for one in held["verdicts"] if one["platform"] == platform]
        return self._put(
            topic,
            kind="release",
            checked_at=events.instant(checked_at),
            objects=held["objects"],
            verdicts=verdicts,
            poison=0,
            releases=number,
            reason="looked at by a person",
        )

    def holds(self, topic: str, number: int, platform: str) -> bool:
        """Whether rows of the platform are in that manifest."""
        return any(verdict["platform"] == platform for verdict in self._checks[topic, number]["verdicts"])

    def objects(self, topic: str, number: int) -> list[str]:
        """Keys of the objects that the manifest covers."""
        return list(self._checks[topic, number]["objects"])

    def gap(self, topic: str, partition: int, start: int, end: int, *, noticed_at: datetime) -> None:
        """A range that expired before it was landed."""
        gap = {"topic": topic, "partition": partition, "from": start, "to": end}
        body = msgspec.json.encode(gap | {"noticed_at": events.instant(noticed_at)})
        self.store.put(f"raw/{topic}/_gaps/partition={partition}/{start}.json", body)

    def _write(self, topic: str, partition: int, rows: list[dict[str, Any]], arrived: datetime) -> None:
        start = self._heads[topic, partition]
        for offset, row in enumerate(rows, start):
            row |= {"_topic": topic, "_partition": partition, "_offset": offset, "_timestamp": arrived}
        buffer = BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema(topic)), buffer, compression="zstd")
        key = f"raw/{topic}/date={arrived:%Y-%m-%d}/partition={partition}/{start:020d}.parquet"
        assert self.store.put(key, buffer.getvalue(), if_absent=True) is Put.WRITTEN
        counted: dict[str, int] = defaultdict(int)
        for row in rows:
            if row.get("_error") is None:
                counted[row["platform"]] += 1
        poison = sum(row.get("_error") is not None for row in rows)
        self._heads[topic, partition] += len(rows)
        self._unchecked[topic].append((key, dict(counted), poison))

    def _put(self, topic: str, **manifest: Any) -> int:
        self._numbers[topic] += 1
        number = self._numbers[topic]
        # Staging goes by the objects; ranges say the same in offsets, for people and for the next check.
        body = {"topic": topic, "number": number, "suite": f"{topic}/1", "ranges": []} | manifest
        self._checks[topic, number] = body
        key = f"checks/{topic}/{number:08d}.json"
        assert self.store.put(key, msgspec.json.encode(body), if_absent=True) is Put.WRITTEN
        return number


def _columns(message: Message) -> dict[str, Any]:
    """The message's fields, instants as moments."""
    columns = schema(events.topic(message))
    return {
        name: events.moment(value).astimezone(UTC) if columns.field(name).type == INSTANT else value
        for name, value in msgspec.to_builtins(message).items()
    }
