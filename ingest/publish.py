"""Events to Kafka: topics with their configuration, and the one producer.

At least once: a message counts as published when the broker has acknowledged it to all replicas; ids are deterministic,
so a task that is tried again publishes the same events.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Producer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from ingest import events, kafka
from ingest.errors import DependencyFailed
from ingest.settings import Settings

# On a busy machine it warns of every tenth of a second that it had to wait; what goes wrong is raised anyway.
logging.getLogger("kafka").setLevel(logging.ERROR)

DAY_MS = 86_400_000
PARTITIONS = {"posts": 8, "accounts": 8, "followers": 8, "dead_letters": 2, "notices": 1, "consents": 1}
RETENTION_MS = {name: (3 if name == "notices" else 14) * DAY_MS for name in PARTITIONS}

BOOTSTRAP_MS = 10_000
"""A broker that does not answer for so long is down; somebody waits for the message that says so."""
QUEUE_KILOBYTES = 32 << 10
"""What a producer holds at most before whoever publishes waits."""


def topic_configuration(name: str) -> dict[str, str]:
    """What a topic of assay must be set to.

    LogAppendTime makes arrival dates follow the broker's clock, whatever a producer's clock says.
    """
    return {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "retention.ms": str(RETENTION_MS[name]),
        "retention.bytes": "-1",
        "max.message.bytes": str(1 << 20),
    }


def client_settings(settings: Settings) -> dict[str, object]:
    """Connection settings for kafka-python. Raises Misconfigured for a file that holds no certificate."""
    return kafka.kafka_python(settings) | {"bootstrap_timeout_ms": BOOTSTRAP_MS}


def administer(settings: Settings) -> KafkaAdminClient:
    """A connection for questions and changes; to be closed.

    Raises DependencyFailed when no broker answers, Misconfigured when none takes our credentials.
    """
    try:
        return KafkaAdminClient(**client_settings(settings))
    except KafkaError as error:
        raise kafka.unreachable(settings, error) from error


def create_topics(settings: Settings) -> list[str]:
    """Make the topics that are missing; the names of those made. Existing ones stay as they are (`doctor` judges them).

    Raises DependencyFailed when the broker cannot be reached.
    """
    made = []
    admin = administer(settings)
    try:
        for name, partitions in PARTITIONS.items():
            topic = NewTopic(
                name=settings.topic(name),
                num_partitions=partitions,
                replication_factor=settings.kafka_replication,
                topic_configs=topic_configuration(name),
            )
            try:
                admin.create_topics([topic], wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue
            made.append(topic.name)
    except KafkaError as error:
        raise DependencyFailed(f"Kafka at {settings.kafka} failed: {error}. Is it up? `assay status`") from error
    finally:
        admin.close()
    return made


class Publisher:
    """A producer for one task; a context manager: leaving it without an error flushes and checks every message."""

    def __init__(self, settings: Settings, *, timeout_seconds: float = 60.0) -> None:
        self._settings = settings
        self._timeout = timeout_seconds
        self._failed: list[ClientError] = []
        self.published: Counter[str] = Counter()
        """Messages handed over, by topic."""

    def __enter__(self) -> Self:
        self._producer = Producer(
            kafka.librdkafka(self._settings)
            | {
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "zstd",
                "linger.ms": 20,
                "partitioner": "murmur2_random",  # Kafka's own, for everybody who finds an account's partition by it
                "message.max.bytes": 1 << 20,
                "queue.buffering.max.kbytes": QUEUE_KILOBYTES,
                "message.timeout.ms": int(self._timeout * 1000),
                "request.timeout.ms": min(30_000, int(self._timeout * 500)),
                "log_level": 0,  # failures come as errors
                "on_delivery": self._delivered,
            }
        )
        try:
            self._producer.list_topics(timeout=BOOTSTRAP_MS / 1000)  # connects, and says when nobody is there
        except KafkaException as error:
            raise kafka.unreachable(self._settings, error.args[0].str()) from error
        return self

    def publish(self, messages: Iterable[events.Message]) -> None:
        """Hand messages to the producer. Raises DependencyFailed as soon as one is known not to have arrived."""
        for message in messages:
            self.forward(events.topic(message), events.key(message), events.encode(message))

    def forward(self, topic: str, key: bytes | None, payload: bytes) -> None:
        """Hand one message to the producer as the bytes that it is. Raises as `publish` does."""
        end = time.monotonic() + self._timeout
        while True:
            try:
                self._producer.produce(self._settings.topic(topic), payload, key)
                break
            except BufferError as full:  # the queue is full: wait until some of it has left
                self._producer.poll(0.1)
                if time.monotonic() > end:
                    raise self._failure("its queue stays full") from full
            except KafkaException as error:
                raise self._failure(error.args[0].str()) from error
        self.published[topic] += 1
        self._producer.poll(0)
        self._check()

    def flush(self) -> None:
        """Wait until every message is acknowledged. Raises DependencyFailed when one is not."""
        left = self._producer.flush(self._timeout)
        self._check()
        if left:
            raise self._failure(f"{left} messages are not acknowledged after {self._timeout:g} s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.flush(5)  # what can still arrive does; the error that ends us is told

    def _delivered(self, error: ClientError | None, _: object) -> None:
        if error is not None:
            self._failed.append(error)

    def _check(self) -> None:
        if self._failed:
            raise self._failure(self._failed[0].str())

    def _failure(self, said: str) -> DependencyFailed:
        return DependencyFailed(
            f"publishing to Kafka at {self._settings.kafka} failed: {said}. "
            "Nothing is lost: run the same again, the events get the same ids"
        )
