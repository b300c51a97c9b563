"""What the DAGs share: the run's id, retries by outcome, the alert, and the assets that start one DAG after another.

Imported when Airflow parses a DAG file, so that nothing heavy stands here and nothing happens on import.
"""

import json
import logging
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    Context,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryDecision,
    RetryRule,
)

from ingest.errors import AssayError, DependencyFailed
from ingest.settings import load

START = datetime(2026, 1, 1, tzinfo=UTC)

LAKE = Asset("lake", uri="assay://lake", extra={"what": "something landed that no check has covered"})

log = logging.getLogger(__name__)


def later(cron: str) -> CronTriggerTimetable:
    """A schedule whose first run waits for its moment, for DAGs without a start date.

    With one, Airflow runs the latest moment past as soon as it sees the DAG: right for collectors, but a new stack has
    no use for its upkeep or for a second sample of the week.
    """
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0))


class RetryByOutcome(ExceptionRetryPolicy):
    """What cannot be mended by a retry fails at once; a failure that says from when on it can be, waits until then."""

    def __init__(self) -> None:
        super().__init__(
            [
                RetryRule(
                    exception=["ingest.collect.outcome.Refused", "ingest.errors.Misconfigured"],
                    action=RetryAction.FAIL,
                    reason="a retry of the same cannot help; the message has the next step",
                ),
                RetryRule(
                    exception="ingest.collect.outcome.Throttled",
                    action=RetryAction.RETRY,
                    retry_delay=timedelta(minutes=5),
                    reason="asked too fast; the wait is the platform's",
                ),
                RetryRule(
                    exception="ingest.collect.outcome.Unavailable",
                    action=RetryAction.RETRY,
                    retry_delay=timedelta(minutes=2),
                    reason="a transient fault of the platform",
                ),
            ]
        )

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        decision = super().evaluate(exception, try_number, max_tries, context)
        retry_at = getattr(exception, "retry_at", None)
        if decision.action is not RetryAction.RETRY or retry_at is None:
            return decision
        wait = max(retry_at - datetime.now(UTC), timedelta(0)) + timedelta(seconds=1)
        return RetryDecision.retry(delay=wait, reason=decision.reason)


def run_id_of(
    dag_id: str, logical_date: datetime | None, run_after: datetime, started: datetime, interval: timedelta
) -> str:
    """The id that the events of a run carry; all tries of the run have the same, so that a retry doubles nothing.

    Platforms have no past: a run that starts more than one `interval` late (a cleared one) sees other values than the
    run that it repeats, so it has an id of its own. Without a logical date it was started by hand.
    """
    base = f"manual/{_text(run_after)}" if logical_date is None else f"{dag_id}/{_text(logical_date)}"
    return f"{base}/rerun/{_text(started)}" if started - run_after > interval else base


def run_id(context: Context, interval: timedelta) -> str:
    """`run_id_of` the run that the task belongs to."""
    run = context["dag_run"]
    return run_id_of(run.dag_id, run.logical_date, run.run_after, run.start_date or run.run_after, interval)


def alert(context: Context) -> None:
    """Post a failed task to the webhook of the settings, if there is one: where and what, never settings or data.

    A webhook that does not answer is logged; the task has failed already, and its log says why.
    """
    webhook = load().alert_webhook.get_secret_value()
    if not webhook:
        return
    task, error = context["task_instance"], context.get("exception")
    message = {
        "text": f"assay: {task.dag_id}.{task.task_id} failed",
        "dag": task.dag_id,
        "task": task.task_id,
        "run": context["dag_run"].run_id,
        "try": task.try_number,
        "error": type(error).__name__,
        # Our own failures are written for people and hold no secret; of any other only the kind is told.
        "message": str(error) if isinstance(error, AssayError) else "see the task's log",
    }
    body = json.dumps(message).encode()
    request = urllib.request.Request(webhook, body, {"Content-Type": "application/json"})  # noqa: S310 a setting
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    except (urllib.error.URLError, OSError) as failure:
        log.warning("the alert did not reach the webhook: %s", failure)


def raise_findings(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Counts of the rows of a verification. Raises DependencyFailed with every row that is not `ok`."""
    wrong = [
        ", ".join(f"{name}: {value}" for name, value in row.items() if name != "ok") for row in rows if not row["ok"]
    ]
    if wrong:
        raise DependencyFailed(f"{len(wrong)} of {len(rows)} are not as they should be:\n  " + "\n  ".join(wrong))
    return {"looked_at": len(rows)}


def defaults(**overrides: Any) -> dict[str, Any]:
    """The arguments that all tasks share."""
    return {
        "owner": "assay",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": RetryByOutcome(),
        "on_failure_callback": alert,
        "execution_timeout": timedelta(minutes=30),
    } | overrides


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}".replace(".000000Z", "Z")
