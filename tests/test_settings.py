"""Settings: from the environment, with addresses that follow the ports, and faults that name the variable."""

import json
from pathlib import Path

import pytest

from ingest.errors import Misconfigured
from ingest.kafka import kafka_python, librdkafka
from ingest.settings import load
from ingest.stack.airflow import kafka_connection


def test_addresses_follow_the_ports_unless_they_are_set() -> None:
    ours = load(_env_file=None, kafka_port=1111, s3_port=2222, postgres_port=3333)
    assert (ours.kafka, ours.s3) == ("127.0.0.1:1111", "http://127.0.0.1:2222")
    assert ours.postgres.endswith("@127.0.0.1:3333/assay")
    theirs = load(_env_file=None, kafka_bootstrap="broker.example:9092", s3_endpoint="https://s3.example")
    assert (theirs.kafka, theirs.s3) == ("broker.example:9092", "https://s3.example")


def test_a_wrong_value_names_variable_value_and_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_KAFKA_PORT", "many")
    monkeypatch.setenv("ASSAY_SOURCE", "dream")
    with pytest.raises(Misconfigured) as fault:
        load(_env_file=None)
    assert "ASSAY_KAFKA_PORT='many'" in str(fault.value)
    assert "ASSAY_SOURCE='dream'" in str(fault.value)
    assert fault.value.exit_code == 2


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(Misconfigured) as fault:
        load(_env_file=None, youtube_api_key=["do-not-show"])
    assert "ASSAY_YOUTUBE_API_KEY" in str(fault.value)
    assert "do-not-show" not in str(fault.value)


def test_secrets_do_not_show_in_the_settings_text() -> None:
    settings = load(_env_file=None, youtube_api_key="do-not-show", member_key="do-not-show-either")
    assert "do-not-show" not in repr(settings)


def test_a_process_started_with_the_settings_environment_has_the_same_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = load(_env_file=None, var_dir=tmp_path, kafka_port=1234, youtube_api_key="k", topic_prefix="t.")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load(_env_file=None) == settings


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL", "kafka_username": "me"}, "_PASSWORD"),
        ({"kafka_username": "me", "kafka_password": "do-not-show"}, "need SASL, not PLAINTEXT"),
        ({"kafka_ca_file": __file__}, "needs SSL"),
        ({"kafka_security_protocol": "SSL", "kafka_key_file": __file__}, "go together"),
    ],
)
def test_kafka_settings_that_would_be_ignored_are_refused(chosen: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as fault:
        load(_env_file=None, **chosen)
    assert "do-not-show" not in str(fault.value)


def test_both_kafka_clients_get_the_same_connection() -> None:
    chosen = load(
        _env_file=None,
        kafka_bootstrap="a:1,b:2",
        kafka_security_protocol="SASL_SSL",
        kafka_username="me",
        kafka_password="pw",
    )
    reads, publishes = librdkafka(chosen), kafka_python(chosen)
    assert reads["bootstrap.servers"] == ",".join(publishes["bootstrap_servers"])
    assert reads["security.protocol"] == publishes["security_protocol"]
    assert reads["sasl.mechanism"] == publishes["sasl_mechanism"]
    assert (reads["sasl.username"], reads["sasl.password"]) == ("me", "pw")
    assert (publishes["sasl_plain_username"], publishes["sasl_plain_password"]) == ("me", "pw")
    trigger = json.loads(kafka_connection(chosen))["extra"]
    assert {name: trigger[name] for name in reads} == reads


def test_a_file_that_is_no_certificate_is_named() -> None:
    chosen = load(_env_file=None, kafka_security_protocol="SSL", kafka_ca_file=__file__)
    for client in (librdkafka, kafka_python):
        with pytest.raises(Misconfigured, match="test_settings"):
            client(chosen)
