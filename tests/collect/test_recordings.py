"""Every recorded shape of every platform means what it should: outcome, next page, events, and what is null.

The recordings in tests/recordings are our own: invented people and numbers, in the shapes that the platforms answer in.
What an entry must give stands beside it, as `_expect`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.collect.outcome import Outcome
from ingest.collect.parse_har import parse_files
from ingest.collect.platforms import REGISTRY
from ingest.settings import load

RECORDINGS = Path(__file__).parent.parent / "recordings"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "recordings"
FILES = sorted(RECORDINGS.glob("*/*.har"))


def entries(path):
    return json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]


CASES = [
    pytest.param(path, number, entry["_expect"], id=f"{path.parent.name}: {entry['_note']}")
    for path in FILES
    for number, entry in enumerate(entries(path))
]


@pytest.fixture(scope="module")
def lines():
    settings = load(_env_file=None)
    return {path: list(parse_files(settings, path.parent.name, [path])) for path in FILES}


@pytest.mark.parametrize(("path", "number", "expected"), CASES)
def test_a_recorded_answer_means_what_it_should(lines, path, number, expected):
    line = lines[path][number]
    assert {name: line[name] for name in expected if name != "events"} == {
        name: value for name, value in expected.items() if name != "events"
    }
    if "events" in expected:
        assert len(line["events"]) == len(expected["events"])
        pairs = zip(line["events"], expected["events"], strict=True)
        assert [{name: event.get(name) for name in want} for event, want in pairs] == expected["events"]


def test_every_platform_has_recordings_and_every_recording_a_platform():
    assert {path.parent.name for path in FILES} == set(REGISTRY)


@pytest.mark.parametrize("platform", REGISTRY)
def test_the_recordings_show_every_outcome_and_every_endpoint(platform):
    shown = [entry["_expect"] for path in FILES if path.parent.name == platform for entry in entries(path)]
    outcomes = {expected["outcome"] for expected in shown}
    has_budget = REGISTRY[platform].daily_units(load(_env_file=None)) is not None
    possible = {str(outcome) for outcome in Outcome} - (set() if has_budget else {"exhausted"})
    assert outcomes >= possible | {"ignored"}
    by_path = {endpoint.path: endpoint.name for endpoint in reversed(REGISTRY[platform].endpoints)}
    assert {expected.get("endpoint") for expected in shown} >= set(by_path.values())


@pytest.mark.parametrize("platform", REGISTRY)
def test_the_recordings_show_each_list_going_on_and_each_ending(platform, lines):
    read = [line for path, given in lines.items() if path.parent.name == platform for line in given]
    paged = {line["endpoint"] for line in read if line["next"]}
    assert paged
    assert paged <= {line["endpoint"] for line in read if line["outcome"] == "ok" and not line["next"]}


def test_no_follower_event_names_its_member(lines):
    followers = [
        event for given in lines.values() for line in given for event in line["events"] if event["type"] == "follower"
    ]
    assert followers
    text = json.dumps(followers)
    for identity in (
        "UCbobbobbobbobbobbobbob1",
        "bob77",
        "so & good",
        "did:plc:bbbb",
        "bob99",
        "bob7@",
        "Eve",
        "far.example",
        "bobsecret",
        "vesecret",
        "7700000",
    ):
        assert identity not in text


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings of real answers are not beside this checkout")
def test_real_recorded_answers_of_our_platforms_all_pass():
    command = [sys.executable, SHARED / "check", SHARED, "--", Path(sys.executable).parent / "assay"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    faults = [line for line in done.stdout.splitlines() if line.partition("/")[0].partition("\t")[0] in REGISTRY]
    assert faults == []
    assert int(done.stdout.splitlines()[-1].partition(" ")[0]) >= 29
