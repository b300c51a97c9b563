"""A field that a newer collector sends lands at once; once the contract has it, a rebuild of staging fills history."""

import os
import shutil
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.events import instant
from ingest.land import worker
from ingest.settings import ROOT, Settings
from ingest.warehouse import build as building
from ingest.warehouse.build import run_dbt
from ingest.warehouse.check import check_landed
from tests.land.lake import all_ok, rows, send
from tests.land.payloads import post, wire

pytestmark = pytest.mark.stack

GAINED = {
    "plays": ("events.Count", "bigint"),
    "mood": ("str", "varchar"),
    "rating": ("float", "double"),
    "is_pinned": ("bool", "boolean"),
    "edited_at": ("events.Instant", "timestamptz"),
    "topics": ("list[str]", "varchar[]"),
}
"""What the contract gains: each field's type in the struct and in the lake."""
SAID = {
    "plays": 7,
    "mood": 'gla"d\x00 ✓',
    "rating": 4,
    "is_pinned": False,
    "edited_at": "2026-11-18T10:00:00.125Z",
    "topics": ["a", "b"],
}
FOUND = (*SAID.values(),)
NOTHING = (None,) * len(GAINED)
OF_ANOTHER_TYPE = {"plays": "7", "mood": 7, "rating": "4.0", "is_pinned": 1, "edited_at": 12, "topics": [1]}

NEWER = f"""
import msgspec
from ingest import events
fields = [(name, kind | None, None) for name, kind in {{
    {", ".join(f"{name!r}: {kind}" for name, (kind, _) in GAINED.items())}
}}.items()]
options = dict(kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True)
events.TOPICS["posts"] = msgspec.defstruct("PostObserved", fields, bases=(events.PostObserved,), **options)
from ingest.land import worker
from ingest.settings import load
print(worker.drain(load()))
"""
"""The landing after the contract has gained the fields, as a process of its own."""


def one(name: str, **fields: Any) -> bytes:
    return wire(post(event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, name)), post_id=name, views=3) | fields)


def stage(settings: Settings, *options: str) -> None:
    outcome = run_dbt(settings, ["run", "--select", "+stg_posts", *options])
    assert outcome.success, [(result.node.name, result.message) for result in outcome.result or []] or outcome.exception


def staged(settings: Settings, columns: str) -> dict[str, tuple[Any, ...]]:
    """The columns of each staged post, moments as events write them."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        found = connection.execute(f"select post_id, {columns} from staging.stg_posts").fetchall()
    return {
        name: tuple(instant(value.replace(tzinfo=UTC)) if isinstance(value, datetime) else value for value in values)
        for name, *values in found
    }


def gain(project: Path) -> None:
    """The steps of CONTRIBUTING's "Add a metric" in the dbt project: a described column, and its place in staging."""
    sources, model = (project / "models" / "staging" / name for name in ("_sources.yml", "stg_posts.sql"))
    described = sources.read_text()
    after = next(line for line in described.splitlines() if "name: watch_seconds," in line)
    added = [
        f'          - {{name: {name}, data_type: "{kind}", description: "New."}}' for name, (_, kind) in GAINED.items()
    ]
    sources.write_text(described.replace(after, "\n".join([after, *added])))
    columns = [name if name != "edited_at" else "cast(edited_at as timestamp) as edited_at" for name in GAINED]
    text = model.read_text()
    assert text.count("        watch_seconds,\n") == 1
    model.write_text(text.replace("        watch_seconds,\n", f"        watch_seconds, {', '.join(columns)},\n"))


def test_history_is_filled_from_what_landed_before_the_contract_had_the_field(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = one("twice", plays=1)[:-1] + b',"plays":2}'
    newer = [one("newer", **SAID), one("other", beyond={"plays": 7}), one("wrong", **OF_ANOTHER_TYPE), twice]
    payloads = [one("older"), *newer, b'{"event_id":"poison","plays":7}']
    send(settings, "posts", payloads)
    worker.drain(settings)
    landed = sorted(rows(settings), key=lambda row: row["_offset"])
    assert [row["_payload"] for row in landed] == [None, *payloads[1:]]
    assert [row["_error"] is None for row in landed] == [True] * 5 + [False]
    now = datetime.now(UTC)
    assert {row["verdict"] for row in check_landed(settings, now=now)} == {"passed"}
    stage(settings)
    assert staged(settings, "views") == dict.fromkeys(("older", "newer", "other", "wrong", "twice"), (3,))

    project = shutil.copytree(building.PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("target", "logs"))
    gain(project)
    monkeypatch.setattr(building, "PROJECT", project)
    stage(settings, "--full-refresh")
    history = {"newer": FOUND, "older": NOTHING, "other": NOTHING, "wrong": NOTHING, "twice": NOTHING}
    assert staged(settings, ", ".join(GAINED)) == history

    send(settings, "posts", [one("today", **SAID), one("today without")])
    environment = os.environ | settings.as_environment()
    subprocess.run([sys.executable, "-c", NEWER], env=environment, cwd=ROOT, check=True)
    today = {row["post_id"]: row for row in rows(settings) if row["_offset"] >= len(payloads)}
    assert (today["today"]["_payload"], today["today"]["plays"]) == (None, 7)
    assert {row["verdict"] for row in check_landed(settings, now=now)} == {"passed"}
    stage(settings, "--full-refresh")
    assert staged(settings, ", ".join(GAINED)) == history | {"today": FOUND, "today without": NOTHING}
    assert all_ok(settings)
