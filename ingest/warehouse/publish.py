"""Marts from DuckDB to Postgres, where BI reads: all of them in one transaction, so that nobody sees half of a build.

Rows are deleted and copied anew within the transaction: readers keep what they read until the commit, and grants and
views on the tables stay. Keys, indexes and comments are what dbt's manifest says about the models.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg import sql

from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import Settings
from ingest.warehouse.reading import open_warehouse

SCHEMA = "marts"
PUBLISHED_AT = "published_to_bi_at"
PUBLISHED_AT_DESCRIPTION = "When these rows were published to Postgres, UTC."

POSTGRES_TYPES = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "HUGEINT": "numeric(38,0)",
    "INTEGER": "integer",
    "JSON": "jsonb",
    "SMALLINT": "smallint",
    "TIMESTAMP": "timestamp with time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "TIMESTAMP_MS": "timestamp with time zone",
    "TINYINT": "smallint",
    "UBIGINT": "numeric(20,0)",
    "UINTEGER": "bigint",
    "UUID": "uuid",
    "VARCHAR": "text",
}
"""By DuckDB's type, Postgres's as `format_type` spells it. All our timestamps are UTC, with a zone or without."""

LOCK = 0x61_73_73_61_79  # "assay": one publisher at a time


@dataclass(frozen=True)
class Mart:
    """One table as it is to stand in Postgres."""

    name: str
    description: str
    types: dict[str, str]
    """Postgres types by column, in order, `published_to_bi_at` last."""
    comments: dict[str, str]
    primary_key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...]


def publish(settings: Settings, *, now: datetime) -> list[dict[str, Any]]:
    """Replace every mart in Postgres by what the warehouse holds; a row for each: mart, rows, change.

    `change` says what became of the table: kept, made, columns added, or made anew (a column went or changed its type).
    Raises Misconfigured where nothing was built, and DependencyFailed when Postgres refuses: then nothing has changed.
    """
    models = read_models(settings)
    with tempfile.TemporaryDirectory(prefix="assay-publish-") as directory:
        with open_warehouse(settings) as warehouse:
            marts = [_export(warehouse, model, now, Path(directory)) for model in models]
        with _transaction(settings) as connection:
            _make_schema_and_role(connection, settings.bi_role)
            rows = [_replace(connection, mart, Path(directory)) for mart in marts]
            _grant(connection, settings.bi_role)
    return rows


def read_models(settings: Settings) -> list[dict[str, Any]]:
    """The models of schema `marts` as dbt's manifest describes them, by name. Raises Misconfigured without one."""
    path = settings.var_dir / "warehouse" / "target" / "manifest.json"
    if not path.exists():
        raise Misconfigured(f"there is no {path}: run `assay build` first")
    nodes = json.loads(path.read_text())["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model" and node["schema"] == SCHEMA]
    return sorted(models, key=lambda node: str(node["name"]))


def postgres_type(duckdb_type: str) -> str | None:
    """Postgres's type for one of DuckDB's; structs and maps become jsonb; None for what no mart should hold."""
    if duckdb_type.endswith("[]"):
        element = postgres_type(duckdb_type[:-2])
        return element and f"{element}[]"
    if duckdb_type.startswith(("STRUCT(", "MAP(")):
        return "jsonb"
    if duckdb_type.startswith("DECIMAL("):
        return duckdb_type.replace("DECIMAL", "numeric").replace(" ", "")
    return POSTGRES_TYPES.get(duckdb_type)


def _export(warehouse: duckdb.DuckDBPyConnection, model: dict[str, Any], now: datetime, directory: Path) -> Mart:
    """Write the model's rows as CSV, in Postgres's spelling, and say what its table looks like."""
    name = model["name"]
    described = warehouse.execute(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = ? and table_name = ? order by ordinal_position",
        [SCHEMA, name],
    ).fetchall()
    if not described:
        raise Misconfigured(f"the warehouse has no table {SCHEMA}.{name}, but dbt's manifest does: run `assay build`")
    types: dict[str, str] = {}
    for column, duckdb_type in described:
        if (found := postgres_type(duckdb_type)) is None:
            raise Misconfigured(
                f"{SCHEMA}.{name}.{column} is of type {duckdb_type}, which is not published: cast it in the model"
            )
        types[column] = found
    columns = ", ".join(_csv_value(column, types[column]) for column in types)
    file = str(directory / f"{name}.csv").replace("'", "''")
    warehouse.execute(
        f"copy (select {columns}, timestamptz '{now.isoformat()}' from {SCHEMA}.\"{name}\") "  # noqa: S608 our own names
        f"to '{file}' (format csv, header false, nullstr '\\N')"
    )
    meta = model["config"].get("meta") or model.get("meta") or {}
    comments = {column: about["description"] for column, about in model["columns"].items() if column in types}
    return Mart(
        name=name,
        description=model["description"],
        types=types | {PUBLISHED_AT: "timestamp with time zone"},
        comments=comments | {PUBLISHED_AT: PUBLISHED_AT_DESCRIPTION},
        primary_key=tuple(meta.get("primary_key", ())),
        indexes=tuple(tuple(index) if isinstance(index, list) else (index,) for index in meta.get("indexes", ())),
    )


