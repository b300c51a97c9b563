"""Records of one partition on their way from Kafka's messages into an object."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from ingest.errors import Misconfigured
from ingest.land.encode import Source


@dataclass
class Records:
    """Consecutive records of one partition, a list a field."""

    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    payloads: list[bytes | None] = field(default_factory=list)
    sources: Sequence[Source] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets)

    def cut(self, at: int, end: int | None = None) -> "Records":
        """The records from position `at` to before `end`."""
        return Records(
            self.offsets[at:end],
            self.timestamps[at:end],
            self.keys[at:end],
            self.payloads[at:end],
            self.sources[at:end],
        )


def of_messages(messages: Sequence[Message]) -> Records:
    """The records of messages of one partition, in their order; at least one.

    Raises Misconfigured when a timestamp is not the broker's.
    """
    stamps = [message.timestamp() for message in messages]
    if {kind for kind, _ in stamps} != {TIMESTAMP_LOG_APPEND_TIME}:
        raise Misconfigured(
            f"topic {messages[0].topic()} carries producers' timestamps, but arrival must "
            "follow the broker's clock. Set message.timestamp.type=LogAppendTime on it; records from before that "
            "must leave the log first (`assay doctor` shows the topics' configuration)"
        )
    return Records(
        cast("list[int]", [message.offset() for message in messages]),
        [timestamp for _, timestamp in stamps],
        [message.key() for message in messages],
        [message.value() for message in messages],
        messages,
    )
