"""Run one command and say what it cost: it and all that it started, exactly, as the kernel counts them.

    python -I meter.py --out FILE [--cpu N] -- COMMAND...

A small process of its own, for three reasons: descendants whose parent ended first come back to it (it is their
sub-reaper), so that no CPU time is lost; the kernel counts the memory of whoever forks as the child's own peak, and
here that is 10 MB; and it dies with the bench, its command with it. SIGTERM is passed on. Writes one JSON object:
code, wall and cpu in seconds, other (CPU seconds of all else on this machine meanwhile), peak in MB.
"""

import argparse
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOOK_SECONDS = 0.25
LEFT_SECONDS = 20.0
"""How long descendants may live on after the command itself."""
IDLE, WAITING_FOR_DISK = 3, 4
COUNTED = 8
"""Fields of /proc/stat that do not count one another's time again."""


def busy_seconds() -> float:
    """CPU seconds that this machine has used since it started, all cores and processes together."""
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:COUNTED]) - fields[IDLE] - fields[WAITING_FOR_DISK]) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The living children of a process; none if it has ended."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:  # it, or a thread of it, ended meanwhile
        pass
    return found


def descendants(pid: int) -> list[int]:
    """The process and all that it started, as far as they live."""
    return [pid, *(below for child in children(pid) for below in descendants(child))]


def cpu_seconds(pid: int) -> float:
    """What the process and its descendants have used so far, threads included."""
    ticks = 0
    for one in descendants(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # user and system time, its own and its waited-for children's
    return ticks / os.sysconf("SC_CLK_TCK")


def wanted_seconds(pid: int) -> float:
    """What its living threads and its descendants' have used so far, and what they waited for a core beside."""
    nanoseconds = 0
    for one in descendants(pid):
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                nanoseconds += sum(map(int, Path(f"/proc/{one}/task/{task}/schedstat").read_text().split()[:2]))
        except OSError:  # ended meanwhile
            continue
    return nanoseconds / 1e9


def peak_megabytes(pid: int) -> float:
    """Sum of the peaks of resident memory of the process and its descendants."""
    kilobytes = 0
    for one in descendants(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return kilobytes / 1024


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Run the command to its end."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--cpu", type=int, help="the only core that the command may use")
    options.add_argument("command", nargs="+")
    asked = options.parse_args()
    _die_with_parent()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    if asked.cpu is not None:
        os.sched_setaffinity(0, {asked.cpu})
    begun, before = time.monotonic(), busy_seconds()
    process = subprocess.Popen(asked.command, preexec_fn=_die_with_parent)  # noqa: PLW1509 - one thread
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: process.send_signal(number))
    ended, peak = select.poll(), 0.0
    ended.register(os.pidfd_open(process.pid), select.POLLIN)
    while not ended.poll(LOOK_SECONDS * 1000):
        peak = max(peak, peak_megabytes(process.pid))
    wall = time.monotonic() - begun
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    _reap_the_rest()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    own = resource.getrusage(resource.RUSAGE_SELF)
    asked.out.write_text(
        json.dumps(
            {
                "code": process.returncode,
                "wall": wall,
                "cpu": cpu,
                "other": busy_seconds() - before - cpu - own.ru_utime - own.ru_stime,
                "peak": max(peak, usage.ru_maxrss / 1024),
            }
        )
    )


def _reap_the_rest() -> None:
    """Wait for descendants that outlived the command; end those that do not go by themselves."""
    end = time.monotonic() + LEFT_SECONDS
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > end:
                for one in descendants(os.getpid())[1:]:
                    os.kill(one, signal.SIGKILL)
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
