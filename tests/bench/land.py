"""`make bench-land`: events through the real broker into the real store, beside a reference without guarantees.

Both read the same events in the same run, each as a process of its own, whose CPU time and peak memory the kernel
counts (imports and start-up included). Prints the machine, the versions, both rates and their ratio, then verifies.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from confluent_kafka import libversion

from ingest.land.store import S3Store
from ingest.land.verify import verify
from ingest.publish import PARTITIONS, create_topics
from ingest.settings import ROOT, Settings
from tests.bench.generate import produce
from tests.bench.own_stack import own_stack

LEAST_RATIO, AIM_RATIO = 0.5, 0.9
MOST_MEMORY_MB = 600


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    wall: float
    cpu: float
    peak_mb: float

    def rate(self, events: int) -> float:
        """Events a CPU second."""
        return events / self.cpu


def run(command: list[str], settings: Settings) -> Cost:
    """Run a process to its end. Raises SystemExit when it fails."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | settings.as_environment(), cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def land(settings: Settings) -> Cost:
    """Drain the topic with the command that people use."""
    return run([str(Path(sys.executable).parent / "assay"), "land", "--drain", "--topic", "posts"], settings)


def reference(settings: Settings, events: int, out: Path) -> Cost:
    """Read the same events without any guarantee."""
    program = str(Path(__file__).with_name("reference.py"))
    asked = {
        "bootstrap": settings.kafka,
        "topic": settings.topic("posts"),
        "partitions": PARTITIONS["posts"],
        "events": events,
        "out": out,
    }
    return run([sys.executable, program, *(f"--{name}={value}" for name, value in asked.items())], settings)


def bench(settings: Settings, events: int, seed: int) -> bool:
    """Fill the topic, land it, read it with the reference, verify; whether everything is as it should be."""
    print(f"machine   {os.cpu_count()} cores, {platform.machine()}, {_model()}, load {os.getloadavg()[0]:.1f}")
    names = ("pyarrow", "confluent-kafka", "msgspec", "boto3", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"versions  Python {platform.python_version()}, librdkafka {libversion()[0]}, {versions}")
    begun = time.monotonic()
    produce(settings, events, seed=seed)
    print(f"events    {events:,} in {PARTITIONS['posts']} partitions, produced in {time.monotonic() - begun:.0f} s")
    ours = land(settings)
    again = land(settings)
    with tempfile.TemporaryDirectory(prefix="assay-reference-") as out:
        theirs = reference(settings, events, Path(out))
        their_bytes = sum(file.stat().st_size for file in Path(out).iterdir())
    store = S3Store(settings)
    our_bytes = sum(entry.size for key in store.list("raw/posts/date=") if (entry := store.head(key)))
    print(f"{'':10}{'wall s':>8}{'CPU s':>8}{'events per CPU s':>18}{'peak MB':>9}{'MB written':>12}")
    for name, cost, size in (("landing", ours, our_bytes), ("reference", theirs, their_bytes)):
        print(
            f"{name:10}{cost.wall:8.1f}{cost.cpu:8.1f}{cost.rate(events):18,.0f}{cost.peak_mb:9.0f}{size / 1e6:12.1f}"
        )
    ratio = ours.rate(events) / theirs.rate(events)
    print(f"ratio     {ratio:.2f} (at least {LEAST_RATIO}, aim {AIM_RATIO}); start-up alone {again.cpu:.1f} CPU s")
    print(f"memory    {ours.peak_mb:.0f} MB at most (under {MOST_MEMORY_MB})")
    rows = verify(settings, ["posts"])
    right = all(row["ok"] and not row["lag"] for row in rows) and sum(row["rows"] for row in rows) == events
    print(f"verify    {'green' if right else 'RED'}: {sum(row['rows'] for row in rows):,} rows")
    for row in rows:
        if not row["ok"]:
            print(f"          {row}")
    return right and ratio >= LEAST_RATIO and ours.peak_mb < MOST_MEMORY_MB


def main() -> None:
    """Run the bench on a stack of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    with own_stack() as settings:
        S3Store(settings).create_bucket()
        create_topics(settings)
        right = bench(settings, asked.events, asked.seed)
    sys.exit(0 if right else 1)


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    main()
