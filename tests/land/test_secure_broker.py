"""Everything that speaks to Kafka, over SASL and TLS to a real broker; and what it says when it is not let in."""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from ingest import doctor, kafka
from ingest.errors import Misconfigured
from ingest.events import TOPICS
from ingest.publish import create_topics
from ingest.settings import Settings, load
from tests.land.lake import Follower, all_ok, rows
from tests.land.payloads import post, wire
from tests.land.secure import certificate, secure_broker

pytestmark = pytest.mark.stack
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def reached(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Settings that reach the broker as its user, and what else is to know of it."""
    with secure_broker(stack, tmp_path_factory.mktemp("secure")) as settings:
        yield settings


def over(settings: Settings, reached: dict[str, Any], **other: object) -> Settings:
    """The test's own bucket and prefix, on the secure broker; `None` unsets."""
    own = {name: getattr(settings, name) for name in settings.model_fields_set}
    chosen = own | {name: value for name, value in reached.items() if name.startswith("kafka_")} | other
    return load(_env_file=None, **{name: value for name, value in chosen.items() if value is not None})


def send(settings: Settings, payloads: list[bytes]) -> None:
    producer = Producer(kafka.librdkafka(settings))
    for payload in payloads:
        producer.produce(settings.topic("posts"), payload, b"key", partition=0)
    assert producer.flush(30) == 0


def test_publish_land_verify_and_doctor_work_over_sasl_and_tls(
    settings: Settings, reached: dict[str, Any], assay: Run
) -> None:
    secure = over(settings, reached)
    assert create_topics(secure) == [secure.topic(name) for name in TOPICS]
    recording = Path("tests/recordings/mastodon")
    sent = assay(secure, "parse", "mastodon", str(sorted(recording.glob("*.har"))[0]), "--publish")
    assert sent.returncode == 0, sent.stderr
    send(secure, [wire(post())] * 3)
    for command in (("land", "--drain"), ("verify",)):
        done = assay(secure, *command)
        assert done.returncode == 0, done.stderr
    assert len(rows(secure)) >= 3
    topics = [found for found in doctor.examine(secure) if str(found["part"]).startswith("topic")]
    assert [found["ok"] for found in topics] == [True] * len(TOPICS)


@pytest.mark.parametrize("way", ["PLAIN over TLS", "a client certificate"])
def test_the_other_ways_in_work_for_both_clients(settings: Settings, reached: dict[str, Any], way: str) -> None:
    chosen: dict[str, object] = {"kafka_sasl_mechanism": "PLAIN"}
    if way == "a client certificate":
        file, key = reached["client"]
        chosen = {"kafka_bootstrap": f"127.0.0.1:{reached['ports']['SSL']}", "kafka_security_protocol": "SSL"}
        chosen |= {"kafka_username": None, "kafka_password": None, "kafka_sasl_mechanism": None}
        chosen |= {"kafka_certificate_file": file, "kafka_key_file": key}
    secure = over(settings, reached, **chosen)
    assert create_topics(secure) == [secure.topic(name) for name in TOPICS]
    send(secure, [wire(post())])
    follower = Follower(secure.var_dir / "follow.log")
    try:
        follower.start(secure.model_copy(update={"land_object_seconds": 1.0}))
        follower.wait_for("commit")
        assert follower.stop() == 0
    finally:
        follower.kill()
    assert all_ok(secure)


def test_who_is_not_let_in_is_told_why_once_and_ends_with_2(
    settings: Settings, reached: dict[str, Any], assay: Run, tmp_path: Path
) -> None:
    nobody: dict[str, object] = {"kafka_username": None, "kafka_password": None, "kafka_ca_file": None}
    wrong: dict[str, dict[str, object]] = {
        "Check ASSAY_KAFKA_USERNAME, ASSAY_KAFKA_PASSWORD": {"kafka_password": "not it"},
        "Check ASSAY_KAFKA_CA_FILE": {"kafka_ca_file": certificate(tmp_path, "other")[0]},
        "speaks TLS": {"kafka_security_protocol": "PLAINTEXT"} | nobody,
        "it speaks no TLS": {"kafka_bootstrap": f"127.0.0.1:{reached['ports']['PLAINTEXT']}"},
    }
    begun = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        refused = {said: over(settings, reached, **chosen) for said, chosen in wrong.items()}
        commands = [
            (said, pool.submit(assay, secure, "land", way))
            for said, secure in refused.items()
            for way in ("--drain", "--follow")
        ]
        topics = [(said, pool.submit(create_topics, secure)) for said, secure in refused.items()]
        for said, command in commands:
            ended = command.result()
            assert (ended.returncode, ended.stderr.count(said), ended.stdout) == (2, 1, ""), ended.stderr
            assert "not it" not in ended.stderr
            assert "Traceback" not in ended.stderr
        for said, made in topics:
            with pytest.raises(Misconfigured, match=said):
                made.result()
    assert time.monotonic() - begun < 60
