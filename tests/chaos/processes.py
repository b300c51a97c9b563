"""Processes that chaos starts: landing workers, whose logs are read as they come, and nothing outlives us."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from ingest.settings import ROOT, Settings

PR_SET_PDEATHSIG = 1
KEPT_LINES = 400
LIBC = ctypes.CDLL(None)
ASSAY = str(Path(sys.executable).with_name("assay"))
COUNTED = re.compile(r"put (done|superseded|failed)|heads not found|buffer too old|discarded|out of range|too slow")
"""What a landing's log says that is worth a count."""


def end_with_us() -> None:
    """In the child: die when the thread that started it does, in a session that Ctrl-C does not reach."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Worker:
    """One landing process."""

    def __init__(self, name: str, command: list[str], settings: Settings, tell: Callable[[str], None] = str) -> None:
        self.name = name
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.seen: Counter[str] = Counter()
        """Lines of the log, by the words of COUNTED."""
        self.has_traceback = False
        self.ended_by_us = False
        """Killed, or told to stop."""
        self.process = subprocess.Popen(
            command,
            env=os.environ | settings.as_environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=end_with_us,  # noqa: PLW1509
        )
        self._tell = tell
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            self.has_traceback |= line.startswith("Traceback") or "Fatal Python error" in line
            said = COUNTED.search(line)
            if said:
                self.seen[said[0]] += 1
            self._tell(line)

    def is_running(self) -> bool:
        """Whether it has not ended, frozen or not."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """A signal; the last ones end it."""
        self.ended_by_us |= number in (signal.SIGKILL, signal.SIGTERM)
        self.process.send_signal(number)

    def wait(self, seconds: float | None = None) -> int:
        """Its exit code, when all of its log is read. Raises subprocess.TimeoutExpired."""
        code = self.process.wait(seconds)
        self._listener.join(5)
        return code

    def kill(self) -> None:
        """End it now."""
        if self.is_running():
            self.send(signal.SIGKILL)
        self.wait()


def wait_until(true: Callable[[], bool], seconds: float, pause: float = 0.1) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
