"""The whole landing on a store that shares no code with the stack's own, and on one that it must refuse."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from string import capwords

import pytest

from ingest.land import probe, worker
from ingest.land.store import S3Store
from ingest.settings import Settings, load
from tests.land.altering_front import CONDITIONS, front
from tests.land.lake import all_ok, places, send
from tests.land.payloads import post, wire

pytestmark = pytest.mark.stack
Assay = Callable[..., subprocess.CompletedProcess[str]]


def produce(settings: Settings, count: int) -> None:
    """That many posts, evenly over four partitions."""
    for partition in range(4):
        send(settings, "posts", [wire(post())] * (count // 4), partition=partition)


def moved(settings: Settings, address: str, **changes: object) -> Settings:
    """The same settings with another store."""
    own = {field: getattr(settings, field) for field in settings.model_fields_set}
    elsewhere = load(_env_file=None, **own | {"s3_endpoint": address} | changes)
    S3Store(elsewhere).create_bucket()
    return elsewhere


def test_two_drains_at_once_on_versitygw_land_every_event_once(
    settings: Settings, versitygw: str, assay: Assay
) -> None:
    there = moved(settings, versitygw, land_object_rows=200)
    produce(there, 6_000)
    with ThreadPoolExecutor(2) as pool:
        drains = list(pool.map(lambda _: assay(there, "land", "--drain", "--json"), range(2)))
    assert [done.returncode for done in drains] == [0, 0], drains
    assert sum(row["rows"] for done in drains for row in json.loads(done.stdout)) == 6_000
    found = places(there)
    assert (len(found), set(found.values())) == (6_000, {1})
    assert worker.drain(there) == []
    assert all_ok(there)
    produce(there, 100)
    assert sum(row["rows"] for row in worker.drain(there)) == 100
    assert all_ok(there)


def test_a_store_that_ignores_conditions_is_refused_before_anything_lands_and_doctor_says_why(
    settings: Settings, assay: Assay
) -> None:
    with front(settings.s3_port, drop=CONDITIONS) as address:
        there = moved(settings, address)
        produce(there, 100)
        done = assay(there, "land", "--drain")
        assert done.returncode == 2
        assert "a PUT with If-None-Match: * overwrote an object" in done.stderr
        assert "ASSAY_S3_ENDPOINT" in done.stderr
        assert "Traceback" not in done.stderr
        assert list(S3Store(settings).list("raw/")) == []
        findings = json.loads(assay(there, "doctor", "--json").stdout)
    store = {
        row["part"]: row["finding"] for row in findings if row["part"].startswith("object store") and not row["ok"]
    }
    assert store == {
        "object store, If-None-Match": "a PUT with If-None-Match: * overwrote an object",
        "object store, If-None-Match, raced": "of 8 PUTs with If-None-Match: * at once 8 were told that they wrote",
        "object store, If-Match": "a PUT with If-Match wrote where nothing was",
    }


def test_a_store_that_capitalises_the_names_of_metadata_is_as_good(settings: Settings) -> None:
    with front(settings.s3_port, rename=lambda name: capwords(name, "-")) as address:
        there = moved(settings, address)
        assert [fault for _, fault in probe.examine(S3Store(there)) if fault] == []
        produce(there, 300)
        assert sum(row["rows"] for row in worker.drain(there)) == 300
        assert worker.drain(there) == []
        assert all_ok(there)
