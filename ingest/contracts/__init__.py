"""The contracts of the topics, written out for other consumers: JSON Schemas, examples and AsyncAPI.

`python -m ingest.contracts` writes the files beside this one from `ingest/events.py` and `ingest/publish.py`; a test
fails when they differ from what would be written. What was published of them before stays in `published/`, and no
change may refuse it (`compatibility`, `revisions`).
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ingest import events
from ingest.contracts.examples import EXAMPLES
from ingest.publish import PARTITIONS, topic_configuration

FOLDER = Path(__file__).parent


def schema(topic: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of the topic's messages, without references."""
    struct = events.TOPICS[topic]
    (_, definition), *_ = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")[1].items()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": struct.__name__, **definition}


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3 document of all topics: channels with partitions and retention, messages, schemas by file."""
    channels, operations, messages = {}, {}, {}
    for topic, struct in events.TOPICS.items():
        configuration = topic_configuration(topic)
        channels[topic] = {
            "address": topic,
            "description": (struct.__doc__ or "").strip(),
            "messages": {struct.__name__: {"$ref": f"#/components/messages/{struct.__name__}"}},
            "bindings": {
                "kafka": {
                    "partitions": PARTITIONS[topic],
                    "topicConfiguration": {
                        "cleanup.policy": [configuration["cleanup.policy"]],
                        "retention.ms": int(configuration["retention.ms"]),
                        "max.message.bytes": int(configuration["max.message.bytes"]),
                    },
                }
            },
        }
        operations[f"publish_{topic}"] = {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}}
        messages[struct.__name__] = {
            "contentType": "application/json",
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-2020-12",
                "schema": {"$ref": f"./{topic}.schema.json"},
            },
            "bindings": {"kafka": {"key": {"type": "string", "description": _key_of(topic)}}},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "assay",
            "version": str(events.CONTRACT),
            "description": (
                "Raw observations of posts, accounts and audience members. At least once, with deterministic "
                "event ids: of two messages with one event_id the lower (partition, offset) counts. "
                "Null fields are left out."
            ),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents() -> dict[str, str]:
    """Every generated file by its name."""
    files = {}
    for topic in events.TOPICS:
        files[f"{topic}.schema.json"] = _json(schema(topic))
        examples = [json.loads(events.encode(example)) for example in EXAMPLES[topic]]
        files[f"{topic}.examples.json"] = _json(examples)
    files["asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    return files


def _key_of(topic: str) -> str:
    return {"dead_letters": "platform:endpoint", "notices": "platform"}.get(topic, "platform:account_id")


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
