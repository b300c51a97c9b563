"""The warehouse over a real store and a real dbt: what is loaded when, and what the facts and marts then say."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from ingest import events
from ingest.errors import DependencyFailed, Misconfigured
from ingest.land.store import S3Store
from ingest.settings import Settings, load
from ingest.warehouse import build as building
from ingest.warehouse.build import build, run_dbt
from tests.warehouse.lake import Lake
from tests.warehouse.landed import schema
from tests.warehouse.world import ARRIVED, Story, account, post

SCHEMAS = ("staging", "intermediate", "marts")
OF_THE_LOAD = {"load_number"}
WATCHLIST = "creator_id,creator_name,platform,account,market,tags\nc1,One,youtube,@youtube-0.1,DE,a;b\n"


class World:
    """A warehouse after several builds over a lake that grew in between, and copies of it on the way."""

    def __init__(self, settings: Settings, project: Path) -> None:
        self.settings, self.project, self.lake = settings, project, Lake(settings)
        self.said: list[str] = []
        self.empty: dict[str, int] = {}
        self.copied_before_release: list[tuple[Any, ...]] = []

    def build(self, **choices: Any) -> list[dict[str, Any]]:
        return build(self.settings, progress=self.said.append, **choices)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def copy(self, name: str) -> Path:
        return shutil.copy(self.settings.warehouse, self.settings.var_dir / f"{name}.duckdb")


@pytest.fixture(scope="module")
def world(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Built empty, then three times as a lake of hard cases grows; with a project of its own, to change its seeds.

    Every build costs seconds, so the stories of several tests go into the same ones.
    """
    directory = tmp_path_factory.mktemp("warehouse")
    own = {field: getattr(stack, field) for field in stack.model_fields_set}
    settings = load(_env_file=None, **own | {"var_dir": directory, "lake_bucket": f"w{uuid.uuid4().hex[:10]}"})
    S3Store(settings).create_bucket()
    project = shutil.copytree(building.PROJECT, directory / "project", ignore=shutil.ignore_patterns("target", "logs"))
    (project / "seeds" / "watchlist.csv").write_text(WATCHLIST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "PROJECT", project)
        grown = World(settings, project)
        grown.empty = {row["name"]: row["rows"] for row in grown.build()}
        story = Story(grown.lake, seed=5)
        story.go_on(0.4)
        grown.build()
        held = hold_back_a_first_copy(grown.lake)
        land_2019(grown.lake)
        story.go_on(0.6)
        grown.build()
        grown.copied_before_release = grown.rows(COPIED)
        grown.lake.release("posts", held, "bluesky", checked_at=ARRIVED)
        story.go_on(1)
        grown.build()
        yield grown


COPIED = (
    "select account_id, metrics.likes, cast(reach.as_of_date as varchar) from marts.fct_post_metrics as metrics "
    "join marts.mart_reach as reach using (account_id) where account_id like 'copied%' and window_days = 7 order by all"
)


def hold_back_a_first_copy(lake: Lake) -> int:
    """Events in quarantine whose copies of a retried task are let in: of one the copy is of the day after, of the other
    (its task had the wrong time) of the day before."""
    evening = datetime(2026, 2, 1, 23, 58, tzinfo=UTC)
    morning = evening + timedelta(minutes=5)
    published = {"published_at": events.instant(evening - timedelta(hours=1))}

    def copies(likes: int, **seen: datetime) -> list[events.Message]:
        return [post("bluesky", f"copied-{day}", day, "r", at, **published, likes=likes) for day, at in seen.items()]

    lake.land(copies(1, after=evening, before=morning), arrived=ARRIVED)
    held = lake.check("posts", quarantine=("bluesky",), checked_at=ARRIVED)
    lake.land(copies(2, after=morning, before=evening), arrived=ARRIVED)
    lake.check("posts", checked_at=ARRIVED)
    return held


def land_2019(lake: Lake) -> None:
    """What recordings of 2019 would bring: one account with a post, and a post of another account alone."""
    at = datetime(2019, 5, 4, 3, tzinfo=UTC)
    lake.land(
        [
            account("youtube", "old", "parse/1", at, followers=123_000, followers_resolution=1000),
            post("youtube", "old", "v", "parse/1", at, published_at="2019-05-01T00:00:00Z", views=0, comments=0),
            post("youtube", "posts-only", "w", "parse/1", at, published_at="2019-05-01T00:00:00Z", likes=3),
        ],
        arrived=ARRIVED,
    )
    for topic in ("accounts", "posts"):
        lake.check(topic, checked_at=ARRIVED)


