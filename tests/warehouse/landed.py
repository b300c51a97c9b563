"""Landed objects as the contract has them, made without a broker: whole objects of one partition, good and poison."""

import io
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from ingest import events
from ingest.land.store import Put, Store

ARRIVED = datetime(2026, 3, 4, 12, tzinfo=UTC)
ENVELOPE = {
    "_topic": pa.string(),
    "_partition": pa.int32(),
    "_offset": pa.int64(),
    "_timestamp": pa.timestamp("ms", tz="UTC"),
    "_key": pa.binary(),
    "_payload": pa.binary(),
    "_headers": pa.string(),
    "_error": pa.string(),
}


def schema(topic: str) -> pa.Schema:
    """The columns of the lake for a topic."""
    hints = get_type_hints(events.TOPICS[topic], include_extras=True)
    fields = events.TOPICS[topic].__struct_fields__
    return pa.schema(list(ENVELOPE.items()) + [(field, _column(hints[field])) for field in fields])


def _column(hint: Any) -> pa.DataType:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if type(None) in get_args(hint) else [hint]
    kind = kinds[0]
    if kind == events.Instant:
        return pa.timestamp("ms", tz="UTC")
    base = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if get_origin(base) is list:
        return pa.list_(pa.string())
    return {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}.get(base, pa.string())


def post(platform: str, number: int, **fields: Any) -> dict[str, Any]:
    """A post observed, with the fields that every one has."""
    return {
        "event_id": str(uuid.uuid5(events.NAMESPACE, f"{platform}{number}{sorted(fields.items())}")),
        "contract": 1,
        "platform": platform,
        "account_id": f"{platform}-account",
        "observed_at": ARRIVED - timedelta(minutes=5),
        "run_id": "manual/1",
        "endpoint": "list",
        "collector": f"{platform}/1",
        "authorisation": "public",
        "post_id": f"{platform}-{number}",
        "state": "visible",
        "published_at": ARRIVED - timedelta(days=1),
        "format": "text",
        "likes": number,
        "hashtags": ["one", "two"],
    } | fields


def poison(platform: str | None, payload: bytes = b"not json") -> dict[str, Any]:
    """A row that breaks the contract; its key names the platform, if anything does."""
    return {"_key": f"{platform}:a".encode() if platform else None, "_payload": payload, "_error": "not JSON"}


def land(
    store: Store,
    topic: str,
    rows: Sequence[dict[str, Any]],
    *,
    partition: int = 0,
    start: int = 0,
    arrived: datetime = ARRIVED,
) -> int:
    """Put one object with the rows at offsets from `start` on; the offset after it."""
    envelope = {"_topic": topic, "_partition": partition, "_timestamp": arrived}
    landed = [
        dict.fromkeys(schema(topic).names)
        | {"_key": f"{row.get('platform')}:a".encode()}
        | row
        | envelope
        | {"_offset": start + position}
        for position, row in enumerate(rows)
    ]
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(landed, schema=schema(topic)), body, compression="zstd")
    end = start + len(rows)
    key = f"raw/{topic}/date={arrived:%Y-%m-%d}/partition={partition}/{start:020d}.parquet"
    assert store.put(key, body.getvalue(), metadata={"next": str(end)}, if_absent=True) is Put.WRITTEN
    origin = json.dumps({"topic": topic, "partition": partition}).encode()
    store.put(f"raw/{topic}/_origin/partition={partition}.json", origin)
    return end
