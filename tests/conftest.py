"""One stack for all tests: Kafka, object store, Postgres and sandbox, started once by the code behind `assay up`.

It runs on free ports in a temporary directory and ends with the test run, also when that is interrupted or killed.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import free_ports, temporary_directory
from pydantic import SecretStr

from ingest import stack as local_stack
from ingest.land.store import S3Store
from ingest.publish import create_topics
from ingest.settings import ROOT, Settings, load

# What the person at the keyboard has set is for their own stack.
for name in [name for name in os.environ if name.startswith(("ASSAY_", "AIRFLOW_"))]:
    del os.environ[name]


@pytest.fixture(scope="session")
def var_dir() -> Iterator[Path]:
    """Where the state of the session's stack is."""
    with temporary_directory() as path:
        yield path


@pytest.fixture(scope="session")
def stack(var_dir: Path) -> Iterator[Settings]:
    """Settings of a running stack without Airflow."""
    settings = load(
        _env_file=None,
        var_dir=var_dir,
        member_key=SecretStr("a key of the tests, and no secret"),
        youtube_api_key=SecretStr("sandbox"),
        **free_ports(),
    )

    local_stack.up(settings, names=local_stack.STORES, outlive_us=False)
    try:
        yield settings
    finally:
        local_stack.down(settings)


@pytest.fixture
def settings(stack: Settings, tmp_path: Path) -> Settings:
    """The running stack, with a bucket, topics, warehouse and documents of this test's own."""
    name = f"t{uuid.uuid4().hex[:10]}"
    own = {field: getattr(stack, field) for field in stack.model_fields_set}
    own |= {"var_dir": tmp_path, "lake_bucket": name, "topic_prefix": f"{name}."}
    settings = load(_env_file=None, **own)
    S3Store(settings).create_bucket()
    create_topics(settings)
    return settings


@pytest.fixture
def assay() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command: `assay(settings, "land", "--drain", PATH=…)`; extra variables are the environment's."""

    def run(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "assay"), *arguments],
            env=os.environ | settings.as_environment() | variables,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    return run