@pytest.mark.stack
def test_without_any_manifest_every_table_is_built_empty_and_the_next_step_is_said(world: World) -> None:
    assert world.said[0] == "no range has been checked yet: empty tables. Next: `assay land`, `assay check`"
    assert world.empty["fct_post_metrics"] == world.empty["mart_engagement"] == world.empty["mart_reach"] == 0


@pytest.mark.stack
def test_incremental_builds_over_any_order_of_checks_and_releases_equal_a_full_refresh(world: World) -> None:
    assert world.rows("select count(*) from staging.stg_posts")[0][0] > 100
    assert world.rows("select max(load_number) from marts.mart_engagement") == [(3,)]
    grown = world.copy("grown")
    world.build(full_refresh=True)
    assert different_tables(grown, world.settings.warehouse) == []


@pytest.mark.stack
def test_a_build_with_nothing_new_changes_nothing_and_a_changed_watch_list_reaches_old_rows(world: World) -> None:
    before = world.copy("before")
    lines = WATCHLIST.replace("c1,One", "c7,Seven") + "c2,Two,bluesky,bluesky-1,,\n"
    (world.project / "seeds" / "watchlist.csv").write_text(lines)
    world.build()
    about_accounts = {"handle", "is_watched", "creator_id", "creator_name"}
    differing = different_tables(before, world.settings.warehouse, without=about_accounts)
    assert set(differing) == {"int_accounts_watched", "dim_accounts", "dim_creators"}
    for table in ("mart_engagement", "mart_reach", "fct_account_growth_daily"):
        watched = world.rows(
            f"select distinct account_id, creator_id, creator_name from marts.{table} where is_watched"
        )
        assert set(watched) == {("youtube-0", "c7", "Seven"), ("bluesky-1", "c2", "Two")}


@pytest.mark.stack
def test_of_several_copies_of_an_event_the_first_on_the_topic_counts_though_it_is_released_last(world: World) -> None:
    assert world.copied_before_release == [("copied-after", 2, "2026-02-02"), ("copied-before", 2, "2026-02-01")]
    assert world.rows(COPIED) == [("copied-after", 1, "2026-02-01"), ("copied-before", 1, "2026-02-02")]


@pytest.mark.stack
def test_recordings_of_2019_give_rows_of_2019_and_what_they_did_not_say_stays_null(world: World) -> None:
    metrics = "select views, likes, comments, shares, cast(observed_date as varchar) from marts.fct_post_metrics"
    assert world.rows(f"{metrics} where post_id = 'v'") == [(0, None, 0, None, "2019-05-04")]
    rates = (
        "select cast(as_of_date as varchar), formula, rate, reason, followers from marts.mart_engagement "
        "where account_id = 'old' and window_days = 7 and formula like '%mean' order by formula"
    )
    assert world.rows(rates) == [
        ("2019-05-04", "engagement_rate_by_followers_mean", 0.0, None, 123_000),
        ("2019-05-04", "engagement_rate_by_views_mean", None, "no_views", 123_000),
    ]
    assert world.rows("select handle, posts_observed from marts.dim_accounts where account_id = 'posts-only'") == [
        (None, 1)
    ]
    assert world.rows("select count(*) from marts.mart_pipeline_health where as_of_date < date '2020-01-01'") == [(1,)]


@pytest.mark.stack
def test_poison_is_kept_with_its_bytes_and_counted_in_the_hour_of_its_arrival(world: World) -> None:
    poison = "select distinct platform, payload from staging.stg_dead_letters where topic = 'posts'"
    assert world.rows(poison) == [("youtube", b"\xff{")]
    health = "select platform, poison_rows from marts.mart_pipeline_health where poison_rows > 0 order by platform"
    assert world.rows(health) == [("unknown", 3), ("youtube", 3)]
    letters = "select kind, count(*) from staging.stg_dead_letters where reason like 'not JSON%' group by kind"
    assert world.rows(letters) in (
        [],
        [("unreadable_answer", 3)],
        [("unreadable_answer", 6)],
        [("unreadable_answer", 9)],
    )


@pytest.mark.stack
def test_a_build_leaves_the_documentation_as_one_page(world: World) -> None:
    page = (world.settings.docs_dir / "dbt" / "index.html").read_text()
    assert "one row per account, day of observation, window and formula" in page.lower()


@pytest.mark.stack
def test_the_projects_own_unit_tests_pass(world: World) -> None:
    outcome = run_dbt(world.settings, ["test", "--select", "test_type:unit"])
    assert outcome.exception is None
    failed = {result.node.name: result.message for result in outcome.result if str(result.status) != "pass"}
    assert failed == {}
    assert len(list(outcome.result)) >= 10


