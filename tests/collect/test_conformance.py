"""Every platform of the registry, held to the same: see `conformance.py`. A new platform is picked up by its name."""

import logging
from datetime import timedelta
from itertools import product

import pytest

from infra.sandbox import traits
from infra.sandbox.faults import KINDS
from ingest.collect.platforms import REGISTRY
from ingest.platforms import PLATFORMS
from ingest.settings import ROOT, load
from tests.collect import conformance as must
from tests.collect.stage import NOW, accounts, sandbox, set_up

EVERY = pytest.mark.parametrize("platform", REGISTRY)
FEW = 2


def has_budget(name):
    """Whether a platform counts units."""
    return REGISTRY[name].daily_units(load(_env_file=None)) is not None


@pytest.fixture
def stage(platform, tmp_path, monkeypatch):
    """A stage with two plain accounts of a platform."""
    return set_up(platform, must.plain(platform, FEW), tmp_path, monkeypatch)


def test_registry_files_recordings_pages_and_surfaces_are_the_same_platforms():
    assert set(PLATFORMS) == set(REGISTRY)
    assert {path.name for path in must.RECORDINGS.iterdir() if path.is_dir()} == set(REGISTRY)
    assert {path.stem for path in (ROOT / "docs" / "platforms").glob("*.md")} == set(REGISTRY)
    assert set(sandbox().surfaces) >= set(REGISTRY)
    assert set(traits.TRAITS) >= set(sandbox().surfaces)
    assert {name: platform.name for name, platform in REGISTRY.items()} == {name: name for name in REGISTRY}


@EVERY
def test_a_full_collect_is_the_truth(platform, tmp_path, monkeypatch):
    rows = {row["account_id"]: row for row in accounts(platform)[:8]}
    stage = set_up(platform, [row["account"] for row in rows.values()], tmp_path, monkeypatch)
    ran = stage.run("collect", "r1")
    assert ran.failure is None
    must.profiles_are_the_truth(ran, rows)
    for row in rows.values():
        must.posts_are_the_truth(ran, row, platform)
    assert ran.visible


@EVERY
def test_a_retried_task_publishes_the_same_ids(stage):
    first = stage.run("collect", "r1")
    stage.store.objects.clear()  # as if the run had died before its end
    stage.forget()
    again = stage.run("collect", "r1")
    ids = [sorted(event.event_id for event in ran.events("posts") + ran.events("accounts")) for ran in (first, again)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0]) > FEW


@EVERY
def test_weeks_later_what_is_due_is_read_and_what_was_deleted_becomes_a_tombstone(platform, tmp_path, monkeypatch):
    stage = set_up(platform, must.losing(platform, FEW), tmp_path, monkeypatch)
    first = stage.run("collect", "r1")
    hour = stage.run("collect", "r2", NOW + timedelta(hours=1))
    assert hour.notice
    assert hour.notice.expected_posts < len(first.visible) / 2
    must.deleted_posts_become_tombstones(stage, first, stage.run("collect", "r3", NOW + must.WEEKS))


@EVERY
def test_the_ledger_is_the_platform_s_own_count(stage):
    must.ledger_is_the_platform_s_count(stage)


@pytest.mark.parametrize("platform", [name for name in REGISTRY if has_budget(name)])
def test_a_process_that_dies_leaves_the_ledger_at_or_above_the_platform_s_count(stage, monkeypatch):
    must.ledger_is_never_below_after_a_crash(stage, monkeypatch)


@EVERY
def test_every_fault_at_every_call_ends_right_and_loses_nothing(stage):
    found = 0
    for phase, endpoints, before, clean in list(must.phases(stage)):
        for endpoint in sorted(endpoints):
            for kind in KINDS:
                must.fault_ends_right(stage, kind, endpoint, phase, before, clean)
                found += 1
    assert found >= 2 * len(KINDS)


@EVERY
@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_platform_s_clock_may_be_five_minutes_off(stage, minutes):
    stage.fault(kind="shifted", seconds=60 * minutes, times=100_000)
    ran = stage.run("collect", "r1")
    assert ran.failure is None
    later = stage.run("collect", "r2", NOW + timedelta(hours=1))
    assert later.failure is None
    must.no_false_tombstones(ran, stage.platform, f"{minutes} minutes")


@EVERY
def test_nothing_that_leaves_names_a_member_of_an_audience_or_holds_a_secret(platform, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    watched = must.plain(platform, 1)
    stage = set_up(platform, watched, tmp_path, monkeypatch)
    clean = stage.run("sample", "s1")
    said = clean.said
    for kind, endpoint, after in product(
        ("truncated", "html", "server_error", "bad_key"), sorted(stage.asked()), (0, 1)
    ):
        stage.fault(kind=kind, endpoint=endpoint, times=10, after=after)
        ran = stage.run("sample", f"{kind} {endpoint}")
        said += [*ran.said, repr(ran.failure), str(ran.failure)]
    must.names_nobody(stage, watched, caplog.text + "\n".join(said))
    must.carries_no_secret(stage, caplog.text + "\n".join(said))
