"""The consumer group's committed offsets. Only lag displays read them: what has landed stands in the lake."""

import logging
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger("assay.land")


class GroupOffsets:
    """Commits that nobody waits for, until the very end."""

    def __init__(self) -> None:
        self._outstanding = 0

    def commit(self, consumer: Consumer, place: TopicPartition) -> None:
        """Commit an offset, asynchronously."""
        self._outstanding += 1
        try:
            consumer.commit(offsets=[place], asynchronous=True)
        except KafkaException as error:
            self.committed(error.args[0], [place])

    def committed(self, error: KafkaError | None, places: Iterable[TopicPartition]) -> None:
        """Kafka's answer to a commit; the consumer's `on_commit`."""
        for place in places:
            self._outstanding -= 1
            fault = error or place.error
            if fault is None:
                log.info("commit topic=%s partition=%d offset=%d", place.topic, place.partition, place.offset)
            else:  # another member's partition, or a drain beside a live service: the lake has the rows all the same
                log.info("commit refused topic=%s partition=%d error=%s", place.topic, place.partition, fault.str())

    def settle(self, consumer: Consumer, seconds: float) -> None:
        """Wait for outstanding answers."""
        end = time.monotonic() + seconds
        while self._outstanding and time.monotonic() < end:
            consumer.poll(0.02)