@pytest.mark.stack
def test_every_model_and_column_is_described_and_every_mart_says_its_key(world: World) -> None:
    described = {path.stem: path for path in (world.project / "models").rglob("*.sql")}
    found = {}
    for path in (world.project / "models").rglob("*.yml"):
        found |= {model["name"]: model for model in yaml.safe_load(path.read_text()).get("models", [])}
    assert set(found) == set(described)
    for name, model in found.items():
        folder = described[name].parent.name
        table = world.rows(f"select column_name from (describe {folder}.{name})")
        assert {column["name"] for column in model["columns"]} == {column for (column,) in table}, name
        assert all(column["description"].strip() for column in model["columns"]), name
        assert model["description"].startswith("One row per "), name
        if folder == "marts":
            assert set(model_key(model, described[name])) <= {column for (column,) in table}


def model_key(model: dict[str, Any], sql: Path) -> list[str]:
    """The primary key that a mart states, in its description or in its file."""
    stated = model.get("config", {}).get("meta", {}).get("primary_key")
    assert stated or "primary_key" in sql.read_text(), model["name"]
    return stated or []


@pytest.mark.stack
def test_a_build_that_meets_an_object_that_is_gone_fails_with_the_model_and_the_log(world: World) -> None:
    world.lake.land([post("youtube", "old", "v", "r9", ARRIVED)], arrived=ARRIVED)
    number = world.lake.check("posts", checked_at=ARRIVED)
    (key,) = world.lake.objects("posts", number)
    world.lake.store.delete(key)
    with pytest.raises(DependencyFailed, match=r"(?s)model\.assay\.stg_posts: .*\nThe whole story: .*dbt\.log"):
        world.build()
    assert world.rows("select count(*) from staging.stg_posts")[0][0] > 100


@pytest.mark.stack
def test_a_lake_that_is_not_the_one_the_warehouse_was_built_from_is_refused(world: World) -> None:
    other = load(_env_file=None, **settings_of(world.settings) | {"lake_bucket": f"w{uuid.uuid4().hex[:10]}"})
    S3Store(other).create_bucket()
    with pytest.raises(Misconfigured, match=r"built from another lake.*assay build --full-refresh"):
        build(other)


@pytest.mark.stack
@pytest.mark.parametrize("holding", ["lock", "database"])
def test_a_second_build_waits_then_ends_with_1_and_the_holders_pid(
    settings: Settings, assay: Callable[..., subprocess.CompletedProcess[str]], holding: str
) -> None:
    holder = {
        "lock": "from ingest.settings import load; from ingest.warehouse.lock import hold\nwith hold(load()): ",
        "database": f"import duckdb\nwith duckdb.connect({str(settings.warehouse)!r}): ",
    }[holding]
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", f"{holder}print('held', flush=True); input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(settings)
    ) as process:
        assert process.stdout.readline() == "held\n"
        ended = assay(settings, "build", ASSAY_WAREHOUSE_WAIT_SECONDS="0.5")
        process.communicate("\n")
    assert ended.returncode == 1, ended.stderr
    assert f"is held by process {process.pid}, after waiting 0.5 s" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_described_columns_of_the_lake_are_those_of_the_contracts() -> None:
    described = yaml.safe_load((building.PROJECT / "models" / "staging" / "_sources.yml").read_text())
    tables = {table["name"]: table.get("columns", []) for table in described["sources"][0]["tables"]}
    names = {
        "string": "varchar",
        "int32": "integer",
        "int64": "bigint",
        "double": "double",
        "bool": "boolean",
        "binary": "blob",
        "timestamp[ms, tz=UTC]": "timestamptz",
    }
    for topic in events.TOPICS:
        expected = [
            (field.name, "varchar[]" if str(field.type).startswith("list") else names[str(field.type)])
            for field in schema(topic)
        ]
        assert [(column["name"], column["data_type"]) for column in tables[topic]] == expected


def different_tables(one: Path, other: Path, *, without: set[str] = frozenset()) -> list[str]:
    """Names of the tables whose rows differ, load numbers (and the columns `without`) left out."""
    differing = []
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'one' order by all"
        ).fetchall()
        for folder, table in tables:
            if folder not in SCHEMAS:
                continue
            described = connection.execute(f"describe one.{folder}.{table}").fetchall()
            columns = ", ".join(f'"{name}"' for name, *_ in described if name not in OF_THE_LOAD | without)
            rows = [f"select {columns} from {database}.{folder}.{table}" for database in ("one", "other")]
            query = f"({rows[0]} except all {rows[1]}) union all ({rows[1]} except all {rows[0]})"
            if connection.execute(query).fetchone():
                differing.append(table)
    return differing


def settings_of(settings: Settings) -> dict[str, Any]:
    """What was set by hand."""
    return {field: getattr(settings, field) for field in settings.model_fields_set}


def environment(settings: Settings) -> dict[str, str]:
    """Variables for a process that works with the same settings."""
    return dict(os.environ) | settings.as_environment()
