"""What the tests on the real broker and store share: send records, read rows, start a service."""

import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from ingest.land import chain
from ingest.land.store import S3Store
from ingest.land.verify import verify
from ingest.settings import ROOT, Settings
from tests.bench.generate import posts


def send(settings: Settings, topic: str, payloads: list[bytes | None], *, partition: int = 0, **options: Any) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka})
    for payload in payloads:
        producer.produce(settings.topic(topic), payload, b"key", partition=partition, **options)
    assert producer.flush(30) == 0


def produce(settings: Settings, count: int, *, seed: int = 1) -> None:
    """Publish so many of the bench's posts, all accounts over all partitions."""
    producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
    for key, payload in posts(count, seed):
        producer.produce(settings.topic("posts"), payload, key)
        producer.poll(0)
    assert producer.flush(60) == 0


def rows(settings: Settings, topic: str = "posts", columns: list[str] | None = None) -> list[dict[str, Any]]:
    store, found = S3Store(settings), []
    for key in store.list(chain.dates_prefix(topic)):
        if chain.parse_key(key):
            stored = store.get(key)
            assert stored is not None
            found += pq.read_table(io.BytesIO(stored.body), columns=columns, use_threads=False).to_pylist()
    return found


def places(settings: Settings, topic: str = "posts") -> Counter[tuple[int, int]]:
    return Counter((row["_partition"], row["_offset"]) for row in rows(settings, topic, ["_partition", "_offset"]))


def all_ok(settings: Settings) -> bool:
    found = verify(settings)
    assert all(row["ok"] for row in found), [row for row in found if not row["ok"]]
    return not any(row["lag"] for row in found)


def admin(settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.kafka})


def make_anew(settings: Settings, topic: str, partitions: int = 8, **configuration: str) -> None:
    name, client = settings.topic(topic), admin(settings)
    client.delete_topics([name])[name].result()
    for _ in range(50):
        if name not in client.list_topics(timeout=10).topics:
            break
        time.sleep(0.1)
    configuration = {"message.timestamp.type": "LogAppendTime"} | configuration
    client.create_topics([NewTopic(name, partitions, 1, config=configuration)])[name].result()


class Follower:
    """`assay land --follow` as a process of its own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, settings: Settings) -> None:
        command = [str(Path(sys.executable).parent / "assay"), "land", "--follow"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | settings.as_environment(), cwd=ROOT, stderr=log, stdout=log
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def said(self) -> str:
        return self._log.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def wait_for(self, text: str, seconds: float = 60) -> str:
        end = time.monotonic() + seconds
        while text not in (said := self.said()):
            assert time.monotonic() < end, f"{text!r} was never said:\n{said}"
            time.sleep(0.1)
        return said
