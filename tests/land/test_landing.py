"""Landing through the real broker into the real store, by the functions and by the command that people use."""

import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import chain, worker
from ingest.land.consumer import Landing
from ingest.land.partition import Partition
from ingest.land.store import S3Store
from ingest.land.verify import verify
from ingest.settings import Settings
from tests.land.lake import admin, all_ok, make_anew, places, produce, rows, send
from tests.land.payloads import post, wire, worst

pytestmark = pytest.mark.stack
Assay = Callable[..., subprocess.CompletedProcess[str]]


def test_drain_lands_every_event_of_every_topic_once_and_a_second_one_nothing(settings: Settings) -> None:
    produce(settings, 3_000)
    for topic in ("accounts", "followers", "dead_letters", "notices"):
        send(settings, topic, [b"not of the contract"] * 3)
    landed = worker.drain(settings)
    assert sum(row["rows"] for row in landed) == 3_012
    assert sum(row["poison"] for row in landed) == 12
    assert {row["topic"] for row in landed} == {"posts", "accounts", "followers", "dead_letters", "notices"}
    assert worker.drain(settings) == []
    assert set(places(settings).values()) == {1}
    assert all_ok(settings)
    produce(settings, 50, seed=2)
    assert sum(row["rows"] for row in worker.drain(settings)) == 50
    assert all_ok(settings)


def test_a_drain_with_nothing_new_is_quick(settings: Settings) -> None:
    produce(settings, 300)
    worker.drain(settings)
    begun = time.process_time()
    assert worker.drain(settings) == []
    assert time.process_time() - begun < 0.5


def test_the_worst_payloads_land_as_poison_beside_good_neighbours(settings: Settings) -> None:
    good = wire(post(text="good"))
    bad = [payload for name, payload in worst().items() if len(payload) < 1_000_000]
    send(settings, "posts", [payload for one in bad for payload in (good, one)] + [None])
    (landed,) = worker.drain(settings)
    found = sorted(rows(settings), key=lambda row: row["_offset"])
    assert (landed["rows"], landed["objects"]) == (len(bad) * 2 + 1, 1)
    assert [row["text"] for row in found[:-1:2]] == ["good"] * len(bad)
    assert landed["poison"] == sum(row["_error"] is not None for row in found) > 30
    assert [row["_payload"] for row in found if row["_error"]] == [
        payload for payload, row in zip([None if at % 2 == 0 else bad[at // 2] for at in range(len(found))], found,
                                        strict=True) if row["_error"]
    ]  # fmt: skip
    assert all_ok(settings)


def test_a_field_beyond_the_contract_lands_at_once_and_is_kept(settings: Settings) -> None:
    payload = wire(post(views=3, brand_new=[1]))
    send(settings, "posts", [wire(post(views=2)), payload])
    worker.drain(settings)
    assert [(row["views"], row["_error"], row["_payload"]) for row in rows(settings)] == [
        (2, None, None),
        (3, None, payload),
    ]


def test_offsets_that_are_no_records_do_not_stop_a_drain(settings: Settings) -> None:
    """A transaction leaves a marker, at the log's very end, that no consumer ever sees."""
    producer = Producer({"bootstrap.servers": settings.kafka, "transactional.id": settings.topic("t")})
    producer.init_transactions(30)
    for abort in (False, True, False):
        producer.begin_transaction()
        producer.produce(settings.topic("posts"), wire(post()), partition=0)
        producer.flush()
        (producer.abort_transaction if abort else producer.commit_transaction)()
    (landed,) = worker.drain(settings)
    assert (landed["rows"], places(settings)) == (2, Counter({(0, 0): 1, (0, 4): 1}))
    assert worker.drain(settings) == []
    send(settings, "posts", [wire(post())])
    (landed,) = worker.drain(settings)
    assert (landed["rows"], landed["from"]) == (1, 5)
    assert all_ok(settings)


def test_a_topic_made_anew_ends_with_2_and_two_ways_out_while_other_topics_land(
    settings: Settings, assay: Assay
) -> None:
    send(settings, "posts", [wire(post())] * 5)
    worker.drain(settings)
    make_anew(settings, "posts")
    send(settings, "posts", [wire(post())] * 9)
    send(settings, "notices", [b"{}"])
    done = assay(settings, "land", "--drain")
    assert done.returncode == 2
    assert "topic posts was deleted and made anew" in done.stderr
    assert "Two ways out: (1)" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(rows(settings, "notices")) == 1
    assert len(rows(settings, "posts")) == 5
    assert not all(row["ok"] for row in verify(settings, ["posts"]))


def test_what_was_read_before_its_topic_was_made_anew_does_not_land(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    land = Landing.land

    def land_too_late(landing: Landing, partition: Partition, *patience: float) -> bool:
        make_anew(settings, "posts")
        produce(settings, 1)  # waits until the new topic is known
        return land(landing, partition, *patience)

    send(settings, "posts", [wire(post())] * 5)
    monkeypatch.setattr(Landing, "land", land_too_late)
    with pytest.raises(Misconfigured, match="deleted and made anew"):
        worker.drain(settings)
    assert rows(settings) == []


def test_records_with_producers_timestamps_are_refused(settings: Settings) -> None:
    make_anew(settings, "posts", **{"message.timestamp.type": "CreateTime"})
    send(settings, "posts", [wire(post())])
    with pytest.raises(Misconfigured, match=r"message\.timestamp\.type=LogAppendTime"):
        worker.drain(settings)


def test_rows_that_left_the_log_unlanded_are_a_recorded_gap(settings: Settings) -> None:
    send(settings, "posts", [wire(post())] * 4)
    worker.drain(settings)
    send(settings, "posts", [wire(post())] * 6)
    name = settings.topic("posts")
    client = admin(settings)
    (deleted,) = client.delete_records([TopicPartition(name, 0, 7)]).values()
    deleted.result(30)
    (landed,) = worker.drain(settings)
    assert (landed["from"], landed["to"], landed["rows"]) == (7, 10, 3)
    gap = S3Store(settings).get(chain.gap_key(chain.Slot("posts", 0), 4))
    assert gap is not None
    assert json.loads(gap.body) | {"noticed_at": ""} == {
        "topic": "posts",
        "partition": 0,
        "from": 4,
        "to": 7,
        "noticed_at": "",
    }
    assert all_ok(settings)


def test_the_groups_offset_shows_the_lag_and_nothing_depends_on_it(settings: Settings) -> None:
    send(settings, "posts", [wire(post())] * 4)
    worker.drain(settings)
    group = f"{settings.topic_prefix}assay-landing"
    from confluent_kafka import ConsumerGroupTopicPartitions

    place = TopicPartition(settings.topic("posts"), 0)
    client = admin(settings)
    (found,) = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [place])]).values()
    assert found.result().topic_partitions[0].offset == 4
    place.offset = 0
    (reset,) = client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [place])]).values()
    reset.result()
    assert worker.drain(settings) == []
    assert len(rows(settings)) == 4


