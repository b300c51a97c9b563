"""What the landing asks of Kafka beside records: topics with their ids, and where each partition's log begins and ends.

Reads are `read_committed`, everywhere: the end of a log is the end of what a consumer may see.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from ingest import events, kafka
from ingest.errors import DependencyFailed, Misconfigured
from ingest.kafka import Configuration
from ingest.land.chain import Slot
from ingest.settings import Settings

REQUEST_SECONDS = 10.0
REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
ELECTING = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
"""A broker has come or gone, and who leads is not known everywhere yet: ask again."""
UNREACHED = {
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
}
SILENCE_SECONDS = 20.0
"""How long the broker may say nothing while there is something to read."""
CLOSE_SECONDS = 5.0
EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Topic:
    """A topic as it is now."""

    name: str
    """The name in the lake; the name on Kafka has the prefix of the settings."""
    id: str
    """KRaft's id: another one when the topic was made anew."""
    partitions: int


@dataclass(frozen=True)
class Log:
    """What a partition holds now: offsets from `start` to before `end`."""

    start: int
    end: int


class Broker:
    """Kafka's side of the landing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(client_settings(settings))

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """The topics by their names in the lake.

        Raises DependencyFailed when the broker does not answer, Misconfigured when a topic is missing.
        """
        found = {}
        asked = {self._settings.topic(name): name for name in names}
        try:
            futures = self._admin.describe_topics(TopicCollection(list(asked)), request_timeout=REQUEST_SECONDS)
            for kafka_name, future in futures.items():
                described = future.result()
                found[asked[kafka_name]] = Topic(asked[kafka_name], str(described.topic_id), len(described.partitions))
        except KafkaException as error:
            raise self.failure(error.args[0]) from error
        return found

    def logs(self, topics: Iterable[Topic]) -> dict[Slot, Log]:
        """Begin and end of every partition's log. Raises DependencyFailed when the broker does not answer."""
        slots = {
            (self._settings.topic(topic.name), partition): Slot(topic.name, partition)
            for topic in topics
            for partition in range(topic.partitions)
        }
        starts, ends = self._offsets(slots, EARLIEST), self._offsets(slots, LATEST)
        return {slot: Log(starts[slot], ends[slot]) for slot in slots.values()}

    def _offsets(self, slots: Mapping[tuple[str, int], Slot], spec: OffsetSpec) -> dict[Slot, int]:
        wanted = {TopicPartition(topic, partition): spec for topic, partition in slots}
        end = time.monotonic() + REQUEST_SECONDS
        while True:
            try:
                futures = self._admin.list_offsets(
                    wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=REQUEST_SECONDS
                )
                return {
                    slots[place.topic, place.partition]: int(future.result().offset)
                    for place, future in futures.items()
                }
            except KafkaException as error:
                if error.args[0].code() not in ELECTING or time.monotonic() > end:
                    raise self.failure(error.args[0]) from error
            time.sleep(0.1)

    def failure(self, error: KafkaError) -> DependencyFailed | Misconfigured:
        """The error in words for people; looks for the reason when the broker was not reached."""
        if error.code() in UNREACHED:
            return kafka.unreachable(self._settings, error.str())
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            return Misconfigured(
                f"Kafka at {self._settings.kafka} has no topic for one of {', '.join(events.TOPICS)} "
                f"(prefix {self._settings.topic_prefix!r}). `assay up` makes them"
            )
        if error.code() in REFUSED:
            who = self._settings.kafka_username or "anonymous"
            return Misconfigured(
                f"Kafka at {self._settings.kafka} refuses {who}: {error.str()}. Landing needs the ACLs READ and "
                f"DESCRIBE on its topics and READ on the group {group(self._settings)}"
            )
        return DependencyFailed(f"Kafka at {self._settings.kafka} failed: {error.str()}. Is it up? `assay status`")


def silence(settings: Settings) -> DependencyFailed:
    """What to raise when Kafka sent nothing for too long."""
    return DependencyFailed(
        f"Kafka at {settings.kafka} sent nothing for {SILENCE_SECONDS:.0f} s though there is something to read. "
        "Nothing is lost: do the same again when it is up. `assay status`"
    )


def client_settings(settings: Settings) -> Configuration:
    """Connection settings for librdkafka. Its own log stays out of ours: failures come as errors."""
    return kafka.librdkafka(settings) | {"log_level": 0}


def consumer_settings(settings: Settings) -> Configuration:
    """Settings of the landing's consumer, for drain and service alike.

    The queue is kept small, because each partition has a buffer of its own behind it.
    """
    return client_settings(settings) | {
        "group.id": group(settings),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "partition.assignment.strategy": "cooperative-sticky",
        "max.poll.interval.ms": int(settings.land_poll_seconds * 1000),
        "session.timeout.ms": int(settings.land_session_seconds * 1000),
        "heartbeat.interval.ms": int(settings.land_session_seconds * 1000 / 3),
        "topic.metadata.refresh.interval.ms": 10_000,  # how soon added partitions are noticed
        "fetch.wait.max.ms": 100,
        "fetch.max.bytes": 4 << 20,
        "max.partition.fetch.bytes": 1 << 20,
        "queued.max.messages.kbytes": 32 << 10,
        "fetch.queue.backoff.ms": 100,  # after a full queue librdkafka rests; its second is half of the time with 2 KB
    }


def group(settings: Settings) -> str:
    """The consumer group; its offsets only show the lag."""
    return f"{settings.topic_prefix}assay-landing"


def close(consumer: Consumer) -> None:
    """Close a consumer, but wait only so long: librdkafka itself waits for a broker that is gone for ever."""
    closing = threading.Thread(target=consumer.close, daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)
