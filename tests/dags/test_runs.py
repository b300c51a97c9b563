"""The DAGs do their work: run in process, on a temporary Airflow database, against the real stack."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest import events
from ingest.events import AccountObserved, BatchPublished, PostObserved
from ingest.publish import Publisher
from ingest.settings import ROOT, Settings
from ingest.stack.airflow import kafka_connection

NOW = datetime.now(UTC).replace(microsecond=0)

RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
states = []
for name in sys.argv[2:]:
    run = bag.dags[name].test()
    states.append([name, str(run.state), {task.task_id: str(task.state) for task in run.get_task_instances()}])
print("\\n" + json.dumps(states))
"""


@pytest.fixture
def run_dags(settings: Settings, tmp_path: Path) -> Any:
    """Run DAGs one after another in one process of its own; name, state and tasks' states of each."""
    environment = os.environ | settings.as_environment()
    environment |= {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW_CONN_KAFKA_DEFAULT": kafka_connection(settings),
    }
    airflow = Path(sys.executable).parent / "airflow"
    subprocess.run([str(airflow), "db", "migrate"], env=environment, check=True, capture_output=True)

    def run(*names: str) -> list[list[Any]]:
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(ROOT / "dags"), *names],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
        states: list[list[Any]] = json.loads(done.stdout.splitlines()[-1])
        return states

    return run


def observed(settings: Settings) -> None:
    """Publish what a collector would: an account, a post of it, and the notice."""
    common: dict[str, Any] = {
        "contract": events.CONTRACT,
        "platform": "bluesky",
        "run_id": "manual/test",
        "observed_at": events.instant(NOW),
        "collector": "bluesky/1",
    }
    seen = common | {"account_id": "did:plc:a", "authorisation": "public"}
    post = PostObserved(
        **seen,
        event_id=events.event_id(PostObserved, "bluesky", ("did:plc:a", "at://1"), "feed", "manual/test"),
        endpoint="feed",
        post_id="at://1",
        state="visible",
        published_at=events.instant(NOW - timedelta(days=1)),
        likes=7,
    )
    account = AccountObserved(
        **seen,
        event_id=events.event_id(AccountObserved, "bluesky", ("did:plc:a",), "profile", "manual/test"),
        endpoint="profile",
        state="visible",
        handle="somebody.example",
        followers=100,
    )
    notice = BatchPublished(
        **common,
        event_id=events.event_id(BatchPublished, "bluesky", (), "notice", "manual/test"),
        finished_at=events.instant(NOW),
        posts=1,
        accounts=1,
    )
    with Publisher(settings) as publisher:
        publisher.publish([account, post, notice])


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_what_was_announced_is_landed_checked_built_and_published(settings: Settings, run_dags: Any) -> None:
    observed(settings)
    assert run_dags("land", "land", "marts", "land") == [
        ["land", "success", {"drain": "success"}],
        ["land", "success", {"drain": "success"}],  # nothing new, but nothing has checked it yet either
        ["marts", "success", dict.fromkeys(("check", "build", "check_marts", "publish", "known_posts"), "success")],
        ["land", "success", {"drain": "skipped"}],
    ]
    with psycopg.connect(settings.bi_dsn) as reader:
        posts = reader.execute("select platform, post_id, likes from marts.fct_posts").fetchall()
    assert posts == [("bluesky", "at://1", 7)]