def test_a_broker_that_is_down_ends_with_1_within_half_a_minute(settings: Settings, assay: Assay) -> None:
    begun = time.monotonic()
    done = assay(settings, "land", "--drain", ASSAY_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert done.returncode == 1
    assert "Kafka at 127.0.0.1:1 failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 45


def test_a_store_that_is_down_ends_with_1_and_lands_later(settings: Settings, assay: Assay) -> None:
    send(settings, "posts", [wire(post())])
    done = assay(settings, "land", "--drain", ASSAY_S3_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 1
    assert "Is the store up?" in done.stderr
    assert "Traceback" not in done.stderr
    assert sum(row["rows"] for row in worker.drain(settings)) == 1


def test_a_missing_topic_is_named_with_the_next_step(settings: Settings) -> None:
    other = settings.model_copy(update={"topic_prefix": "nowhere."})
    with pytest.raises(Misconfigured, match="`assay up` makes them"):
        worker.drain(other)
    with pytest.raises(Misconfigured, match="there is no topic 'nonsense'"):
        worker.drain(settings, ["nonsense"])


def test_one_memory_budget_bounds_all_buffers(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="assay.land")
    tight = settings.model_copy(update={"land_memory_mb": 1, "land_object_rows": 10**6})
    chance = random.Random(1)
    # Nothing packs these to less than half: two megabytes for a budget of one.
    send(settings, "posts", [wire(post(text=chance.randbytes(512).hex())) for _ in range(4_000)])
    assert sum(row["rows"] for row in worker.drain(tight)) == 4_000
    assert "over budget" in caplog.text
    assert all_ok(settings)


def test_a_store_that_fails_while_landing_is_tried_again_then_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(settings, "posts", [wire(post())] * 2)
    worker.drain(settings)
    send(settings, "posts", [wire(post())] * 2)
    real, failed = S3Store.put, []

    def down(self: S3Store, key: str, *rest: Any, **options: Any) -> Any:
        if key.startswith("raw/posts/date=") and len(failed) < 3:
            failed.append(key)
            raise DependencyFailed("the store is away")
        return real(self, key, *rest, **options)

    monkeypatch.setattr(S3Store, "put", down)
    assert sum(row["rows"] for row in worker.drain(settings)) == 2
    assert len(set(failed)) == 1
