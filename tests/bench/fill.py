"""A topic filled with generated posts, by as many processes as there are cores; each is this file as a program."""

import argparse
import json
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


def fill(settings: Settings, count: int, *, seed: int, raw_bytes: int = 0, poison: float = 0.0) -> Filled:
    """Publish `count` posts to `posts` and wait until all are acknowledged. Raises SystemExit when one is not."""
    begun = time.monotonic()
    asked = [f"--seed={seed}", f"--raw-bytes={raw_bytes}", f"--poison={poison}"]
    counts = [count // PROCESSES + (part < count % PROCESSES) for part in range(PROCESSES)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.fill", f"--count={part_count}", f"--part={part}", *asked],
            env=os.environ | settings.as_environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for part, part_count in enumerate(counts)
        if part_count
    ]
    said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("the topic could not be filled")
    return Filled(count, sum(json.loads(line) for line in said), time.monotonic() - begun)


def _produce(settings: Settings, count: int, seed: int, raw_bytes: int, poison: float) -> int:
    """Publish and return the bytes of all values."""
    producer = Producer(
        {
            **client_settings(settings),
            "enable.idempotence": True,
            "compression.type": "zstd",
            "partitioner": "murmur2_random",
            "linger.ms": 50,
            "queue.buffering.max.messages": 200_000,
        }
    )
    topic, size = settings.topic("posts"), 0
    failed: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error:
            failed.append(error)

    for number, (key, payload) in enumerate(posts(count, seed, raw_bytes=raw_bytes, poison=poison)):
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
    return size


def main() -> None:
    """One process's part of a fill."""
    options = argparse.ArgumentParser(description=__doc__)
    for name in ("count", "part", "seed", "raw-bytes"):
        options.add_argument(f"--{name}", type=int, required=True)
    options.add_argument("--poison", type=float, required=True)
    asked = options.parse_args()
    # Seeds of neighbouring parts and of neighbouring fills must not meet: ids would be there twice.
    seed = asked.seed * 1_000 + asked.part
    print(json.dumps(_produce(load(_env_file=None), asked.count, seed, asked.raw_bytes, asked.poison)))


if __name__ == "__main__":
    main()
