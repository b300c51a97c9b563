"""Airflow by itself: the demo triggers the collectors and watches what that starts."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx2

from ingest.collect.platforms import REGISTRY
from ingest.errors import DependencyFailed
from ingest.settings import Settings
from ingest.stack.airflow import passwords, url

COLLECTORS = tuple(f"collect_{platform}" for platform in REGISTRY)
PATIENCE_SECONDS = 240


def collect_and_wait(settings: Settings, *, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Trigger the three collectors; the runs of `land` and `marts` that follow by themselves, newest first.

    Raises DependencyFailed when a collector fails or no asset-triggered `marts` run succeeds in time.
    """
    with _client(settings) as api:
        known = {run["dag_run_id"] for dag in ("land", "marts") for run in _runs(api, dag)}
        started = {}
        for dag in COLLECTORS:
            answer = api.post(f"/api/v2/dags/{dag}/dagRuns", json={"logical_date": None})
            answer.raise_for_status()
            started[dag] = answer.json()["dag_run_id"]
        progress(f"triggered {', '.join(COLLECTORS)}; now Airflow goes on alone")
        for dag, run_id in started.items():
            state = _wait(api, dag, run_id)
            progress(f"{dag}: {state}")
            if state != "success":
                raise DependencyFailed(f"{dag} ended {state}; its log: {url(settings)}/dags/{dag}/runs/{run_id}")
        collected_at = time.monotonic()
        followers: list[dict[str, Any]] = []
        while time.monotonic() - collected_at < PATIENCE_SECONDS:
            followers = [run for dag in ("marts", "land") for run in _runs(api, dag) if run["dag_run_id"] not in known]
            marts = [run for run in followers if run["dag_id"] == "marts"]
            busy = [run for run in followers if run["state"] in {"queued", "running"}]
            if not busy and any(run["state"] == "success" and run["run_type"] == "asset_triggered" for run in marts):
                for run in followers:
                    progress(f"{run['dag_id']}: {run['run_type']}, {run['state']}")
                return followers
            time.sleep(1)
        raise DependencyFailed(
            f"no asset-triggered run of `marts` succeeded within {PATIENCE_SECONDS} s of the collectors' end: "
            f"{[(run['dag_id'], run['run_type'], run['state']) for run in followers]}. Look at {url(settings)}"
        )


@contextmanager
def _client(settings: Settings) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url(settings), timeout=30, trust_env=False) as api:
        answer = api.post("/auth/token", json={"username": "admin", "password": passwords(settings)["admin"]})
        answer.raise_for_status()
        api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield api


def _runs(api: httpx2.Client, dag: str) -> list[dict[str, Any]]:
    answer = api.get(f"/api/v2/dags/{dag}/dagRuns", params={"order_by": "-run_after", "limit": 50})
    answer.raise_for_status()
    runs: list[dict[str, Any]] = answer.json()["dag_runs"]
    return runs


def _wait(api: httpx2.Client, dag: str, run_id: str) -> str:
    with api.stream(
        "GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run_id, safe='')}/wait?interval=1", timeout=180
    ) as lines:
        last = "{}"
        for line in lines.iter_lines():
            last = line or last
    return str(json.loads(last).get("state"))
