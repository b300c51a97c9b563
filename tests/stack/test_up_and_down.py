"""The stack by the commands that people type. Its own ports and directory; nothing of it may stay."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import processes
import pytest
from places import free_ports, temporary_directory

from ingest import stack as local_stack
from ingest.errors import DependencyFailed
from ingest.settings import ROOT, Settings, load
from ingest.stack import supervise

pytestmark = pytest.mark.stack


@pytest.fixture
def own() -> Iterator[Settings]:
    """Settings of a stack that does not run yet; whatever of it runs at the end is stopped."""
    with temporary_directory() as path:
        settings = load(_env_file=None, var_dir=path, **free_ports())
        yield settings
        local_stack.down(settings)
        assert processes.of(path) == []


def pids(settings: Settings) -> dict[str, int]:
    return {name: state.pid for name, state in (supervise.states(settings) or {}).items()}


@pytest.mark.timeout(900)
def test_up_is_well_and_idempotent_and_down_leaves_nothing(assay: Callable[..., CompletedProcess[str]], own: Settings):
    first = assay(own, "up")
    assert first.returncode == 0, first.stderr
    assert "all up in" in first.stderr
    running = pids(own)
    assert set(running) == set(local_stack.ALL)
    key = own.var_dir / "secrets" / "member_key"
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_text()

    status = assay(own, "status", "--json")
    assert status.returncode == 0, status.stdout
    assert {row["part"] for row in json.loads(status.stdout)} >= {*local_stack.ALL, "topic posts"}
    findings = assay(own, "doctor", "--json")
    assert [row for row in json.loads(findings.stdout) if not row["ok"]] == []

    again = assay(own, "up")
    assert again.returncode == 0, again.stderr
    assert pids(own) == running
    assert key.read_text() == secret

    down = assay(own, "down")
    assert down.returncode == 0, down.stderr
    assert processes.of(own.var_dir) == []
    assert assay(own, "status").returncode == 1


def test_a_stack_that_was_started_with_other_settings_is_started_anew(own: Settings):
    local_stack.up(own, names=("store",))
    before = pids(own)
    other = load(_env_file=None, **{n: getattr(own, n) for n in own.model_fields_set} | {"log_level": "DEBUG"})
    local_stack.up(other, names=("store",))
    assert pids(other)["store"] != before["store"]


def test_parts_are_added_to_a_running_stack(own: Settings):
    local_stack.up(own, names=("store",))
    before = pids(own)
    local_stack.up(own, names=("store", "postgres"))
    assert pids(own)["store"] == before["store"]
    assert set(pids(own)) == {"store", "postgres"}


def test_nothing_outlives_supervisord_that_is_killed(own: Settings):
    local_stack.up(own, names=("store", "postgres"))
    os.kill(int((own.var_dir / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert processes.await_none(own.var_dir, 20) == []


def test_nothing_outlives_a_caller_that_is_killed(own: Settings):
    program = (
        "import time; from ingest import stack; from ingest.settings import load; "
        "stack.up(load(), names=('store', 'postgres'), outlive_us=False); print('up', flush=True); time.sleep(60)"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | own.as_environment(), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert caller.stdout
    assert caller.stdout.readline() == b"up\n"
    caller.kill()
    caller.communicate()
    assert processes.await_none(own.var_dir, 20) == []


def test_a_start_that_is_interrupted_leaves_nothing(own: Settings):
    caller = subprocess.Popen(
        [str(Path(sys.executable).parent / "assay"), "up"],
        env=os.environ | own.as_environment(),
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 30
    while supervise.states(own) is None and time.monotonic() < end:
        time.sleep(0.1)
    caller.send_signal(signal.SIGINT)
    caller.communicate(timeout=60)
    assert caller.returncode != 0
    assert processes.of(own.var_dir) == []


def test_a_part_that_does_not_start_is_shown_with_the_end_of_its_log(own: Settings):
    (own.var_dir / "postgres").mkdir()
    (own.var_dir / "postgres" / "something").touch()
    with pytest.raises(DependencyFailed, match=r"Postgres does not start; the end of .*postgres.log"):
        local_stack.up(own, names=("postgres",))
    assert processes.of(own.var_dir) == []
