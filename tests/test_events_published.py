"""Publishing: topics as configured, and every message acknowledged on the partition of its key."""

import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from ingest import events
from ingest.contracts.examples import EXAMPLES
from ingest.errors import DependencyFailed
from ingest.publish import PARTITIONS, Publisher, create_topics
from ingest.settings import Settings


@pytest.mark.stack
def test_topics_that_exist_stay_as_they_are(settings: Settings) -> None:
    assert create_topics(settings) == []


@pytest.mark.stack
def test_what_is_published_arrives_with_its_key_and_without_headers(settings: Settings) -> None:
    messages = [message for examples in EXAMPLES.values() for message in examples]
    with Publisher(settings) as publisher:
        publisher.publish(messages)
    assert sum(publisher.published.values()) == len(messages)
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.assign(
        [TopicPartition(settings.topic(name), p, 0) for name, count in PARTITIONS.items() for p in range(count)]
    )
    arrived = {}
    while len(arrived) < len(messages):
        record = consumer.poll(20)
        assert record is not None, "not everything arrived"
        assert record.error() is None
        assert record.headers() is None
        arrived[record.value()] = (record.topic(), record.key())
    consumer.close()
    assert arrived == {
        events.encode(message): (settings.topic(events.topic(message)), events.key(message)) for message in messages
    }


@pytest.mark.stack
def test_one_account_stays_on_one_partition(settings: Settings) -> None:
    post = EXAMPLES["posts"][0]
    with Publisher(settings) as publisher:
        publisher.publish([post] * 20)
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "test", "auto.offset.reset": "earliest"})
    ends = [consumer.get_watermark_offsets(TopicPartition(settings.topic("posts"), p))[1] for p in range(8)]
    consumer.close()
    assert sorted(ends) == [0] * 7 + [20]


@pytest.mark.stack
def test_a_message_that_the_broker_never_takes_fails_the_task(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"topic_prefix": "nobody-made-these."})

    def publish() -> None:
        with Publisher(elsewhere, timeout_seconds=3) as publisher:
            publisher.forward("posts", b"key", b"{}")
            time.sleep(5)  # it is given up, and nothing is left to wait for

    with pytest.raises(DependencyFailed, match="Nothing is lost"):
        publish()
