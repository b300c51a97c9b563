"""The written contracts are those of the structs, and the examples keep them."""

import json

import jsonschema
import pytest

from ingest import contracts, events
from ingest.contracts.examples import EXAMPLES


@pytest.mark.parametrize("name", contracts.documents())
def test_written_file_is_what_the_structs_say(name: str) -> None:
    written = (contracts.FOLDER / name).read_text(encoding="utf-8")
    assert written == contracts.documents()[name], "run: python -m ingest.contracts"


def test_no_contract_is_left_over() -> None:
    files = {path.name for path in contracts.FOLDER.iterdir() if path.suffix in {".json", ".yaml"}}
    assert files == set(contracts.documents())


@pytest.mark.parametrize("topic", events.TOPICS)
def test_examples_keep_the_schema_and_decode_as_the_struct(topic: str) -> None:
    schema = contracts.schema(topic)
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in EXAMPLES[topic]:
        wire = events.encode(example)
        jsonschema.validate(json.loads(wire), schema)
        assert type(example) is events.TOPICS[topic]
        assert wire.startswith(b'{"event_id":"')
        assert b"null" not in wire
        assert b"\n" not in wire


@pytest.mark.parametrize("topic", events.TOPICS)
def test_schema_refuses_what_the_contract_refuses(topic: str) -> None:
    schema = contracts.schema(topic)
    good = json.loads(events.encode(EXAMPLES[topic][0]))
    for broken in (
        {**good, "event_id": "1"},
        {**good, "observed_at": "2026-09-01T10:00:04.123456Z"},
        {**good, "platform": "myspace"},
        {key: value for key, value in good.items() if key != "run_id"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)


def test_every_topic_is_in_asyncapi_with_its_partitions() -> None:
    channels = contracts.asyncapi()["channels"]
    assert set(channels) == set(events.TOPICS)
    assert channels["posts"]["bindings"]["kafka"]["partitions"] == 8
