"""Marts reach Postgres whole or not at all, with keys, comments and a role that can only read."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import duckdb
import psycopg
import pytest

from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import Settings, load
from ingest.warehouse.publish import postgres_type, publish

NOW = datetime(2026, 3, 4, 13, tzinfo=UTC)
LATER = datetime(2026, 3, 4, 14, tzinfo=UTC)

Build = Callable[..., None]


@pytest.fixture
def build(settings: Settings) -> Build:
    """Stand in for a build: tables in DuckDB's schema `marts` and dbt's manifest about them."""
    settings.warehouse.parent.mkdir(parents=True)
    target = settings.var_dir / "warehouse" / "target"
    target.mkdir()
    with psycopg.connect(settings.postgres) as connection:
        connection.execute("drop schema if exists marts cascade")
    nodes: dict[str, dict[str, Any]] = {}

    def build(name: str, query: str, **meta: Any) -> None:
        with duckdb.connect(str(settings.warehouse)) as warehouse:
            warehouse.execute("set timezone = 'UTC'; create schema if not exists marts")
            warehouse.execute(f"create or replace table marts.{name} as {query}")
        nodes[name] = {
            "resource_type": "model",
            "schema": "marts",
            "name": name,
            "description": f"One row per thing of {name}; it's quoted.",
            "columns": {"account_id": {"description": "The account's id."}, "not_there": {"description": "No."}},
            "config": {"meta": meta},
        }
        (target / "manifest.json").write_text(json.dumps({"nodes": nodes}))

    return build


def ask(settings: Settings, query: str) -> list[Any]:
    with psycopg.connect(settings.postgres) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


ROWS = "select 'a' || i as account_id, i as likes from range({}) numbers(i)"


@pytest.mark.stack
def test_every_value_arrives_as_it_was(settings: Settings, build: Build) -> None:
    build(
        "mart_values",
        """
        select 'a' as account_id, '' as empty, cast(null as varchar) as missing, '\\N' as backslash,
            E'two\\nlines, "quoted"' as text, ['x', 'with "quote" and \\', null, ''] as texts,
            cast([] as varchar[]) as none,
            cast(null as varchar[]) as unknown, [1, 2] as numbers, {'a': 1, 'b': 'c'} as structure,
            0.1::double as share, 12345678901::bigint as big, true as yes, date '2026-01-02' as day,
            timestamp '2026-01-02 03:04:05.678' as moment, 1.50::decimal(10, 2) as price, 'nan'::double as odd
        """,
    )
    publish(settings, now=NOW)
    (row,) = ask(settings, "select * from marts.mart_values")
    assert row[:9] == (
        "a",
        "",
        None,
        "\\N",
        'two\nlines, "quoted"',
        ["x", 'with "quote" and \\', None, ""],
        [],
        None,
        [1, 2],
    )
    assert row[9:13] == ({"a": 1, "b": "c"}, 0.1, 12345678901, True)
    assert str(row[13]) == "2026-01-02"
    assert row[14] == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert str(row[15]) == "1.50"
    assert row[16] != row[16]
    assert row[17] == NOW


@pytest.mark.stack
def test_a_nul_in_a_name_does_not_keep_the_marts_from_postgres(settings: Settings, build: Build) -> None:
    build("mart_names", "select 'a' as account_id, 'x' || chr(0) || 'y' as handle, ['p' || chr(0), null] as tags")
    publish(settings, now=NOW)
    assert ask(settings, "select handle, tags from marts.mart_names") == [("x\ufffdy", ["p\ufffd", None])]


@pytest.mark.stack
def test_keys_indexes_and_comments_are_the_models(settings: Settings, build: Build) -> None:
    build("mart_a", ROWS.format(3), primary_key=["account_id"], indexes=[["likes", "account_id"], "likes"])
    assert publish(settings, now=NOW) == [{"mart": "mart_a", "rows": 3, "change": "made"}]
    defined = {row[0] for row in ask(settings, "select indexdef from pg_indexes where schemaname = 'marts'")}
    assert defined == {
        "CREATE UNIQUE INDEX mart_a_pkey ON marts.mart_a USING btree (account_id)",
        "CREATE INDEX mart_a__likes_account_id ON marts.mart_a USING btree (likes, account_id)",
        "CREATE INDEX mart_a__likes ON marts.mart_a USING btree (likes)",
    }
    comments = "select obj_description('marts.mart_a'::regclass), col_description('marts.mart_a'::regclass, 1)"
    assert ask(settings, comments) == [("One row per thing of mart_a; it's quoted.", "The account's id.")]


@pytest.mark.stack
def test_a_second_publication_replaces_the_rows_and_keeps_views_and_grants(settings: Settings, build: Build) -> None:
    build("mart_a", ROWS.format(3), primary_key=["account_id"])
    publish(settings, now=NOW)
    with psycopg.connect(settings.postgres) as connection:
        connection.execute("create view marts.total as select sum(likes) as likes from marts.mart_a")
        connection.execute("grant select on marts.mart_a to pg_monitor")
    build("mart_a", ROWS.format(5), primary_key=["account_id"])
    assert publish(settings, now=LATER) == [{"mart": "mart_a", "rows": 5, "change": "kept"}]
    assert ask(settings, "select likes from marts.total") == [(10,)]
    assert ask(settings, "select has_table_privilege('pg_monitor', 'marts.mart_a', 'select')") == [(True,)]
    assert ask(settings, "select distinct published_to_bi_at from marts.mart_a") == [(LATER,)]


@pytest.mark.stack
def test_a_new_column_keeps_the_table_and_a_changed_one_makes_it_anew(settings: Settings, build: Build) -> None:
    build("mart_a", ROWS.format(3))
    publish(settings, now=NOW)
    with psycopg.connect(settings.postgres) as connection:
        connection.execute("create view marts.total as select sum(likes) as likes from marts.mart_a")
    build("mart_a", "select 7 as views, * from (" + ROWS.format(2) + ")")
    assert publish(settings, now=NOW)[0]["change"] == "columns added: views"
    assert ask(settings, "select account_id, views, likes from marts.mart_a order by 1") == [("a0", 7, 0), ("a1", 7, 1)]

    build("mart_a", "select 'a' as account_id, 'many' as likes")
    with pytest.raises(Misconfigured, match="views of yours"):
        publish(settings, now=NOW)
    assert ask(settings, "select likes from marts.total") == [(1,)]
    with psycopg.connect(settings.postgres) as connection:
        connection.execute("drop view marts.total")
    assert publish(settings, now=NOW)[0]["change"] == "made anew"
    assert ask(settings, f"select has_table_privilege('{settings.bi_role}', 'marts.mart_a', 'select')") == [(True,)]


@pytest.mark.stack
def test_a_failure_changes_no_mart_at_all(settings: Settings, build: Build) -> None:
    build("mart_a", ROWS.format(3))
    build("mart_b", ROWS.format(3), primary_key=["account_id"])
    publish(settings, now=NOW)
    build("mart_a", ROWS.format(9))
    build("mart_b", "select 'same' as account_id, i as likes from range(2) numbers(i)", primary_key=["account_id"])
    with pytest.raises(DependencyFailed, match="mart_b"):
        publish(settings, now=LATER)
    assert ask(settings, "select (select count(*) from marts.mart_a), (select count(*) from marts.mart_b)") == [(3, 3)]


@pytest.mark.stack
def test_a_reader_in_a_transaction_keeps_what_it_saw(settings: Settings, build: Build) -> None:
    build("mart_a", ROWS.format(3))
    build("mart_b", ROWS.format(3))
    publish(settings, now=NOW)
    both = "select (select count(*) from marts.mart_a), (select count(*) from marts.mart_b)"
    with psycopg.connect(settings.postgres) as reader:
        reader.execute("set transaction isolation level repeatable read")
        assert reader.execute(both).fetchone() == (3, 3)
        build("mart_a", ROWS.format(8))
        build("mart_b", ROWS.format(9))
        publish(settings, now=LATER)
        assert reader.execute(both).fetchone() == (3, 3)
        reader.commit()
        assert reader.execute(both).fetchone() == (8, 9)


@pytest.mark.stack
def test_the_role_for_bi_reads_and_cannot_write(settings: Settings, build: Build) -> None:
    build("mart_a", ROWS.format(3))
    publish(settings, now=NOW)
    with psycopg.connect(settings.bi_dsn) as connection:
        assert connection.execute("select count(*) from marts.mart_a").fetchone() == (3,)
    for attempt in ("delete from marts.mart_a", "create table marts.mine (a int)", "drop table marts.mart_a"):
        with psycopg.connect(settings.bi_dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(attempt)


@pytest.mark.stack
def test_a_hundred_thousand_rows_take_seconds(settings: Settings, build: Build) -> None:
    query = "select 'a' || i as account_id, " + ", ".join(f"i / {n + 1} as share_{n}" for n in range(20))
    build("mart_a", f"{query} from range(100000) numbers(i)", primary_key=["account_id"], indexes=["share_1"])
    publish(settings, now=NOW)
    started = datetime.now(UTC)
    publish(settings, now=NOW)
    assert (datetime.now(UTC) - started).total_seconds() < 15  # 2 s on two quiet cores


@pytest.mark.stack
def test_without_a_build_the_message_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="assay build"):
        publish(settings, now=NOW)


@pytest.mark.stack
def test_a_database_that_is_down_is_a_failure_to_try_again(settings: Settings, build: Build) -> None:
    build("mart_a", ROWS.format(1))
    down = load(_env_file=None, **settings.model_dump() | {"postgres_port": 1})
    with pytest.raises(DependencyFailed, match=r"127\.0\.0\.1:1/.* Nothing has changed"):
        publish(down, now=NOW)


def test_types_that_no_mart_should_hold_have_no_counterpart() -> None:
    assert postgres_type("BLOB") is None
    assert postgres_type("INTERVAL[]") is None
    assert postgres_type("DECIMAL(10,2)") == "numeric(10,2)"
    assert postgres_type("BIGINT[]") == "bigint[]"
