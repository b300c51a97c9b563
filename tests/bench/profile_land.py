"""`make profile-land`: where one drain's CPU time goes, by stage, as py-spy and the kernel see it.

    tests/bench/profile_land.py [--events N] [--raw-bytes N] [--stacks FILE]

py-spy samples the worker's Python thread with its native frames; a sample belongs to the stage of the innermost frame
that a pattern below names. librdkafka's threads run no Python: their share, and that of all other threads, is the
kernel's count. `--stacks` keeps them, for a flame graph. Being watched costs: the rates are `make bench-land`'s.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ingest.settings import ROOT
from tests.bench import meter, sinks
from tests.bench.fill import create_posts, fill
from tests.bench.measure import machine, versions
from tests.bench.own_stack import own_stack
from tests.bench.parts import room

STAGES = {
    "imports": ("<frozen importlib", "(ingest/cli.py"),
    "garbage collection": ("gc_collect_main",),
    "consume": ("Consumer_consume", "rd_kafka_", "Message_new"),
    "accessors": ("Message_", "_take (ingest/land/consumer.py", "poll (ingest/land/consumer.py"),
    "hash": ("sha256", "SHA256", "hashlib"),
    "Parquet encode": ("parquet::", "write_table", "ObjectWriter.compact", "ObjectWriter.close"),
    "validate": ("_unmatched", "_moments", "re2::"),
    "decode": ("(msgspec/", "_Verdicts", "judge (ingest", "duckdb"),
    "columns": ("_arrays (ingest", "arrow::py::", "rows (ingest/land/encode.py", "(ingest/land/decode.py"),
    "buffering": ("(ingest/land/partition.py", "(ingest/land/encode.py"),
    "PUT and other requests": ("(ingest/land/store.py", "(botocore/", "(urllib3/"),
    "Kafka's metadata": ("(ingest/land/broker.py",),
}
"""What names a stage in a frame; the innermost frame wins, and of one frame the first stage."""


def stage(frames: list[str]) -> str:
    """The stage that a stack of frames, outermost first, belongs to."""
    for frame in reversed(frames):
        for name, patterns in STAGES.items():
            if any(pattern in frame for pattern in patterns):
                return name
    return "rest"


def main() -> None:
    """Profile one drain of a topic of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=2_000_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--raw-bytes", type=int, default=0, help="of `raw` in each event; 1600 makes 2 KB events")
    options.add_argument("--stacks", type=Path, help="keep them here")
    asked = options.parse_args()
    print(f"machine   {machine()}\nversions  {versions()}", flush=True)
    with own_stack() as stack, tempfile.TemporaryDirectory(prefix="assay-profile-") as scratch:
        settings = room(stack, "profile")
        create_posts(settings)
        print(fill(settings, asked.events, seed=asked.seed, raw_bytes=asked.raw_bytes), flush=True)
        stacks = asked.stacks or Path(scratch) / "stacks"
        spy = [str(Path(sys.executable).parent / "py-spy"), "record", "--native", "--rate=200", "--format=raw"]
        drain = [sinks.ASSAY, "land", "--drain", "--topic", "posts"]
        process = subprocess.Popen(
            [*spy, f"--output={stacks}", "--", *drain],
            env=os.environ | sinks.lake(settings, "run").as_environment(),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        threads: dict[tuple[int, str], float] = {}
        while process.poll() is None:
            for pid in meter.children(process.pid):
                threads |= _threads(pid)
            time.sleep(0.2)
        if process.returncode:
            raise SystemExit(f"py-spy failed: {process.stderr.read().decode() if process.stderr else ''}")
        print(report(stacks.read_text().splitlines(), threads))


def report(stacks: list[str], threads: dict[tuple[int, str], float]) -> str:
    """Shares by thread and, of the Python threads, by stage. A stack is `frame;frame;… samples`."""
    by_kind: Counter[str] = Counter()
    for (_, name), seconds in threads.items():
        by_kind["librdkafka's threads" if name.startswith("rdk:") else "Python and its libraries"] += seconds
    lines = [
        f"{seconds:8.2f} CPU s  {seconds / sum(by_kind.values()):4.0%}  {kind}" for kind, seconds in by_kind.items()
    ]
    by_stage: Counter[str] = Counter()
    for stack in stacks:
        frames, _, samples = stack.rpartition(" ")
        by_stage[stage(frames.split(";"))] += int(samples)
    total = max(by_stage.total(), 1)
    lines.append(f"of Python's, by {total:,} samples:")
    lines += [f"{samples / total:8.1%}  {name}" for name, samples in by_stage.most_common()]
    return "\n".join(lines)


def _threads(pid: int) -> dict[tuple[int, str], float]:
    """CPU seconds of each living thread so far, by its id and name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            head, _, tail = task.read_text().rpartition(")")
        except OSError:  # ended meanwhile
            continue
        user, system = tail.split()[11:13]
        found[int(task.parent.name), head.partition("(")[2]] = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return found


if __name__ == "__main__":
    main()
