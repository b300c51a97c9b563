"""Any bytes as payload, key and headers, through the real broker and `assay land`. The long form: `make fuzz`."""

import random

import pytest
from kafka import KafkaProducer

from ingest.land import worker
from ingest.land.encode import UNREADABLE_HEADERS
from ingest.settings import Settings
from tests.land.fuzz_broker import through_broker
from tests.land.lake import all_ok, rows, send
from tests.land.payloads import post, wire

pytestmark = pytest.mark.stack


class Raw(str):
    """A name whose bytes are no UTF-8, for a client that only takes text."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe\x00"


def test_every_record_is_in_the_lake_under_its_own_offset(settings: Settings) -> None:
    seed = random.SystemRandom().randrange(10**6)
    counts, faults = through_broker(settings, seed, 1_500)
    assert faults == [], f"seed {seed}"
    assert counts.total() >= 1_500
    assert min(counts["good"], counts["beyond"], counts["poison"]) > 0


def test_headers_whose_names_are_no_text_land_with_their_record(settings: Settings) -> None:
    send(settings, "posts", [wire(post())])
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    for value in (b"not json", wire(post(text="good"))):
        producer.send(
            settings.topic("posts"), value, b"\xff", headers=[(Raw("x"), b"\xff"), ("a", b"b")], partition=0
        ).get(30)
    producer.close()
    (landed,) = worker.drain(settings)
    assert (landed["rows"], landed["poison"]) == (3, 1)
    found = {row["_offset"]: row for row in rows(settings)}
    assert [found[offset]["text"] for offset in range(3)] == [None, None, "good"]
    assert (found[1]["_payload"], found[1]["_headers"]) == (b"not json", UNREADABLE_HEADERS)
    assert all_ok(settings)
