"""The wrapper that every program of the stack runs under."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

from ingest.settings import ROOT

KEEP = [sys.executable, "-I", str(ROOT / "infra" / "local" / "keep.py")]


def started(command: list[str], mark: Path) -> subprocess.Popen[bytes]:
    """The command, once it has made the file."""
    process = subprocess.Popen(command)
    end = time.monotonic() + 10
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert mark.exists()
    return process


def test_the_programs_exit_code_is_passed_on():
    assert subprocess.run([*KEEP, "--", "sh", "-c", "exit 7"], check=False).returncode == 7
    assert subprocess.run([*KEEP, "--", "sh", "-c", "kill -KILL $$"], check=False).returncode == 128 + 9


def test_a_program_waits_for_the_file_it_needs(tmp_path: Path):
    needed, made = tmp_path / "needed", tmp_path / "made"
    process = subprocess.Popen([*KEEP, "--wait", f"file:{needed}", "--", "touch", str(made)])
    time.sleep(0.4)
    assert not made.exists()
    needed.touch()
    assert process.wait(5) == 0
    assert made.exists()


@pytest.mark.parametrize("trap", ["", "trap '' TERM;"], ids=["that listens", "that ignores TERM"])
def test_an_orphan_in_a_session_of_its_own_does_not_outlive_the_program(tmp_path: Path, trap: str):
    orphan = f'setsid sh -c "{trap} touch {tmp_path}/there; while true; do sleep 0.1; done" &'
    end = f"while [ ! -e {tmp_path}/there ]; do sleep 0.02; done; kill -KILL $$"
    process = subprocess.run([*KEEP, "--grace", "0.5", "--", "sh", "-c", f"{orphan} {end}"], timeout=20, check=False)
    assert process.returncode == 128 + 9
    assert processes.of(tmp_path) == []


def test_the_program_ends_when_the_wrapper_is_killed(tmp_path: Path):
    program = f"touch {tmp_path}/there; exec sleep 60"
    process = started([*KEEP, "--", "sh", "-c", program], tmp_path / "there")
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


def test_a_stop_is_passed_on_once_and_as_the_program_wants_it(tmp_path: Path):
    trap = f"trap 'echo int >> {tmp_path}/got; sleep 0.5; exit 3' INT"
    program = f"{trap}; touch {tmp_path}/there; while true; do sleep 0.05; done"
    process = started([*KEEP, "--stop-signal", "INT", "--", "sh", "-c", program], tmp_path / "there")
    for _ in range(3):
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.1)
    assert process.wait(5) == 3
    assert (tmp_path / "got").read_text() == "int\n"


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path):
    lock = ["--lock", str(tmp_path / "lock"), "--"]
    first = started([*KEEP, *lock, "sh", "-c", f"touch {tmp_path}/there; exec sleep 60"], tmp_path / "there")
    assert subprocess.run([*KEEP, *lock, "true"], timeout=10, check=False).returncode == 75
    first.terminate()
    first.wait(5)
    assert subprocess.run([*KEEP, *lock, "true"], timeout=10, check=False).returncode == 0