def _csv_value(column: str, type_: str) -> str:
    """A column as the text that Postgres reads: lists as `{…}`, structs as JSON.

    Its texts hold no NUL, and platforms have names with one: there it becomes U+FFFD. The warehouse keeps it.
    """
    quoted = '"' + column.replace('"', '""') + '"'
    if type_ == "jsonb":
        return f"to_json({quoted})"
    if type_ == "text":
        return _without_nul(quoted)
    if not type_.endswith("[]"):
        return quoted
    element = r"""'"' || replace(replace({}, '\', '\\'), '"', '\"') || '"'""".format(_without_nul("cast(x as varchar)"))
    listed = f"list_transform({quoted}, lambda x: coalesce({element}, 'NULL'))"
    return f"case when {quoted} is not null then '{{' || coalesce(array_to_string({listed}, ','), '') || '}}' end"


def _without_nul(text: str) -> str:
    return f"replace({text}, chr(0), '\N{REPLACEMENT CHARACTER}')"


@contextmanager
def _transaction(settings: Settings) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(settings.postgres, connect_timeout=10) as connection:
            connection.execute("set local timezone = 'UTC'")
            connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
            yield connection
    except psycopg.errors.DependentObjectsStillExist as error:
        raise Misconfigured(
            f"a mart has lost a column or changed its type, and views of yours depend on it: {_words(error)}. "
            "Drop those views, `assay publish`, and make them again. Nothing has changed"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise Misconfigured(
            f"publishing to Postgres is not allowed: {_words(error)}. The role of ASSAY_POSTGRES_DSN must own schema "
            f"{SCHEMA}, and the role {settings.bi_role} (ASSAY_BI_ROLE) must exist or it must be allowed to make it"
        ) from error
    except psycopg.Error as error:
        where = settings.postgres.rpartition("@")[2]
        raise DependencyFailed(
            f"publishing to Postgres at {where} failed: {_words(error)}. Nothing has changed there. `assay status`"
        ) from error


def _words(error: psycopg.Error) -> str:
    said = " ".join(part for part in (error.diag.message_primary, error.diag.message_detail) if part)
    return said or str(error).partition("\n")[0]


def _make_schema_and_role(connection: psycopg.Connection, bi_role: str) -> None:
    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(SCHEMA)))
    if connection.execute("select 1 from pg_roles where rolname = %s", [bi_role]).fetchone() is None:
        connection.execute(sql.SQL("create role {} login").format(sql.Identifier(bi_role)))


def _grant(connection: psycopg.Connection, bi_role: str) -> None:
    """Reading and nothing else, for the tables of today and for those to come."""
    names = {"schema": sql.Identifier(SCHEMA), "role": sql.Identifier(bi_role)}
    for grant in (
        "grant usage on schema {schema} to {role}",
        "grant select on all tables in schema {schema} to {role}",
        "alter default privileges in schema {schema} grant select on tables to {role}",
    ):
        connection.execute(sql.SQL(grant).format(**names))


def _replace(connection: psycopg.Connection, mart: Mart, directory: Path) -> dict[str, Any]:
    """Bring one table to the mart's shape, and its rows to the mart's rows."""
    table = sql.Identifier(SCHEMA, mart.name)
    change = _shape(connection, mart, table)
    connection.execute(sql.SQL("delete from {}").format(table))
    columns = sql.SQL(", ").join(map(sql.Identifier, mart.types))
    copy = sql.SQL("copy {} ({}) from stdin (format csv, null '\\N')").format(table, columns)
    with connection.cursor() as cursor:
        with cursor.copy(copy) as target, (directory / f"{mart.name}.csv").open("rb") as source:
            while block := source.read(1 << 20):
                target.write(block)
        rows = cursor.rowcount
    for index in mart.indexes:
        name = f"{mart.name}__{'_'.join(index)}"[:63]
        connection.execute(
            sql.SQL("create index if not exists {} on {} ({})").format(
                sql.Identifier(name), table, sql.SQL(", ").join(map(sql.Identifier, index))
            )
        )
    _comment(connection, mart, table)
    return {"mart": mart.name, "rows": rows, "change": change}


def _shape(connection: psycopg.Connection, mart: Mart, table: sql.Identifier) -> str:
    there: dict[str, str] = dict(
        connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            [f'{SCHEMA}."{mart.name}"'],
        ).fetchall()
    )
    if there and there.items() <= mart.types.items() and _primary_key(connection, mart) == set(mart.primary_key):
        added = [column for column in mart.types if column not in there]
        for column in added:
            connection.execute(sql.SQL("alter table {} add column {}").format(table, _column(column, mart)))
        return f"columns added: {', '.join(added)}" if added else "kept"
    connection.execute(sql.SQL("drop table if exists {}").format(table))
    parts = [_column(column, mart) for column in mart.types]
    if mart.primary_key:
        parts.append(sql.SQL("primary key ({})").format(sql.SQL(", ").join(map(sql.Identifier, mart.primary_key))))
    connection.execute(sql.SQL("create table {} ({})").format(table, sql.SQL(", ").join(parts)))
    return "made anew" if there else "made"


def _column(column: str, mart: Mart) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(mart.types[column]))


def _primary_key(connection: psycopg.Connection, mart: Mart) -> set[str]:
    return {
        row[0]
        for row in connection.execute(
            "select attname from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey) "
            "where indisprimary and indrelid = to_regclass(%s)",
            [f'{SCHEMA}."{mart.name}"'],
        )
    }


def _comment(connection: psycopg.Connection, mart: Mart, table: sql.Identifier) -> None:
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(mart.description)))
    for column, text in mart.comments.items():
        name = sql.Identifier(SCHEMA, mart.name, column)
        connection.execute(sql.SQL("comment on column {} is {}").format(name, sql.Literal(text)))
