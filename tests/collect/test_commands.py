"""What a person gets who starts the real command with something wrong: one message, the next step, the exit code."""

import json
import socket
from pathlib import Path

import pytest

from ingest.collect.platforms import REGISTRY
from ingest.settings import load

RECORDING = Path(__file__).parent.parent / "recordings" / "youtube" / "videos.har"
NOW = "2026-11-12T12:00:00"


@pytest.fixture
def alone(tmp_path):
    """Settings of a machine on which nothing runs."""
    return load(_env_file=None, var_dir=tmp_path, kafka_port=1, s3_port=1, sandbox_port=1)


def write(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text("creator_id,creator_name,platform,account\n" + text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("c1,Ann,myspace,ann\n", "list.csv:2: unknown platform 'myspace'"),
        ("c1,Ann,bluesky,\n", "list.csv:2: account empty"),
        ("c1,Ann,bluesky,a.example\nc2,Bob,bluesky,@A.example\n", "list.csv:3: '@A.example' stands on line 2 too"),
        ("c1,Ann,mastodon,ann\n", "list.csv:2: 'ann' cannot be an account of mastodon"),
    ],
)
def test_a_faulty_watch_list_ends_with_2_and_names_the_line(alone, assay, tmp_path, lines, says):
    platform = "mastodon" if "mastodon" in lines else "bluesky"
    done = assay(alone, "collect", platform, ASSAY_WATCHLIST_PATH=write(tmp_path, lines))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_platform_ends_with_2_and_names_those_there_are(alone, assay):
    done = assay(alone, "collect", "myspace")
    assert (done.returncode, done.stdout) == (2, "")
    assert ", ".join(REGISTRY) in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no such file"),
        ('{"log":\n{', ":2: no JSON"),
        ("[]", "no log.entries"),
        ('{"log":{"entries":[{}]}}', "entry 0"),
    ],
)
def test_a_file_that_is_no_recording_ends_with_2_and_names_the_line(alone, assay, tmp_path, text, says):
    path = tmp_path / "x.har"
    if text is not None:
        path.write_text(text)
    done = assay(alone, "parse", "youtube", str(RECORDING), str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "x.har" in done.stderr
    assert says in done.stderr


def test_recordings_are_not_published_without_a_member_key(alone, assay):
    done = assay(alone, "parse", "youtube", str(RECORDING), "--publish")
    assert done.returncode == 2
    assert "member key" in done.stderr


@pytest.mark.stack
def test_recordings_are_published_under_the_entry_s_own_run(settings, assay, on_kafka):
    done = assay(settings, "parse", "youtube", str(RECORDING), "--publish")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    shown = [event for line in lines for event in line["events"] if event["account_id"]]
    posts = on_kafka("posts")
    assert {post.event_id for post in posts} == {event["event_id"] for event in shown}
    assert all(post.run_id.startswith("parse/") and len(post.run_id) == 70 for post in posts)
    again = assay(settings, "parse", "youtube", str(RECORDING))
    assert [event["event_id"] for line in map(json.loads, again.stdout.splitlines()) for event in line["events"]] == [
        event["event_id"] for line in lines for event in line["events"]
    ]


@pytest.mark.stack
def test_a_wrong_key_ends_with_1_and_the_next_step_and_is_not_shown(everybody, watch, assay):
    settings = watch("youtube", *everybody("youtube")[:2])
    path = str(settings.watchlist_path)
    done = assay(
        settings, "collect", "youtube", "--now", NOW, ASSAY_YOUTUBE_API_KEY="AIzaWRONG", ASSAY_WATCHLIST_PATH=path
    )
    assert done.returncode == 1
    assert "API key not valid" in done.stderr
    assert "Check ASSAY_YOUTUBE_API_KEY" in done.stderr
    assert "AIzaWRONG" not in done.stderr + done.stdout


@pytest.mark.stack
def test_a_broker_that_is_down_ends_with_1_and_the_retry_publishes_the_same(everybody, watch, assay, on_kafka):
    settings = watch("bluesky", *everybody("bluesky")[:1])
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        down = f"127.0.0.1:{nobody.getsockname()[1]}"
    run = ("collect", "bluesky", "--now", NOW, "--run-id", "r1")
    path = str(settings.watchlist_path)
    failed = assay(settings, *run, ASSAY_KAFKA_BOOTSTRAP=down, ASSAY_WATCHLIST_PATH=path)
    assert failed.returncode == 1
    assert "run the same again" in failed.stderr
    assert "Traceback" not in failed.stderr
    done = assay(settings, *run, ASSAY_WATCHLIST_PATH=path)
    assert done.returncode == 0
    assert {post.run_id for post in on_kafka("posts")} == {"r1"}
