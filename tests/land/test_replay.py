"""Dead letters read again: which are replayable, that their events come back once, and that the rest stays where it is.

End to end, a landing with an older contract refuses events first, as before an upgrade; today's contract takes them.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from ingest import events
from ingest.collect.call import Call, recognise
from ingest.collect.interpret import BODY_LIMIT, dead_letter, interpret
from ingest.collect.outcome import Answer, malformed
from ingest.collect.platforms import REGISTRY
from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import DeadLetter
from ingest.land import letters, worker
from ingest.land.decode import judge
from ingest.land.letters import Letter, Wanted
from ingest.land.replay import PAYLOAD_LIMIT, judge_again, replay
from ingest.land.store import S3Store
from ingest.publish import Publisher
from ingest.settings import ROOT, Settings
from ingest.warehouse.build import build
from ingest.warehouse.check import check_landed
from ingest.warehouse.publish import publish
from tests.land.lake import all_ok, rows, send
from tests.land.memory import MemoryStore
from tests.land.payloads import post, wire, worst
from tests.warehouse import landed

AT = datetime(2026, 11, 18, 9, tzinfo=UTC)
NOW = datetime(2026, 11, 19, 9, tzinfo=UTC)
YOUTUBE = REGISTRY["youtube"]
ID = "0f8fad5b-d9cb-5e9f-a165-{:012x}"

OLDER_CONTRACT = """
from typing import Literal
import msgspec
from ingest import events
events.TOPICS["posts"] = msgspec.defstruct(
    "PostObserved", [("format", Literal["video", "short"] | None, None)], bases=(events.PostObserved,), kw_only=True,
    frozen=True, omit_defaults=True, forbid_unknown_fields=True)
