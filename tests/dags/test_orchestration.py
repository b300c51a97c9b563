"""The rules that all DAGs share: a run's id, which failures are tried again, and what an alert says."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction

from ingest.collect.outcome import Refused, Throttled, Unavailable
from ingest.errors import DependencyFailed, Misconfigured
from ingest.orchestration import RetryByOutcome, alert, raise_findings, run_id_of

TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_scheduled_run_has_the_id_of_its_logical_date_in_every_try() -> None:
    started = TEN + timedelta(minutes=7)
    assert run_id_of("collect_youtube", TEN, TEN, started, HOUR) == "collect_youtube/2026-03-04T10:00:00Z"


def test_a_run_cleared_more_than_an_interval_late_has_an_id_of_its_own() -> None:
    started = TEN + timedelta(hours=3, seconds=0.5)
    expected = "collect_youtube/2026-03-04T10:00:00Z/rerun/2026-03-04T13:00:00.500000Z"
    assert run_id_of("collect_youtube", TEN, TEN, started, HOUR) == expected


def test_a_run_by_hand_has_no_logical_date() -> None:
    after = TEN + timedelta(microseconds=1500)
    assert run_id_of("collect_youtube", None, after, after + HOUR, HOUR) == "manual/2026-03-04T10:00:00.001500Z"


@pytest.mark.parametrize("error", [Refused("no key"), Misconfigured("no such platform")])
def test_what_a_retry_cannot_help_fails_at_once(error: Exception) -> None:
    assert RetryByOutcome().evaluate(error, 1, 3).action is RetryAction.FAIL


@pytest.mark.parametrize("kind", [Throttled, Unavailable])
def test_a_failure_that_names_its_end_is_tried_again_then(kind: type[Throttled | Unavailable]) -> None:
    decision = RetryByOutcome().evaluate(kind("later", datetime.now(UTC) + timedelta(minutes=40)), 1, 3)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay is not None
    assert timedelta(minutes=39) < decision.retry_delay < timedelta(minutes=41)
    past = RetryByOutcome().evaluate(kind("now", datetime.now(UTC) - timedelta(minutes=40)), 1, 3)
    assert past.retry_delay == timedelta(seconds=1)


def test_without_a_moment_throttled_waits_longer_than_unavailable() -> None:
    delays = [RetryByOutcome().evaluate(kind("x"), 1, 3).retry_delay for kind in (Unavailable, Throttled)]
    assert delays == [timedelta(minutes=2), timedelta(minutes=5)]


def test_any_other_failure_is_left_to_the_retries_of_the_task() -> None:
    assert RetryByOutcome().evaluate(DependencyFailed("broker down"), 1, 3).action is RetryAction.DEFAULT


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What the address of ASSAY_ALERT_WEBHOOK was sent."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("ASSAY_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/secret-path")
        yield received
        server.shutdown()


def context(error: Exception) -> Any:
    task = SimpleNamespace(dag_id="marts", task_id="build", try_number=3)
    return {"task_instance": task, "dag_run": SimpleNamespace(run_id="asset__1"), "exception": error}


def test_an_alert_says_where_and_what(webhook: list[dict[str, Any]]) -> None:
    alert(context(DependencyFailed("held by process 7")))
    assert webhook == [
        {
            "text": "assay: marts.build failed",
            "dag": "marts",
            "task": "build",
            "run": "asset__1",
            "try": 3,
            "error": "DependencyFailed",
            "message": "held by process 7",
        }
    ]


def test_an_alert_tells_nothing_of_a_failure_that_was_not_written_for_people(webhook: list[dict[str, Any]]) -> None:
    alert(context(ValueError("password=hunter2")))
    assert "hunter2" not in json.dumps(webhook)
    assert webhook[0]["error"] == "ValueError"


def test_a_webhook_that_is_down_does_not_hide_the_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ASSAY_ALERT_WEBHOOK", "http://127.0.0.1:1/secret-path")
    alert(context(ValueError("x")))
    assert "secret-path" not in caplog.text


def test_findings_name_what_is_wrong() -> None:
    rows = [{"part": "kafka", "ok": True}, {"part": "disk", "finding": "full", "ok": False}]
    with pytest.raises(DependencyFailed, match="part: disk, finding: full"):
        raise_findings(rows)
    assert raise_findings(rows[:1]) == {"looked_at": 1}
