"""What tests of collecting share: a small watch list, what is on Kafka, and the sandbox's truth and faults."""

import csv
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition

from ingest import watchlist
from ingest.events import TOPICS
from ingest.publish import client_settings
from ingest.settings import ROOT, Settings

WATCHLIST = ROOT / "dbt_project" / "seeds" / "watchlist.csv"


@pytest.fixture
def everybody() -> Callable[[str], list[str]]:
    """The accounts of a platform on the project's own watch list."""
    return lambda platform: [one.account for one in watchlist.read(WATCHLIST) if one.platform == platform]


@pytest.fixture
def watch(settings: Settings, tmp_path: Path) -> Callable[..., Settings]:
    """Settings that follow only the given accounts: `watch("bluesky", "ann.example", …)`."""

    def watch(platform: str, *accounts: str, **changes: object) -> Settings:
        path = tmp_path / "watchlist.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["creator_id", "creator_name", "platform", "account"])
            lines.writerows([f"c{number}", "Somebody", platform, name] for number, name in enumerate(accounts))
        return settings.model_copy(update={"watchlist_path": path} | changes)

    return watch


@pytest.fixture
def on_kafka(settings: Settings) -> Callable[[str], list[Any]]:
    """Every message of a topic so far, decoded and held to its contract: `on_kafka("posts")`."""

    def read(topic: str) -> list[Any]:
        consumer = KafkaConsumer(**client_settings(settings), enable_auto_commit=False, consumer_timeout_ms=4000)
        try:
            name = settings.topic(topic)
            partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            left = sum(consumer.end_offsets(partitions).values())
            found = []
            while left > len(found):
                found.append(msgspec.json.decode(next(consumer).value, type=TOPICS[topic]))
            return found
        finally:
            consumer.close()

    return read


@pytest.fixture
def truth(settings: Settings) -> Callable[..., Any]:
    """The sandbox's truth: `truth("posts", platform=…, account_id=…, at=…)`."""

    def ask(what: str, **asked: str) -> Any:
        with urllib.request.urlopen(f"{settings.sandbox}/_truth/{what}?{urlencode(asked)}", timeout=30) as answer:
            return json.load(answer)

    return ask


@pytest.fixture
def fault(settings: Settings) -> Any:
    """Faults of the sandbox, gone after the test: `fault(platform="youtube", kind="html", times=1)`."""

    def send(method: str, body: bytes | None = None) -> None:
        request = urllib.request.Request(f"{settings.sandbox}/_faults", data=body, method=method)
        urllib.request.urlopen(request, timeout=30).close()

    yield lambda **asked: send("POST", json.dumps(asked).encode())
    send("DELETE")
