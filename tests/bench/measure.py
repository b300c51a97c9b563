"""What a process costs, what the machine is, and whether anything else keeps it busy."""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from confluent_kafka import libversion

from ingest.settings import ROOT, Settings
from tests.bench import meter

QUIET_CORES = 0.3
"""More than this in use by others before a run, and the run is not to be trusted."""
PACKAGES = ("pyarrow", "duckdb", "confluent-kafka", "msgspec", "boto3", "numpy")
Command = Sequence[str]


@dataclass(frozen=True)
class Cost:
    """What one run of a command took."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """CPU seconds of it and all that it started, threads and imports included."""
    other: float
    """CPU seconds of everything else on the machine meanwhile: broker and store, if nothing else runs."""
    peak: float
    """MB of resident memory at most."""


class Running:
    """A command that runs, under `meter.py`."""

    def __init__(self, command: Command, settings: Settings, *, cpu: int | None = None) -> None:
        self._command = command
        self._out = Path(tempfile.mkstemp(prefix="assay-meter-")[1])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - `wait` closes it
        core = [] if cpu is None else ["--cpu", str(cpu)]
        self._process = subprocess.Popen(
            [sys.executable, "-I", meter.__file__, "--out", str(self._out), *core, "--", *command],
            env=os.environ | settings.as_environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def cpu(self) -> float:
        """CPU seconds so far, without the meter's own."""
        return sum(meter.cpu_seconds(pid) for pid in meter.children(self._process.pid))

    def wanted(self) -> float:
        """CPU seconds so far of its living threads, with those that they waited for a core."""
        return sum(meter.wanted_seconds(pid) for pid in meter.children(self._process.pid))

    def stop(self) -> None:
        """Tell the command to stop, as a supervisor would."""
        self._process.send_signal(signal.SIGTERM)

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait(self) -> Cost:
        """What it took, once it has ended. Raises SystemExit with the end of its output when it failed."""
        self._process.wait()
        self._log.seek(0)
        said, text = self._log.read().decode(errors="replace"), self._out.read_text()
        self._log.close()
        self._out.unlink()
        took = json.loads(text) if text else {"code": self._process.returncode}
        if took.pop("code"):
            raise SystemExit(f"{' '.join(self._command)} failed:\n{said[-3000:]}")
        return Cost(**took)


def run(command: Command, settings: Settings, *, cpu: int | None = None) -> Cost:
    """Run a command to its end."""
    return Running(command, settings, cpu=cpu).wait()


def await_quiet(seconds: float) -> str:
    """Wait so long until little else runs; the load in words, with a warning when it stays."""
    end, busy = time.monotonic() + seconds, _busy_cores()
    while busy > QUIET_CORES and time.monotonic() < end:
        busy = _busy_cores()
    warning = "" if busy <= QUIET_CORES else f"; WARNING: {busy:.2f} cores are busy with something else"
    return f"load {os.getloadavg()[0]:.2f}, {busy:.2f} cores busy before the run{warning}"


def _busy_cores() -> float:
    """Cores in use over one second."""
    before = meter.busy_seconds()
    time.sleep(1.0)
    return meter.busy_seconds() - before


def machine() -> str:
    """What this machine is, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {platform.machine()}, {model}, {gigabytes:.0f} GiB, load {os.getloadavg()[0]:.2f}"


def versions() -> str:
    """What takes part, in one line."""
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    kafka = ElementTree.parse(ROOT / "infra" / "kafka" / "pom.xml").findtext(".//{*}dependency/{*}version")
    stores = [path.name.removesuffix(".dist-info") for path in ROOT.glob(".venv-s3/lib/*/site-packages/ministack-*")]
    python = f"Python {platform.python_version()}"
    return ", ".join([python, f"Kafka {kafka}", *stores, f"librdkafka {libversion()[0]}", *packages])
