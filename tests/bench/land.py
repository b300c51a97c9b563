"""`make bench-land`: what the landing costs, against what is asked of it; all from real runs on this machine.

    tests/bench/land.py [--only PART]... [--skip PART]... [--events N] [--runs N] [--seed N] [--out FILE]

Every part starts a broker and a store of its own in a temporary directory, fills them, measures processes from
outside (CPU of all threads and children, peak memory, by the kernel's count) and verifies what landed. Before each run
it says how busy the machine was: nothing else should run. At the end one table; `--out` appends each line as JSON.
The exit code says only whether all rows landed once: figures depend on the machine.
"""

import argparse
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import parts, peers
from tests.bench.measure import machine, versions
from tests.bench.own_stack import own_stack
from tests.bench.report import Measured, append, table

PARTS: dict[str, tuple[parts.Part, int]] = {
    "speed": (parts.speed, 2_000_000),
    "large": (parts.large, 1_000_000),
    "poison": (parts.poison, 500_000),
    "workers": (parts.workers, 3_000_000),
    "memory": (parts.memory, 2_000_000),
    "idle": (parts.idle, 0),
    "backlog": (parts.backlog, 12_000_000),
    "peers": (peers.peers, 2_000_000),
}
"""Each part with its number of events."""
DISK_BYTES_PER_EVENT = 1_000
DISK_BYTES_PER_LARGE_EVENT = 4_000
"""Broker, lakes of all runs and the peers' output together, generously."""


def main() -> int:
    """Run the parts that are asked for; 0 when every row was right."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", action="append", choices=PARTS, default=[])
    options.add_argument("--skip", action="append", choices=PARTS, default=[])
    options.add_argument("--events", type=int, help="of every part chosen, instead of each part's own number")
    options.add_argument("--runs", type=int, default=3, help="of each sink; the median counts")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, help="append a JSON line for each figure to this file")
    asked = options.parse_args()
    about = {"machine": machine(), "versions": versions(), "moment": datetime.now(UTC).isoformat(timespec="seconds")}
    print(f"machine   {about['machine']}\nversions  {about['versions']}", flush=True)
    lines: list[Measured] = []
    for name, (part, usual) in PARTS.items():
        if name in asked.skip or (asked.only and name not in asked.only):
            continue
        events = asked.events or usual
        needed = events * (DISK_BYTES_PER_LARGE_EVENT if name == "large" else DISK_BYTES_PER_EVENT)
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < needed:
            print(f"{name}: skipped, {tempfile.gettempdir()} has {free / 1e9:.1f} GB free of {needed / 1e9:.1f} needed")
            continue
        print(f"{name}", flush=True)
        with own_stack() as settings:
            found = part(settings, parts.Asked(events, asked.runs, asked.seed))
        lines += found
        if asked.out:
            append(asked.out, found, **about)
    print(f"\n{about['machine']}\n{about['versions']}\n\n{table(lines)}")
    return 0 if all(line.right for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