from ingest.land import worker
from ingest.settings import load
print(worker.drain(load()))
"""


def recorded() -> tuple[Call, Answer]:
    """A good answer of YouTube, as recorded."""
    har = json.loads((ROOT / "tests" / "recordings" / "youtube" / "videos.har").read_bytes())
    entry = next(one for one in har["log"]["entries"] if one["response"]["status"] == 200)
    content = entry["response"]["content"]
    answer = Answer(200, {"content-type": "application/json"}, content["text"].encode(), entry["request"]["url"])
    return recognise(YOUTUBE.endpoints, "GET", entry["request"]["url"]), answer


def buried(reason: str = "no_count", run_id: str = "collect/1", body: bytes | None = None) -> DeadLetter:
    """That answer as a dead letter of a collector that could not read it."""
    call, answer = recorded()
    answer = answer if body is None else Answer(200, answer.headers, body, answer.url)
    return dead_letter(YOUTUBE, call, answer, malformed(reason), at=AT, run_id=run_id)


def letter(said: DeadLetter, **changes: Any) -> Letter:
    fields = {name: getattr(said, name) for name in said.__struct_fields__} | {"observed_at": AT} | changes
    return Letter("unreadable_answer", said.event_id, "dead_letters", said.platform, said.reason, b"", None, fields)


def nobody(_: str) -> dict[str, str]:
    return {}


def test_an_answer_that_todays_parser_reads_gives_the_events_of_its_own_run() -> None:
    call, answer = recorded()
    _, reading = interpret(YOUTUBE, call, answer, at=AT, run_id="collect/1", key=None)
    again = judge_again(letter(buried()), nobody)
    assert again.outcome == "good"
    assert again.messages == (*reading.posts, *reading.accounts) != ()
    assert all(event.run_id == "collect/1" for event in again.messages)


@pytest.mark.parametrize(
    ("changes", "outcome", "because"),
    [
        ({"body": None, "body_keys": ["items"]}, "incomplete", "withheld"),
        ({"endpoint": "commentThreads"}, "incomplete", "withheld"),
        ({"body": "{}", "body_bytes": BODY_LIMIT + 1}, "incomplete", "cut"),
        ({"body_sha256": "77aa"}, "incomplete", "altered"),
        ({"body_sha256": None}, "incomplete", "altered"),
        ({"endpoint": "no such call"}, "bad", "no_collector"),
        ({"body": "<p>", "body_bytes": 3, "body_sha256": hashlib.sha256(b"<p>").hexdigest()}, "bad", "html"),
    ],
)
def test_what_was_not_kept_whole_is_not_guessed_and_what_is_still_unreadable_stays(
    changes: dict[str, Any], outcome: str, because: str
) -> None:
    again = judge_again(letter(buried(), **changes), nobody)
    assert (again.outcome, again.because, again.messages) == (outcome, because, ())


def test_a_body_that_was_cut_is_known_by_its_length() -> None:
    said = buried(body=b'{"items": [' + b'"x",' * BODY_LIMIT)
    assert judge_again(letter(said), nobody).because == "cut"


def poison(payload: bytes | None) -> Letter:
    return Letter("poison", "posts/0/1", "posts", None, "other", None, payload, {})


def test_poison_is_judged_by_todays_contract() -> None:
    assert judge_again(poison(wire(post())), nobody).outcome == "good"
    assert judge_again(poison(wire(post(views="12"))), nobody).because == "wrong_type"
    assert judge_again(poison(None), nobody).because == "no_value"
    long = judge_again(poison(wire(post(text="x" * PAYLOAD_LIMIT))), nobody)
    assert (long.outcome, long.because) == ("incomplete", "too_large")


def test_every_error_of_the_worst_payloads_belongs_to_one_class() -> None:
    errors = [
        error for payload in [*worst().values(), None, b"{}"] if isinstance(error := judge("posts", payload), str)
    ]
    patterns = [pattern for pattern, _ in letters._reasons()]
    assert len(errors) > 30
    assert {error for error in errors if sum(bool(one.search(error)) for one in patterns) != 1} == set()
    assert {reason for _, reason in letters._reasons()} <= {letters.reason_of(error) for error in errors}
    assert letters.reason_of("something new") == "other"


def test_the_marts_and_replay_read_the_classes_alike() -> None:
    errors = {error for payload in worst().values() if isinstance(error := judge("posts", payload), str)}
    query = f"select min(reason) from read_csv('{letters.REASONS}') where regexp_matches(?, pattern)"
    with duckdb.connect() as connection:
        found = {error: connection.execute(query, [error]).fetchone()[0] for error in errors}
    assert found == {error: letters.reason_of(error) for error in errors}


def test_marks_are_never_lost_when_two_replays_write_at_once() -> None:
    store = MemoryStore()
    letters.record(store, ["posts/0/1"], now=NOW)
    store.faults = ["conflict"]
    listed = store.list
    store.list = lambda prefix, **_: iter([])  # type: ignore[method-assign]  # the other one's mark is not listed yet
    letters.record(store, ["posts/0/2"], now=NOW)
    store.list = listed  # type: ignore[method-assign]
    assert letters.replayed(store) == {"posts/0/1", "posts/0/2"}


def checked(store: MemoryStore, topic: str, keys: list[str], poison: int) -> None:
    body = {"topic": topic, "number": 1, "kind": "check", "checked_at": "2026-03-04T13:00:00Z", "suite": "s",
            "ranges": [], "objects": keys, "verdicts": [], "poison": poison}  # fmt: skip
    store.put(f"checks/{topic}/00000001.json", json.dumps(body).encode())


def test_letters_are_found_by_topic_platform_reason_and_time_of_arrival() -> None:
    store = MemoryStore()
    days = [landed.ARRIVED, landed.ARRIVED + timedelta(days=1), landed.ARRIVED + timedelta(days=2)]
    bad = {"_error": "the message has no value", "_payload": None}
    for number, day in enumerate(days):
        made = [landed.post("youtube", number), landed.poison("youtube"), landed.poison("bluesky") | bad]
        landed.land(store, "posts", made, start=number * 3, arrived=day)
    checked(store, "posts", list(store.list("raw/posts/date=")), poison=6)

    def found(**wanted: Any) -> list[str]:
        return [one.letter_id for one in letters.find(store, Wanted(**wanted))]

    assert found() == ["posts/0/1", "posts/0/2", "posts/0/4", "posts/0/5", "posts/0/7", "posts/0/8"]
    assert found(platform="bluesky", since=days[1]) == ["posts/0/5", "posts/0/8"]
    assert found(reason="no_value", until=days[1]) == ["posts/0/2"]
    assert found(since=days[1] + timedelta(seconds=1), until=days[2]) == []
    assert found(topic="accounts") == []


def test_a_topic_or_platform_that_there_is_none_of_is_refused_with_those_there_are(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, var_dir=tmp_path)  # type: ignore[call-arg]
    with pytest.raises(Misconfigured, match="no topic 'post'; there are accounts, consents, dead_letters"):
        replay(settings, Wanted(topic="post"), now=NOW)
    with pytest.raises(Misconfigured, match="no platform 'myspace'; there are bluesky"):
        replay(settings, Wanted(platform="myspace"), now=NOW)


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def land_check_build(settings: Settings, **choices: Any) -> None:
    worker.drain(settings)
    check_landed(settings, now=NOW)
    build(settings, **choices)


def killed_here(*_: object, **__: object) -> None:
    raise DependencyFailed("killed between the publication and its mark")


VIEW = (
    "select kind, topic, platform, reason, field, letters, replayed, open_letters from marts.dead_letters order by all"
)
STAGED = (
    "select count(*), count(distinct event_id) from staging.stg_posts where format = 'audio' or run_id = 'collect/1'"
)


@pytest.mark.stack
def test_what_an_older_contract_and_an_older_parser_refused_comes_back_once(
    settings: Settings, assay: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [wire(post(event_id=ID.format(number))) for number in range(60)]
    newer = [wire(post(event_id=ID.format(1000 + number), format="audio")) for number in range(3)]
    send(settings, "posts", [*good, *newer, b"not json"])
    with Publisher(settings) as publisher:
        publisher.publish([buried(), buried("html", body=b"<html>")])
    older = subprocess.run(
        [sys.executable, "-c", OLDER_CONTRACT], env=os.environ | settings.as_environment(), cwd=ROOT, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert re.search(r"'poison': 4", older.stdout), older.stdout
    land_check_build(settings)
    answers = len(judge_again(letter(buried()), nobody).messages)
    assert ask(settings, STAGED) == [(0, 0)]
    assert ask(settings, VIEW) == [
        ("poison", "posts", None, "not_allowed", "format", 3, 0, 3),
        ("poison", "posts", None, "not_json", None, 1, 0, 1),
        ("unreadable_answer", "dead_letters", "youtube", "html", None, 1, 0, 1),
        ("unreadable_answer", "dead_letters", "youtube", "no_count", None, 1, 0, 1),
    ]

    planned = replay(settings, Wanted(), now=NOW, dry_run=True)
    assert [(row["reason"], row["letters"], row["replayable"], row["still_bad"]) for row in planned] == [
        ("not_allowed", 3, 3, 0), ("not_json", 1, 0, 1), ("html", 1, 0, 1), ("no_count", 1, 1, 0)]  # fmt: skip
    assert sum(row["published"] for row in planned) == 0
    assert replay(settings, Wanted(reason="not_allowed", platform="youtube"), now=NOW) == []

    with monkeypatch.context() as killed:
        killed.setattr(letters, "record", killed_here)
        with pytest.raises(DependencyFailed):
            replay(settings, Wanted(), now=NOW)
    assert letters.replayed(S3Store(settings)) == set()
    done = assay(settings, "replay", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["published"] for row in json.loads(done.stdout)] == [3, 0, 0, answers]
    again = replay(settings, Wanted(), now=NOW)
    assert [(row["reason"], row["published"], row["still_bad"]) for row in again] == [
        ("not_json", 0, 1),
        ("html", 0, 1),
    ]

    land_check_build(settings)
    copies = [row for row in rows(settings) if row["event_id"] == ID.format(1000)]
    assert [row["_key"] for row in copies] == [b"key", b"key"]  # one of each replay
    expected = [
        ("poison", "posts", None, "not_allowed", "format", 3, 3, 0),
        ("poison", "posts", None, "not_json", None, 1, 0, 1),
        ("unreadable_answer", "dead_letters", "youtube", "html", None, 1, 0, 1),
        ("unreadable_answer", "dead_letters", "youtube", "no_count", None, 1, 1, 0),
    ]
    for choices in ({}, {"full_refresh": True}):
        if choices:
            build(settings, **choices)
        assert ask(settings, VIEW) == expected
        assert ask(settings, STAGED) == [(3 + len(posts()), 3 + len(posts()))]
    assert all_ok(settings)
    publish(settings, now=NOW)
    with psycopg.connect(settings.postgres) as connection:
        assert connection.execute("select sum(letters), sum(replayed) from marts.dead_letters").fetchone() == (6, 4)
        shown = {column.name for column in connection.execute("select * from marts.dead_letters").description or ()}
    assert {"body", "payload", "headers", "url"}.isdisjoint(shown)


def posts() -> list[events.Message]:
    return [event for event in judge_again(letter(buried()), nobody).messages if events.topic(event) == "posts"]
