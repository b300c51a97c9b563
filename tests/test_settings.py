"""Settings: from the environment, with addresses that follow the ports, and faults that name the variable."""

from pathlib import Path

import pytest

from ingest.errors import Misconfigured
from ingest.settings import load


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
