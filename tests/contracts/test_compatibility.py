"""No contract changes so that a message of yesterday is refused or lands elsewhere."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import contracts, events
from ingest.contracts import compatibility, revisions
from ingest.errors import Misconfigured
from ingest.land.columns import columns
from ingest.land.decode import decode

TODAY = {topic: contracts.schema(topic) for topic in events.TOPICS}
Change = Callable[[dict[str, Any], list[str]], object]
"""What is done to a schema's properties and its list of required fields."""


def test_todays_contracts_allow_all_that_was_ever_published() -> None:
    refused = revisions.refusals(TODAY)
    if refused:
        pytest.fail("\n".join(refused), pytrace=False)


def test_todays_contracts_are_published() -> None:
    due = revisions.unpublished(TODAY)
    if due:
        pytest.fail(f"to publish: {', '.join(map(str, due))}. Run: python -m ingest.contracts --publish", pytrace=False)


@pytest.mark.parametrize("revision", revisions.revisions(), ids=str)
def test_published_examples_still_land_as_good_rows_in_their_columns(revision: revisions.Revision) -> None:
    examples = revision.examples()
    decoded = decode(revision.topic, [json.dumps(one).encode() for one in examples])
    assert decoded.errors == {}
    instants = {column.name for column in columns(revision.topic) if column.kind == "instant"}
    for example, row in zip(examples, decoded.table.to_pylist(), strict=True):
        said = {name: value for name, value in row.items() if value is not None}
        assert said == {
            name: events.moment(str(value)) if name in instants else value for name, value in example.items()
        }


