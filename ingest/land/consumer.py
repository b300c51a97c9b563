"""Records from Kafka into partitions, and partitions into the lake: what drain and service have in common."""

import gc
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ingest.errors import DependencyFailed
from ingest.land import chain
from ingest.land.broker import Broker, Log, Topic, close, consumer_settings
from ingest.land.group import GroupOffsets
from ingest.land.heads import Heads
from ingest.land.lag import Lag
from ingest.land.partition import PATIENCE_SECONDS, Clock, Ending, Partition, Totals
from ingest.land.records import of_messages
from ingest.settings import Settings

log = logging.getLogger("assay.land")

BATCH = 3_000
"""Records of one poll at most: few enough to stay in the processor's cache until they are decoded."""
OBJECT_BYTES = 64 << 20
"""The largest object: always a single PUT."""
COLLECT_AFTER = 500_000
"""New objects after which Python looks for cycles."""
SLICE_SECONDS = 60.0
"""How long to go on landing before the next poll; with one object more, well under `max.poll.interval.ms`."""


class Landing:
    """One consumer with the partitions that it holds."""

    def __init__(self, settings: Settings, heads: Heads, broker: Broker, clock: Clock, writer: str) -> None:
        self._settings = settings
        self._heads = heads
        self.broker = broker
        self._clock = clock
        self._writer = writer
        self._prefix = len(settings.topic_prefix)
        self._limits = chain.Limits(settings.land_object_rows, OBJECT_BYTES, settings.land_object_seconds)
        self._budget = settings.land_memory_mb << 20
        self._offsets = GroupOffsets()
        self._closing = False
        self._polled = clock.now()
        self._known_at: dict[str, float] = {}
        """The poll after which a topic was last seen to be the one that it was."""
        self.lag = Lag()
        self.paused = False
        """Whether nothing is read because the buffers are full."""
        self.totals: dict[str, Totals] = {}
        """By topic, what was landed of all partitions that were ever held."""
        self.topics: dict[str, Topic] = {}
        self.partitions: dict[chain.Slot, Partition] = {}
        self._consumer: Consumer | None = None

    @property
    def consumer(self) -> Consumer:
        """Kafka's consumer; there is one within `reading`."""
        assert self._consumer is not None
        return self._consumer

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Open the consumer, and close it whatever happens. What is buffered then is given up."""
        self._consumer = Consumer(
            consumer_settings(self._settings) | {"error_cb": self._complain, "on_commit": self._offsets.committed}
        )
        # Buffered messages are many and never part of a cycle: walking them again and again took an eighth of the CPU.
        thresholds = gc.get_threshold()
        gc.set_threshold(COLLECT_AFTER, *thresholds[1:])
        try:
            yield
        finally:
            gc.set_threshold(*thresholds)
            self._closing = True
            close(self._consumer)
            self._consumer = None

    def hold(self, topic: Topic, logs: dict[int, Log]) -> list[TopicPartition]:
        """Take partitions on at their heads; what to assign. Raises what `Heads.find` raises."""
        self.topics[topic.name] = topic
        places = []
        for partition, head in self._find(topic, logs).items():
            slot = chain.Slot(topic.name, partition)
            self.partitions[slot] = Partition(
                slot,
                self._heads.store,
                head=head,
                topic_id=topic.id,
                limits=self._limits,
                writer=self._writer,
                clock=self._clock,
                day=self._heads.day(slot),
            )
            self.lag.hold(slot, logs[partition].end)
            places.append(self.place(slot))
        return places

    def _find(self, topic: Topic, logs: dict[int, Log]) -> dict[int, int]:
        """The partitions' heads, looked for as long as an object is tried: a start asks the store for a great deal."""

        def look_again() -> dict[int, Log]:
            return {slot.partition: part for slot, part in self.broker.logs([topic]).items()}

        end, pause = self._clock.now() + PATIENCE_SECONDS, 0.1
        while True:
            try:
                return self._heads.find(topic, logs, look_again)
            except DependencyFailed as error:
                if self._clock.now() + pause > end:
                    raise
                log.warning("heads not found topic=%s retry_seconds=%.1f error=%s", topic.name, pause, error)
            self._clock.wait(pause)
            pause = min(pause * 2, 5.0)

    def place(self, slot: chain.Slot) -> TopicPartition:
        """Kafka's name for where the partition wants to read next."""
        return TopicPartition(self._settings.topic(slot.topic), slot.partition, self.partitions[slot].position)

    def poll(self, seconds: float, wanted: int = BATCH) -> int:
        """Read at most `wanted` records within so many seconds, and buffer them; full buffers land. How many came.

        Raises DependencyFailed when Kafka or the store fails, Misconfigured when a topic is not what it was.
        """
        held = dict(self.partitions)
        before, self._polled = self._polled, self._clock.now()
        messages = self.consumer.consume(wanted, 0.0 if self.paused else seconds)
        if any(map(Message.error, messages)):
            messages = [message for message in messages if not self._is_event(message)]
        if self._clock.now() - before > chain.BUFFER_SECONDS:
            # The process slept: what Kafka's client had fetched before may long have landed and left log and lake.
            log.warning("slept seconds=%.0f: all heads are looked for again", self._clock.now() - before)
            for slot in list(self.partitions):
                self._find_again(slot)
                self.seek(self.partitions[slot])
            return 0
        # A partition that was given away and taken on again during the call may have left older records behind.
        replaced = {slot for slot, partition in self.partitions.items() if held.get(slot) is not partition}
        again: set[chain.Slot] = set()
        begin = 0
        places = zip(map(Message.topic, messages), map(Message.partition, messages), strict=True)
        for (topic, number), run in groupby(places):
            end = begin + len(list(run))
            batch, begin = messages[begin:end], end
            slot = chain.Slot(str(topic)[self._prefix :], int(number or 0))
            if slot not in self.partitions or slot in again:
                continue
            if slot in replaced or not self._take(self.partitions[slot], batch):
                again.add(slot)
            elif self.partitions[slot].rows:
                self.lag.read(slot, batch[0].timestamp()[1])
        for slot in again:
            self.seek(self.partitions[slot])
        self._keep_budget()
        return len(messages)

    def _take(self, partition: Partition, messages: Sequence[Message]) -> bool:
        """Buffer a run of records of one partition, landing whenever the buffer is full; False to seek instead."""
        records = of_messages(messages)
        while records:
            if partition.begin(records.offsets[0], records.timestamps[0]) is not None:
                return False
            records = partition.append(records)
            if records and not self.land(partition):
                return False
        return True

    def land(self, partition: Partition, patience: float = PATIENCE_SECONDS) -> bool:
        """Land what the partition has buffered; False when it must read again from its head."""
        ending = self._land(partition, patience)
        match ending:
            case Ending.LANDED:
                self._commit(partition)
                self._heads.passed(partition.slot, partition.last)
            case Ending.STALE:
                self._find_again(partition.slot)
        return ending is Ending.LANDED

    def land_due(self) -> None:
        """Land the buffers that are full or old enough, the oldest first; what takes too long waits for a poll."""
        end = self._clock.now() + SLICE_SECONDS
        for partition in sorted((held for held in self.partitions.values() if held.due()), key=lambda due: due.opened):
            if not self.land(partition):
                self.seek(self.partitions[partition.slot])
            if self._clock.now() > end:
                break

    def _land(self, partition: Partition, patience: float) -> Ending:
        self._require_same_topic(partition.slot)
        before = replace(partition.totals)
        ending = partition.land(patience)
        self.lag.landed(partition.slot)
        self.totals.setdefault(partition.slot.topic, Totals()).add(partition.totals, before)
        return ending

    def _require_same_topic(self, slot: chain.Slot) -> None:
        """Raise Misconfigured when what was read may be of a topic that was made anew.

        Ids never come back: one that is still the same after the last read is that of all records read.
        """
        if self._known_at.get(slot.topic) != self._polled:
            current = self.broker.topics([slot.topic])[slot.topic]
            chain.same_topic(slot, self.topics[slot.topic].id, current.id)
            self._known_at[slot.topic] = self._polled

    @property
    def buffered(self) -> int:
        """Bytes that all buffers hold, about."""
        return sum(partition.memory for partition in self.partitions.values())

    def note_ends(self) -> None:
        """Take down how far the consumer has heard of each log; asks nobody.

        Not for another thread: beside a poll, librdkafka's and Python's locks may wait for each other for ever.
        """
        for slot in self.partitions:
            place = TopicPartition(self._settings.topic(slot.topic), slot.partition)
            _, high = self.consumer.get_watermark_offsets(place, cached=True) or (0, 0)
            self.lag.heard(slot, high)

    def silent_seconds(self) -> float:
        """Time since the last poll."""
        return self._clock.now() - self._polled

    def release(self, places: Iterable[TopicPartition], seconds: float) -> None:
        """Give partitions up: write what they have as far as `seconds` reach, forget the rest.

        What is forgotten is read again by whoever comes next, and a late write of ours does no harm.
        """
        end = self._clock.now() + seconds
        unsure: set[str] = set()
        for place in places:
            slot = chain.Slot(place.topic[self._prefix :], place.partition)
            partition = self.partitions.pop(slot, None)
            left = end - self._clock.now()
            if partition is None or not partition.rows or left <= 0 or self._closing or slot.topic in unsure:
                continue
            try:
                self._require_same_topic(slot)
            except DependencyFailed as error:
                log.warning("discarded topic=%s error=%s", slot.topic, error)
                unsure.add(slot.topic)
                continue
            try:
                ending = self._land(partition, left)
            except DependencyFailed as error:
                log.warning("discarded topic=%s partition=%d error=%s", *_of(partition), error)
                continue
            if ending is Ending.LANDED:
                self._commit(partition)

    def seek(self, partition: Partition) -> None:
        """Read again from where the partition wants to."""
        place = self.place(partition.slot)
        log.info("seek topic=%s partition=%d offset=%d", partition.slot.topic, partition.slot.partition, place.offset)
        try:
            self.consumer.seek(place)
        except KafkaException as error:
            raise self.broker.failure(error.args[0]) from error

    def settle(self, seconds: float) -> None:
        """Wait for outstanding commits of group offsets."""
        self._offsets.settle(self.consumer, seconds)

    def _find_again(self, slot: chain.Slot) -> None:
        """Find a partition's head anew: its buffer was too old, or the log dropped what it wanted."""
        topic = self.broker.topics([slot.topic])[slot.topic]
        chain.same_topic(slot, self.topics[slot.topic].id, topic.id)
        totals = self.partitions[slot].totals
        self.hold(topic, {slot.partition: self.broker.logs([topic])[slot]})
        self.partitions[slot].totals = totals

    def _keep_budget(self) -> None:
        """Compact the largest buffers, then land them, until all of them fit. Nothing is read meanwhile.

        What takes too long goes on after the next poll, with the partitions paused: the group must see us poll.
        """
        end = self._clock.now() + SLICE_SECONDS
        while (full := self.buffered > self._budget) and self._clock.now() < end:
            largest = max(self.partitions.values(), key=lambda partition: partition.memory)
            if largest.compact():
                continue
            log.info("over budget topic=%s partition=%d bytes=%d", *_of(largest), largest.memory)
            if not self.land(largest):
                self.seek(self.partitions[largest.slot])
        if full:
            self.consumer.pause(self.consumer.assignment())
        elif self.paused:
            self.consumer.resume(self.consumer.assignment())
        if full != self.paused:
            log.warning("paused" if full else "resumed")
        self.paused = full

    def _is_event(self, message: Message) -> bool:
        """Whether the message is no record: the end of a log, or an error, which is dealt with."""
        error = message.error()
        if error is None:
            return False
        slot = chain.Slot(str(message.topic())[self._prefix :], int(message.partition() or 0))
        match error.code():
            case KafkaError._PARTITION_EOF:
                self.lag.end(slot, int(message.offset() or 0))
            case KafkaError._AUTO_OFFSET_RESET | KafkaError.OFFSET_OUT_OF_RANGE if slot in self.partitions:
                log.warning("out of range topic=%s partition=%d error=%s", slot.topic, slot.partition, error.str())
                self._find_again(slot)
                self.seek(self.partitions[slot])
            case KafkaError._MAX_POLL_EXCEEDED:  # partitions are lost, and come back with the next polls
                log.warning("too slow error=%s", error.str())
            case _:
                raise self.broker.failure(error)
        return True

    def _commit(self, partition: Partition) -> None:
        place = TopicPartition(self._settings.topic(partition.slot.topic), partition.slot.partition, partition.head)
        self._offsets.commit(self.consumer, place)

    def _complain(self, error: KafkaError) -> None:
        """librdkafka goes on trying by itself; who waits for something gives up by the clock."""
        log.warning("kafka error=%s", error.str())
        if error.fatal():
            raise self.broker.failure(error)


def _of(partition: Partition) -> tuple[str, int]:
    return partition.slot.topic, partition.slot.partition
