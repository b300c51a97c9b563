"""Keep one program: wait for what it needs, run it, and leave nothing of it behind.

    keep.py [--wait tcp:PORT|file:PATH]... [--stop-signal INT] [--grace SECONDS] [--lock FILE] -- command...

supervisor restarts a program that died, but not the processes which that program had started: a component of Airflow
leaves its task processes and log servers, and they keep ports and locks. So every program runs under this one:

- it dies with its parent (`PR_SET_PDEATHSIG`), so that `kill -9` of supervisord stops everything;
- orphans of the program come to it (`PR_SET_CHILD_SUBREAPER`), whatever session or group they moved to;
- when the program ends, what it left gets TERM, and after the grace KILL; then it ends with the program's exit code.

Linux only; standard library only (it also keeps programs of other environments).
"""

import argparse
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOCKED = 75
"""Exit code when another process holds the lock (EX_TEMPFAIL)."""


class Stopped(Exception):
    """A signal asked to stop while nothing was running yet."""


def prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def is_there(needed: str) -> bool:
    kind, _, what = needed.partition(":")
    if kind == "file":
        return Path(what).exists()
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", int(what))) == 0


def below(pid: int) -> list[list[int]]:
    """Pids below a process, zombies included: first its children, then theirs, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The command's name is in parentheses and may hold anything; the parent is the second field after it.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    generations, last = [], children.get(pid, [])
    while last:
        generations.append(last)
        last = [child for parent in last for child in children.get(parent, [])]
    return generations


def send(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def reap() -> bool:
    """Reap the children that have ended; True when none is left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False


def stop_the_rest(grace: float) -> None:
    """TERM once to each child, old or new-come by the death of its parent; after the grace KILL to all below.

    Never TERM to grandchildren: their parents stop them in their own order (a scheduler that is told twice, or whose
    workers go before it, hangs).
    """
    told: set[int] = set()
    end = time.monotonic() + grace
    while not reap():
        generations = below(os.getpid())
        if time.monotonic() > end:
            send([pid for generation in generations for pid in generation], signal.SIGKILL)
        elif generations:
            send([pid for pid in generations[0] if pid not in told], signal.SIGTERM)
            told.update(generations[0])
        time.sleep(0.05)


def take_lock(path: Path) -> int | None:
    """An open file that holds the lock as long as this process lives; None when somebody else's does."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # perhaps only somebody who looks whether we are there
            time.sleep(0.05)
            continue
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        return lock
    return None


def main() -> int:
    options = argparse.ArgumentParser(usage="keep.py [options] -- command...")
    options.add_argument("--wait", action="append", default=[], help="tcp:PORT on 127.0.0.1, or file:PATH")
    options.add_argument("--stop-signal", default="TERM", help="what the program gets when this one gets TERM or INT")
    options.add_argument("--grace", type=float, default=10, help="seconds between TERM and KILL for what is left")
    options.add_argument("--lock", type=Path, help="file that holds our pid, locked while we live")
    options.add_argument("--outlive-parent", action="store_true", help="the top of a stack that nobody watches")
    options.add_argument("command", nargs="+")
    chosen = options.parse_args()

    parent = os.getppid()
    if not chosen.outlive_parent:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            return 0
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if chosen.lock and take_lock(chosen.lock) is None:
        return LOCKED

    program: subprocess.Popen[bytes] | None = None

    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        if program is None:
            raise Stopped
        if stopping:  # asked by supervisor, and again by its death
            return
        stopping = True
        send([program.pid], signal.Signals[f"SIG{chosen.stop_signal}"])

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        while not all(is_there(needed) for needed in chosen.wait):
            time.sleep(0.1)
        both = {signal.SIGTERM, signal.SIGINT}
        # A stop between fork and assignment would find no program to stop; it waits these few milliseconds.
        signal.pthread_sigmask(signal.SIG_BLOCK, both)

        def in_the_child() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
            prctl(PR_SET_PDEATHSIG, signal.Signals[f"SIG{chosen.stop_signal}"])

        program = subprocess.Popen(chosen.command, preexec_fn=in_the_child)  # noqa: PLW1509 - there are no threads here
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
    except Stopped:
        return 0
    except OSError as error:
        print(f"keep: cannot start {chosen.command[0]}: {error}", file=sys.stderr)
        return 1

    while True:  # reaps orphans on the way
        pid, status = os.waitpid(-1, 0)
        if pid == program.pid:
            break
    stop_the_rest(chosen.grace)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
