"""A topic filled with generated posts, by two processes; each is this file as a program."""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from confluent_kafka import Producer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from ingest import publish
from ingest.land.broker import client_settings
from ingest.settings import ROOT, Settings, load
from tests.bench.generate import posts

PROCESSES = 2
FEW = 20_000
"""So many are published sooner than a second process has started."""
TRANSACTION_SECONDS = 900
"""How long a transaction may stay open; the broker allows no more."""


@dataclass(frozen=True)
class Filled:
    """What is on the topic now."""

    events: int
    size: int
    """Bytes of the messages' values."""
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.events:,} events of {self.size / self.events:.0f} bytes on average, filled in {self.seconds:.0f} s"
        )


def create_posts(settings: Settings, partitions: int = publish.PARTITIONS["posts"]) -> None:
    """Make the topic `posts` as assay does, with so many partitions."""
    admin = KafkaAdminClient(**publish.client_settings(settings))
    configuration = publish.topic_configuration("posts")
    topic = NewTopic(settings.topic("posts"), partitions, settings.kafka_replication, topic_configs=configuration)
    try:
        admin.create_topics([topic], wait_for_metadata=True)
    finally:
        admin.close()


class Filling:
    """Processes that publish posts to `posts`; with `held`, in transactions that stay open until `finish`.

    So that a reader of committed records sees them all at one moment.
    """

    def __init__(
        self, settings: Settings, count: int, *, seed: int, raw_bytes: int = 0, poison: float = 0.0, held: bool = False
    ) -> None:
        self._begun = time.monotonic()
        self._count = count
        asked = [f"--seed={seed}", f"--raw-bytes={raw_bytes}", f"--poison={poison}", *(["--held"] if held else [])]
        processes = PROCESSES if count > FEW else 1
        counts = [count // processes + (part < count % processes) for part in range(processes)]
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.bench.fill", f"--count={part_count}", f"--part={part}", *asked],
                env=os.environ | settings.as_environment(),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for part, part_count in enumerate(counts)
        ]

    def ready(self) -> Filled:
        """Wait until the broker has acknowledged all of them."""
        sizes = [process.stdout.readline() for process in self._processes if process.stdout]
        if not all(sizes):
            raise SystemExit("the topic could not be filled")
        return Filled(self._count, sum(map(int, sizes)), time.monotonic() - self._begun)

    def finish(self) -> None:
        """Commit what is held, and end."""
        for process in self._processes:
            if process.stdin:
                process.stdin.close()
        codes = [process.wait() for process in self._processes]
        if any(codes):
            raise SystemExit("the topic could not be filled")


def fill(settings: Settings, count: int, *, seed: int, raw_bytes: int = 0, poison: float = 0.0) -> Filled:
    """Publish `count` posts to `posts` and wait until all are acknowledged. Raises SystemExit when one is not."""
    filling = Filling(settings, count, seed=seed, raw_bytes=raw_bytes, poison=poison)
    filled = filling.ready()
    filling.finish()
    return filled


def _produce(settings: Settings, asked: argparse.Namespace) -> None:
    """Publish one process's part, say the bytes of all values, and end when stdin does."""
    transaction = {
        "transactional.id": f"{settings.topic('posts')}-{asked.part}",
        "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
    }
    producer = Producer(
        {
            **client_settings(settings),
            **(transaction if asked.held else {"enable.idempotence": True}),
            "compression.type": "zstd",
            "partitioner": "murmur2_random",
            "linger.ms": 50,
            "queue.buffering.max.messages": 200_000,
        }
    )
    if asked.held:
        producer.init_transactions(30.0)
        producer.begin_transaction()
    topic, size = settings.topic("posts"), 0
    failed: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error:
            failed.append(error)

    # Seeds of neighbouring parts and of neighbouring fills must not meet: ids would be there twice.
    made = posts(asked.count, asked.seed * 1_000 + asked.part, raw_bytes=asked.raw_bytes, poison=asked.poison)
    for number, (key, payload) in enumerate(made):
        while True:
            try:
                producer.produce(topic, key=key, value=payload, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        size += len(payload)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    if failed:
        raise SystemExit(f"{len(failed)} events were not delivered: {failed[0]}")
    print(size, flush=True)
    sys.stdin.read()
    if asked.held:
        producer.commit_transaction(30.0)


def main() -> None:
    """One process's part of a fill."""
    options = argparse.ArgumentParser(description=__doc__)
    for name in ("count", "part", "seed", "raw-bytes"):
        options.add_argument(f"--{name}", type=int, required=True)
    options.add_argument("--poison", type=float, required=True)
    options.add_argument("--held", action="store_true")
    _produce(load(_env_file=None), options.parse_args())


if __name__ == "__main__":
    main()
