"""What every DAG must be, and what starts what. Parsing needs no database and does no work."""

import ast
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction

from ingest.collect.platforms import REGISTRY
from ingest.orchestration import START
from ingest.platforms import PLATFORMS
from ingest.settings import ROOT
from ingest.stack import airflow

DAGS = ROOT / "dags"
FILES = sorted(DAGS.glob("*.py"))
EXPECTED = {
    **{f"{kind}_{platform}": kind for kind in ("collect", "sample") for platform in REGISTRY},
    **{name: name for name in ("land", "marts", "upkeep")},
}


@pytest.fixture(scope="module")
def bag() -> Any:
    """The parsed DAGs."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(DAGS))


def test_every_file_parses_and_defines_the_dags_that_its_name_says(bag: Any) -> None:
    assert bag.import_errors == {}
    assert {name: Path(dag.fileloc).stem for name, dag in bag.dags.items()} == EXPECTED


def test_every_platform_of_the_registry_has_its_dags_and_pool() -> None:
    assert set(PLATFORMS) == set(REGISTRY)
    assert {name for name in airflow.pools() if name.startswith("api_")} == {f"api_{name}" for name in REGISTRY}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_dag_is_bounded_owned_tagged_and_says_what_to_do_when_it_fails(bag: Any, name: str) -> None:
    dag = bag.dags[name]
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    waits = EXPECTED[name] in {"sample", "upkeep"}
    assert dag.start_date == (None if waits else START)
    assert EXPECTED[name] in dag.tags
    assert "**When it fails**" in dag.doc_md
    for task in dag.tasks:
        assert task.owner == "assay"
        assert task.retries >= 1
        assert task.execution_timeout
        assert [callback.__name__ for callback in task.on_failure_callback] == ["alert"]


@pytest.mark.parametrize(
    ("name", "schedule"),
    [("collect_youtube", "0 * * * *"), ("sample_bluesky", "30 3 * * 1"), ("upkeep", "40 4 * * *")],
)
def test_collectors_and_upkeep_follow_the_clock(bag: Any, name: str, schedule: str) -> None:
    assert bag.dags[name].timetable.expression == schedule


@pytest.mark.parametrize("name", ["sample_bluesky", "upkeep"])
def test_a_new_stack_does_not_run_what_its_last_week_would_have(bag: Any, name: str) -> None:
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    timetable = coerce_to_core_timetable(bag.dags[name].timetable)
    first = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first.run_after > datetime.now(UTC)


def test_land_waits_for_notices_on_their_topic_and_for_every_tenth_minute(bag: Any) -> None:
    timetable = bag.dags["land"].timetable
    assert timetable.timetable.expression == "*/10 * * * *"
    (notice,) = timetable.asset_condition.objects
    (watcher,) = notice.watchers
    assert notice.name == "landing_notice"
    classpath, arguments = watcher.trigger.serialize()
    assert classpath.endswith("KafkaSharedStreamTrigger")
    assert arguments["topics"] == ["notices"]


def test_the_lake_starts_the_marts_and_only_land_says_that_it_has_grown(bag: Any) -> None:
    assert [asset.name for asset in bag.dags["marts"].timetable.asset_condition.objects] == ["lake"]
    outlets = {
        (dag.dag_id, task.task_id): [asset.name for asset in task.outlets]
        for dag in bag.dags.values()
        for task in dag.tasks
        if task.outlets
    }
    assert outlets == {("land", "drain"): ["lake"]}  # a collector's outlet would start land twice


def test_marts_are_checked_before_and_after_the_build(bag: Any) -> None:
    order = [task.task_id for task in bag.dags["marts"].topological_sort()]
    assert order == ["check", "build", "check_marts", "publish", "known_posts"]


def test_pools_are_those_of_the_stack(bag: Any) -> None:
    pools = {task.pool for dag in bag.dags.values() for task in dag.tasks} - {"default_pool"}
    assert pools == set(airflow.pools())
    opens = {task.task_id for task in bag.dags["marts"].tasks if task.pool == "warehouse"}
    assert opens == {"build", "check_marts", "publish", "known_posts"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_reads_in_a_minute_and_imports_nothing_heavy(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 90
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert module is not None
            allowed = (
                "datetime",
                "typing",
                "airflow.sdk",
                "airflow.providers",
                "ingest.orchestration",
                "ingest.platforms",
                "ingest.settings",
            )
            assert module.startswith(allowed), f"{module} belongs into the task that needs it"


def test_parsing_imports_no_heavy_library() -> None:
    """Each task's process parses its DAG's file again, so that everything here is paid for by every task."""
    code = f"""
import sys
sys.path.insert(0, {str(DAGS)!r})
import collect, sample, land, marts, upkeep
heavy = {{"dbt", "great_expectations", "pandas", "duckdb", "pyarrow", "boto3", "httpx2", "psycopg"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
