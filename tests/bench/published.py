"""What one run published: read back from Kafka."""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from ingest.events import moment
from ingest.settings import Settings

LOOK_SECONDS, WAIT_SECONDS = 0.2, 10.0
TIMES = datetime.min.replace(tzinfo=UTC)


class Subject(msgspec.Struct):
    """As much of an event as is counted."""

    run_id: str
    observed_at: str
    account_id: str
    post_id: str | None = None
    format: str | None = None


@dataclass
class Published:
    """Events of one topic."""

    ids: Counter[str] = field(default_factory=Counter)
    """How many there are of each post, or of each account."""
    formats: dict[str, str | None] = field(default_factory=dict)
    """The format of each post."""
    latest: datetime = TIMES
    """When the last was observed."""


def published(settings: Settings, topic: str, run_id: str) -> Published:
    """The run's events in a topic."""
    found, name = Published(), settings.topic(topic)
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": f"bench-{uuid4()}"})
    try:
        known = consumer.list_topics(name, timeout=WAIT_SECONDS).topics[name].partitions
        ends = {one: consumer.get_watermark_offsets(TopicPartition(name, one), WAIT_SECONDS)[1] for one in known}
        consumer.assign([TopicPartition(name, one, OFFSET_BEGINNING) for one, end in ends.items() if end])
        left, patience = sum(ends.values()), time.monotonic() + WAIT_SECONDS
        while left:
            messages = consumer.consume(10_000, LOOK_SECONDS)
            if not messages and time.monotonic() > patience:
                raise SystemExit(f"{left} messages of {name} do not come")
            for message in messages:
                left, patience = left - 1, time.monotonic() + WAIT_SECONDS
                event = msgspec.json.decode(message.value() or b"", type=Subject)
                if event.run_id == run_id:
                    found.ids[event.post_id or event.account_id] += 1
                    found.formats[event.post_id or event.account_id] = event.format
                    found.latest = max(found.latest, moment(event.observed_at))
    finally:
        consumer.close()
    return found
