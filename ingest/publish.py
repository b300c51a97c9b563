"""Events to Kafka: topics with their configuration, and the one producer.

At least once: a message counts as published when the broker has acknowledged it to all replicas; ids are deterministic,
so a task that is tried again publishes the same events.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient, KafkaProducer
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
        self._failed: list[BaseException] = []
        self.published: Counter[str] = Counter()
        """Messages handed over, by topic."""

    def __enter__(self) -> Self:
        try:
            self._producer = KafkaProducer(
                **client_settings(self._settings),
                enable_idempotence=True,
                acks="all",
                compression_type="zstd",
                linger_ms=20,
                max_request_size=1 << 20,
                max_block_ms=int(self._timeout * 1000),
                delivery_timeout_ms=int(self._timeout * 1000),
                request_timeout_ms=min(30_000, int(self._timeout * 500)),
            )
        except KafkaError as error:
            raise kafka.unreachable(self._settings, error) from error
        return self

    def publish(self, messages: Iterable[events.Message]) -> None:
        """Hand messages to the producer. Raises DependencyFailed as soon as one is known not to have arrived."""
        for message in messages:
            self.forward(events.topic(message), events.key(message), events.encode(message))

    def forward(self, topic: str, key: bytes | None, payload: bytes) -> None:
        """Hand one message to the producer as the bytes that it is. Raises as `publish` does."""
        try:
            future = self._producer.send(self._settings.topic(topic), key=key, value=payload)
        except KafkaError as error:
            raise self._failure(error) from error
        future.add_errback(self._failed.append)
        self.published[topic] += 1
        self._check()

    def flush(self) -> None:
        """Wait until every message is acknowledged. Raises DependencyFailed when one is not."""
        try:
            self._producer.flush(timeout=self._timeout)
        except KafkaError as error:
            raise self._failure(error) from error
        self._check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._producer.close(timeout=5)

    def _check(self) -> None:
        if self._failed:
            raise self._failure(self._failed[0]) from self._failed[0]

    def _failure(self, error: BaseException) -> DependencyFailed:
        return DependencyFailed(
            f"publishing to Kafka at {self._settings.kafka} failed: {error}. "
            "Nothing is lost: run the same again, the events get the same ids"
        )
