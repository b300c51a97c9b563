"""supervisor, as the stack uses it: its file, its start, its end, and what it says about its programs.

At the top stands `keep.py`, with supervisord as its program: it holds the lock that says "this stack runs", and ends
only when every process below it has ended.
"""

import fcntl
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import ROOT, Settings
from ingest.stack.parts import LOCAL, Part, run_dir

STOP_SECONDS = 40
"""A triggerer takes 12 s, tasks that run get the rest."""
GRACE_SECONDS = 15
"""For the parts when supervisord itself has died: all at once, so that a scheduler may wait for a database in vain."""
LONGEST_SOCKET = 100
"""Bytes in a Unix socket's path (the kernel takes 107; supervisor adds its pid while it makes one)."""


@dataclass(frozen=True)
class State:
    """What supervisor says of one program."""

    name: str
    state: str
    pid: int
    uptime_seconds: int
    exit_status: int


def log_dir(settings: Settings) -> Path:
    """One log a part, rotated by supervisor."""
    return settings.var_dir / "log"


def top(settings: Settings) -> int | None:
    """Pid at the top of the running stack; None when it does not run."""
    try:
        lock = os.open(_lock(settings), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(lock, 32) or b"0")
    else:
        return None
    finally:
        os.close(lock)


def start(settings: Settings, parts: list[Part], environment: dict[str, str], *, outlive_us: bool) -> None:
    """Start supervisord with these parts; returns when it answers.

    Raises Misconfigured when the state's directory has too long a name, DependencyFailed when supervisord ends at once.
    """
    socket = _socket(settings)
    if len(bytes(socket)) > LONGEST_SOCKET:
        raise Misconfigured(
            f"ASSAY_VAR_DIR={settings.var_dir}: too long for a Unix socket in it. Choose a shorter path"
        )
    logs = log_dir(settings)
    for directory in (run_dir(settings), logs):
        directory.mkdir(parents=True, exist_ok=True)
    file = run_dir(settings) / "supervisord.conf"
    file.write_text(_configuration(settings, parts))
    with (logs / "supervisord.out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(LOCAL / "keep.py"), "--lock", str(_lock(settings)), "--grace", str(GRACE_SECONDS)]
            + (["--outlive-parent"] if outlive_us else [])
            + ["--", sys.executable, "-m", "supervisor.supervisord", "-c", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    for _ in range(300):
        if process.poll() is not None:
            raise DependencyFailed(
                f"supervisord ended at once, see {logs}/supervisord.out:\n{tail(logs / 'supervisord.out')}"
            )
        if top(settings) and states(settings) is not None:
            return
        time.sleep(0.1)
    process.terminate()
    raise DependencyFailed(f"supervisord does not answer on {socket}; see {logs}/supervisord.log")


def stop(settings: Settings) -> bool:
    """Stop everything and wait until the last process is gone. False when nothing ran."""
    pid = top(settings)
    if pid is None:
        return False
    os.kill(pid, 15)
    end = time.monotonic() + 3 * STOP_SECONDS
    while top(settings) == pid:
        if time.monotonic() > end:
            raise DependencyFailed(f"pid {pid} did not end in {3 * STOP_SECONDS} s; see {log_dir(settings)}")
        time.sleep(0.1)
    return True


def states(settings: Settings) -> dict[str, State] | None:
    """By the part's name; None when supervisord does not answer."""
    try:
        said = cast("list[dict[str, Any]]", _remote(settings).supervisor.getAllProcessInfo())
    except (OSError, xmlrpc.client.Error):
        return None
    return {
        one["name"]: State(
            name=one["name"],
            state=one["statename"],
            pid=one["pid"],
            uptime_seconds=max(0, one["now"] - one["start"]) if one["pid"] else 0,
            exit_status=one["exitstatus"],
        )
        for one in said
    }


def add(settings: Settings, parts: list[Part]) -> list[str]:
    """Let the running stack be these parts; starts the new ones and returns their names."""
    (run_dir(settings) / "supervisord.conf").write_text(_configuration(settings, parts))
    remote = _remote(settings).supervisor
    [[added, _changed, _removed]] = cast("list[list[list[str]]]", remote.reloadConfig())
    for name in added:
        remote.addProcessGroup(name)
    return added


def start_stopped(settings: Settings) -> list[str]:
    """Start the programs that supervisor has given up on; their names."""
    given_up = [one.name for one in (states(settings) or {}).values() if one.state in {"FATAL", "EXITED", "STOPPED"}]
    for name in given_up:
        _remote(settings).supervisor.startProcess(name, False)
    return given_up


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def _remote(settings: Settings) -> xmlrpc.client.ServerProxy:
    transport = SupervisorTransport(None, None, f"unix://{_socket(settings)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)


def _lock(settings: Settings) -> Path:
    return run_dir(settings) / "stack.pid"


def _socket(settings: Settings) -> Path:
    return run_dir(settings) / "supervisor.sock"


def _configuration(settings: Settings, parts: list[Part]) -> str:
    head = (LOCAL / "supervisord.conf").read_text()
    words = {"$SOCKET": _socket(settings), "$LOGS": log_dir(settings), "$RUN": run_dir(settings), "$ROOT": ROOT}
    for word, path in words.items():
        head = head.replace(word, _literal(str(path)))
    return head + "".join(_program(settings, part) for part in parts)


def _program(settings: Settings, part: Part) -> str:
    keep = [sys.executable, "-I", str(LOCAL / "keep.py"), "--stop-signal", part.stop_signal]
    for needed in part.waits:
        keep += ["--wait", needed]
    environment = ",".join(f'{name}="{_literal(value)}"' for name, value in part.environment.items())
    lines = {
        "command": _literal(shlex.join([*keep, "--", *part.command])),
        "environment": environment,
        "priority": str(part.priority),
        "autorestart": "true",
        "startretries": "3",
        "killasgroup": "true",
        "stopwaitsecs": str(STOP_SECONDS),
        "redirect_stderr": "true",
        "stdout_logfile": _literal(str(log_dir(settings) / f"{part.name}.log")),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "2",
    }
    return f"\n[program:{part.name}]\n" + "".join(f"{name}={value}\n" for name, value in lines.items() if value)


def _literal(text: str) -> str:
    """supervisor expands `%(…)s` in its file."""
    return text.replace("%", "%%")
