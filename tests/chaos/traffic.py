"""Events that keep coming, and what the broker said of each: the half of the oracle that the landing has no part in.

Posts and accounts of the contract, some with a field that only a newer contract knows, some poison. Every event's id
follows from its number, so that an acknowledgement is three integers.
"""

import random
import threading
import time
from array import array
from functools import partial

import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer

from ingest import events
from ingest.settings import Settings

TOPICS = ("posts", "accounts")
POISON: tuple[bytes | None, ...] = (
    None,
    b"",
    b"null",
    b"{",
    b"\xff\xfe\x00",
    b'{"event_id":"one"}{"event_id":"two"}',
    b'{"event_id":"' + b"[" * 500 + b'"}',
    b'{"event_id":"00000000-0000-5000-a000-000000000000",\n"contract":"1"}',
)
NEWER, BROKEN = 0.08, 0.04
"""Shares of events of the newer contract, and of poison."""
TICK_SECONDS = 0.05
NO_EVENT = -1


class Traffic:
    """A producer on a thread; a context manager that ends when every event is acknowledged or given up."""

    def __init__(self, settings: Settings, *, seed: int, rate: int) -> None:
        self._settings = settings
        self._chance = random.Random(seed)
        self._rate = rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._places = {topic: (array("i"), array("q"), array("q")) for topic in TOPICS}
        self.sent = self.newer = self.poison = self.refused = 0
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "acks": "all",
                "linger.ms": 20,
                "message.timeout.ms": 120_000,
                "queue.buffering.max.messages": 500_000,
                "log_level": 0,
            }
        )

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No more events; wait until the broker has answered for all."""
        self._stop.set()
        self._thread.join()
        self._producer.flush(150)

    def acknowledged(self) -> pa.Table:
        """A row per event that the broker took: _topic, _partition, _offset, event_id (null where poison)."""
        parts = []
        for topic, (partitions, offsets, numbers) in self._places.items():
            ids = [None if number == NO_EVENT else _id(number) for number in numbers]
            columns = [pa.repeat(topic, len(ids)), pa.array(partitions, pa.int32()), pa.array(offsets, pa.int64())]
            names = ["_topic", "_partition", "_offset", "event_id"]
            parts.append(pa.Table.from_arrays([*columns, pa.array(ids, pa.string())], names=names))
        return pa.concat_tables(parts)

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(TICK_SECONDS):
            due = int((time.monotonic() - begun) * self._rate) - self.sent
            for _ in range(min(due, self._rate)):
                self._send()
            self._producer.poll(0)

    def _send(self) -> None:
        chance, topic, number = self._chance, self._chance.choice(TOPICS), self.sent
        self.sent += 1
        account = f"a{chance.randrange(400)}"
        payload: bytes | None = _event(topic, number, account)
        drawn = chance.random()
        if drawn < BROKEN:
            payload, number = chance.choice(POISON), NO_EVENT
            self.poison += 1
        elif drawn < BROKEN + NEWER:
            assert payload is not None
            payload = payload[:-1] + b',"seen_by_friends":%d}' % number
            self.newer += 1
        key, delivered = f"youtube:{account}".encode(), partial(self._delivered, topic, number)
        self._producer.produce(self._settings.topic(topic), payload, key, on_delivery=delivered)

    def _delivered(self, topic: str, number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:  # whether it arrived is unknown: `assay verify` holds the lake against the log itself
            self.refused += 1
            return
        partitions, offsets, numbers = self._places[topic]
        partitions.append(message.partition() or 0)
        offsets.append(message.offset() or 0)
        numbers.append(number)


def _id(number: int) -> str:
    return f"{number:08x}-0000-5000-a000-000000000000"


def _event(topic: str, number: int, account: str) -> bytes:
    common = {
        "event_id": _id(number),
        "contract": events.CONTRACT,
        "platform": "youtube",
        "account_id": account,
        "observed_at": "2026-11-18T10:00:00.000Z",
        "run_id": "collect_youtube/2026-11-18T10:00:00Z",
        "collector": "youtube/1",
        "authorisation": "public",
        "state": "visible",
    }
    if topic == "accounts":
        return events.encode(events.AccountObserved(**common, endpoint="channels", followers=number))  # type: ignore[arg-type]
    return events.encode(
        events.PostObserved(**common, endpoint="videos", post_id=f"p{number % 9000}", views=number, text="day ✨ café")  # type: ignore[arg-type]
    )