FORBIDDEN: dict[str, tuple[Change, str]] = {
    "a field removed": (lambda fields, _: fields.pop("views"), "posts.views: was integer, is gone"),
    "a field renamed": (
        lambda fields, _: fields.update(seen=fields.pop("views")),
        "posts.views: was integer, is gone",
    ),
    "a type narrowed": (
        lambda fields, _: fields["duration_seconds"]["anyOf"][0].update(type="integer"),
        "posts.duration_seconds: was number, is integer",
    ),
    "a type widened into another column": (
        lambda fields, _: fields["views"]["anyOf"][0].update(type="number"),
        "posts.views: was integer, is number",
    ),
    "an optional field required": (
        lambda _, required: required.append("title"),
        "posts.title: was optional, is required",
    ),
    "null forbidden": (
        lambda fields, _: fields.update(title={"type": "string", "default": None}),
        "posts.title: was null or a value, is never null",
    ),
    "a new required field": (
        lambda fields, required: (fields.update(seen={"type": "integer"}), required.append("seen")),
        "posts.seen: was not there, is new and required",
    ),
    "a value of an enumeration removed": (
        lambda fields, _: fields["state"]["enum"].remove("hidden"),
        "posts.state: was one of gone, hidden, visible, is one of gone, visible",
    ),
    "a text enumerated": (
        lambda fields, _: fields.update(endpoint={"enum": ["videos"]}),
        "posts.endpoint: was any text, is one of videos",
    ),
    "a lower bound raised": (
        lambda fields, _: fields["score"]["anyOf"][0].update(minimum=-7),
        f"posts.score: was at least {-(2**63)}, is at least -7",
    ),
    "an upper bound lowered": (
        lambda fields, _: fields["upvote_ratio"]["anyOf"][0].update(maximum=0.5),
        "posts.upvote_ratio: was at most 1, is at most 0.5",
    ),
    "an empty text refused": (
        lambda fields, _: fields["title"]["anyOf"][0].update(minLength=1),
        "posts.title: was at least 0, is at least 1",
    ),
    "a pattern changed": (
        lambda fields, _: fields["event_id"].update(pattern="^[0-9A-F-]*$"),
        "posts.event_id: was pattern ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$, is pattern ^[0-9A-F-]*$",
    ),
    "a pattern within a list": (
        lambda fields, _: fields["hashtags"]["anyOf"][0]["items"].update(pattern="^[a-z]*$"),
        "posts.hashtags: was items pattern None, is items pattern ^[a-z]*$",
    ),
    "a keyword that nobody knows": (
        lambda fields, _: fields["hashtags"]["anyOf"][0].update(maxItems=3),
        'posts.hashtags: was {"default": null}, is {"default": null, "maxItems": 3}',
    ),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_one_line_says_what_may_not_change_and_the_way_out(name: str) -> None:
    change, said = FORBIDDEN[name]
    schema = copy.deepcopy(TODAY["posts"])
    change(schema["properties"], schema["required"])
    (line,) = revisions.refusals(TODAY | {"posts": schema})
    assert line == f"{said} (published as posts.v1.0). {compatibility.WAY_OUT}"
    assert "\n" not in line


ALLOWED: dict[str, Change] = {
    "a new optional field": lambda fields, _: fields.update(seen={"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    "a value of an enumeration added": lambda fields, _: fields["platform"]["enum"].append("lemmy"),
    "bounds widened": lambda fields, _: fields["upvote_ratio"]["anyOf"][0].update(minimum=-1, maximum=2),
    "an empty text allowed": lambda fields, _: fields["account_id"].pop("minLength"),
    "other words": lambda fields, _: fields["observed_at"].update(description="when"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_widening_is_allowed_and_is_to_be_published_unless_only_words_change(name: str) -> None:
    schema = copy.deepcopy(TODAY["posts"])
    ALLOWED[name](schema["properties"], schema["required"])
    assert revisions.refusals(TODAY | {"posts": schema}) == []
    last = [one.number for one in revisions.revisions() if one.topic == "posts"][-1]
    due = [] if name == "other words" else [revisions.Revision("posts", events.CONTRACT, last + 1)]
    assert revisions.unpublished(TODAY | {"posts": schema}) == due


def test_unknown_fields_stay_allowed_where_they_were() -> None:
    (fault,) = compatibility.faults(TODAY["posts"] | {"additionalProperties": True}, TODAY["posts"])
    assert fault == compatibility.Fault("any other field", "allowed", "refused")


def test_a_topic_that_was_published_stays() -> None:
    (line,) = revisions.refusals({topic: schema for topic, schema in TODAY.items() if topic != "notices"})
    assert line.startswith("notices: the topic was published as notices.v1.0 and is gone")


def test_a_fault_is_held_against_every_revision_and_said_once(tmp_path: Path) -> None:
    """A field that only the second revision had, and one that all had."""
    assert {str(one) for one in revisions.publish(tmp_path)} == {f"{topic}.v1.0" for topic in events.TOPICS}
    assert revisions.publish(tmp_path) == []
    grown = copy.deepcopy(TODAY["posts"])
    ALLOWED["a new optional field"](grown["properties"], [])
    (tmp_path / "posts.v1.1.schema.json").write_text(json.dumps(grown))
    with pytest.raises(Misconfigured, match=r"^posts\.seen: was integer, is gone \(published as posts\.v1\.1\)"):
        revisions.publish(tmp_path)
    shrunk = copy.deepcopy(TODAY["posts"])
    del shrunk["properties"]["views"]
    refused = revisions.refusals(TODAY | {"posts": shrunk}, tmp_path)
    assert [line.split(" is ")[0] for line in refused] == ["posts.views: was integer,", "posts.seen: was integer,"]


BOUNDS = st.sampled_from([-1, 0, 1, 2])
TEXTS = st.sampled_from(["", "a", "b", "c"])
SOME_TEXTS = st.lists(TEXTS, min_size=1, unique=True)
KINDS: list[st.SearchStrategy[dict[str, Any]]] = [
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"minimum": BOUNDS, "maximum": BOUNDS}),
    st.fixed_dictionaries({"type": st.just("number")}, optional={"minimum": BOUNDS, "maximum": BOUNDS}),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.sampled_from([0, 1]),
            "maxLength": st.sampled_from([0, 1]),
            "pattern": st.sampled_from(["^a", "b$"]),
            "description": TEXTS,
        },
    ),
    st.fixed_dictionaries({"type": st.just("boolean")}),
    st.fixed_dictionaries({"enum": SOME_TEXTS}),
    st.fixed_dictionaries({"enum": st.just([1, 2])}),
    st.fixed_dictionaries({"const": st.sampled_from([1, "a"])}),
    st.fixed_dictionaries({"type": st.just("array"), "items": st.fixed_dictionaries({"enum": SOME_TEXTS})}),
]
VALUES = st.sampled_from([None, True, -2, -1, 0, 0.5, 1, 2, 3, "", "a", "b", "ab", [], ["a"], ["c", ""]])
MESSAGES = st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES), min_size=30, max_size=30)


@st.composite
def steps(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema and another of much the same fields, mostly of the same kinds."""
    schemas: tuple[dict[str, Any], ...] = tuple(
        {"type": "object", "properties": {}, "required": [], "additionalProperties": False} for _ in range(2)
    )
    for name in draw(st.sets(st.sampled_from("xyz"), min_size=1)):
        kind = draw(st.sampled_from(KINDS))
        for schema in schemas:
            if draw(st.integers(0, 9)) == 0:
                continue
            field = draw(kind if draw(st.integers(0, 9)) else st.sampled_from(KINDS).flatmap(lambda other: other))
            nullable = {"anyOf": [field, {"type": "null"}], "default": None}
            schema["properties"][name] = nullable if draw(st.booleans()) else field
            if draw(st.integers(0, 3)) == 0:
                schema["required"].append(name)
    return schemas[0], schemas[1]


@settings(max_examples=300, deadline=None)
@given(steps(), MESSAGES)
def test_no_fault_means_that_whatever_was_valid_is_valid(
    step: tuple[dict[str, Any], dict[str, Any]], messages: list[dict[str, Any]]
) -> None:
    was, now = step
    if compatibility.faults(was, now):
        return
    before, after = jsonschema.Draft202012Validator(was), jsonschema.Draft202012Validator(now)
    for message in messages:
        assert not before.is_valid(message) or after.is_valid(message), message
