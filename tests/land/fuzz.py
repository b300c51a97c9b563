"""`make fuzz`: bent payloads through the decoder, alone and among good events, in a process that may die of them.

    .venv/bin/python -m tests.land.fuzz --count 100000 --seed 7 [--broker 5000] [--batch 12]

A child does the work and marks what it is about to read, so that a parser that ends its process is a finding like any
other: the parent names the payload, keeps it and goes on behind it. Findings lie in `var/fuzz/`; seed and batch repeat
them. `--broker` payloads more go through the real broker and `assay land`, by `tests.land.fuzz_broker`.

Why structured and not coverage-guided: the parsers are compiled without coverage counters, so that a guided fuzzer
(Atheris) would see only our own few branches.
"""

import argparse
import base64
import json
import mmap
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.settings import ROOT
from tests.land.fuzzed import NEIGHBOUR, WHOLE, Batch, batch, examine, show

FINDINGS = ROOT / "var" / "fuzz"
BATCH_SECONDS = 120
"""A batch that takes longer hangs: the alarm ends the child, which is a finding."""
ENOUGH = 10
"""Findings after which it stops."""
MARK = struct.Struct("<qq")
BEFORE = -2
"""The mark while the batch is judged record by record."""
CHILD = (sys.executable, "-m", "tests.land.fuzz")


@dataclass
class Result:
    """What a run saw."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Payloads by way and verdict."""
    batches: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def payloads(self) -> int:
        """Bent payloads; neighbours come on top."""
        return sum(count for (way, _), count in self.counts.items() if way != NEIGHBOUR)


def fuzz(
    seed: int,
    count: int,
    *,
    first: int = 0,
    findings: Path = FINDINGS,
    enough: int = ENOUGH,
    child: Sequence[str] = CHILD,
) -> Result:
    """At least `count` bent payloads, from batch `first` on; `child` is the command that does the work."""
    result, number = Result(), first
    with tempfile.TemporaryDirectory(prefix="assay-fuzz-") as directory:
        mark, said = Path(directory) / "mark", Path(directory) / "stderr"
        while result.payloads < count and len(result.faults) < enough:
            mark.write_bytes(MARK.pack(number, BEFORE))
            arguments = [str(part) for part in (seed, number, count - result.payloads, directory)]
            with (
                said.open("wb") as stderr,
                subprocess.Popen(
                    [*child, "--child", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr
                ) as process,
            ):
                assert process.stdout is not None
                for line in process.stdout:
                    number = _take(result, seed, json.loads(line), findings) + 1
            if process.returncode:
                number = _died(result, seed, process.returncode, mark, said, findings) + 1
    return result


def work(seed: int, first: int, count: int, directory: Path) -> Iterator[dict[str, object]]:
    """The child's part: batches from `first` on until `count` bent payloads are read; a finding each."""
    mark = (directory / "mark").open("r+b")
    with mark, mmap.mmap(mark.fileno(), MARK.size) as memory:
        number, done = first, 0
        while done < count:
            MARK.pack_into(memory, 0, number, BEFORE)
            signal.alarm(BATCH_SECONDS)
            found = batch(seed, number)
            counts, faults = examine(found, directory, lambda row, at=number: MARK.pack_into(memory, 0, at, row))
            yield {"batch": number, "counts": [[*key, many] for key, many in counts.items()], "faults": faults}
            done += found.fuzzed
            number += 1


def _take(result: Result, seed: int, line: dict, findings: Path) -> int:
    result.batches += 1
    result.counts.update({(way, verdict): many for way, verdict, many in line["counts"]})
    if line["faults"]:
        kept = _keep(findings, seed, batch(seed, line["batch"]), line["batch"], line["faults"])
        result.faults += [f"batch {line['batch']}: {fault} (kept in {kept})" for fault in line["faults"]]
    return line["batch"]


def _died(result: Result, seed: int, ended: int, mark: Path, said: Path, findings: Path) -> int:
    """Count a child that ended by itself; the number of the batch that it ended in."""
    number, row = MARK.unpack(mark.read_bytes())
    found = batch(seed, number)
    by = signal.Signals(-ended).name if ended < 0 else f"exit code {ended}"
    where = {BEFORE: "the batch record by record", WHOLE: "the whole batch"}.get(
        row, f"row {row} alone, made by {found.ways[row]}: {show(found.payloads[row])}"
    )
    last = said.read_text(errors="replace").strip().rpartition("\n")[2]
    fault = f"the process ended by {by} reading {where}: {last}"
    kept = _keep(findings, seed, found, number, [fault])
    result.faults.append(f"batch {number} ({found.topic}): {fault} (kept in {kept})")
    result.counts["died", by] += 1
    return number


def _keep(findings: Path, seed: int, found: Batch, number: int, faults: list[str]) -> Path:
    findings.mkdir(parents=True, exist_ok=True)
    path = findings / f"{seed}-{number}.json"
    payloads = [None if one is None else base64.b64encode(one).decode() for one in found.payloads]
    kept = {"topic": found.topic, "faults": faults, "ways": found.ways, "payloads": payloads}
    path.write_text(json.dumps(kept, indent=1))
    return path


def table(counts: Counter[tuple[str, str]]) -> str:
    """Counts as lines for a person: a way a line, a verdict a column."""
    verdicts = sorted({verdict for _, verdict in counts})
    lines = [f"{'way':12}" + "".join(f"{verdict:>10}" for verdict in verdicts)]
    for way in sorted({way for way, _ in counts}):
        lines.append(f"{way:12}" + "".join(f"{counts[way, verdict]:>10}" for verdict in verdicts))
    return "\n".join(lines)


def main() -> int:
    """Fuzz, print what was seen, and say how to repeat it; 1 on any finding."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="bent payloads; good neighbours come on top")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--batch", type=int, default=None, help="only this batch of the seed")
    parser.add_argument("--broker", type=int, default=0, help="payloads through the real broker, besides")
    parser.add_argument("--child", nargs=4, default=None, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        seed, first, count = map(int, chosen.child[:3])
        for line in work(seed, first, count, Path(chosen.child[3])):
            print(json.dumps(line), flush=True)
        return 0
    seed = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    begun = time.monotonic()
    one = chosen.batch is not None
    result = fuzz(seed, 1 if one else chosen.count, first=chosen.batch or 0)
    print(table(result.counts))
    print(f"seed {seed}: {result.payloads} bent payloads in {result.batches} batches, {time.monotonic() - begun:.0f} s")
    if chosen.broker and not one:
        from tests.land.fuzz_broker import own_broker

        result.faults += own_broker(seed, chosen.broker)
    for fault in result.faults:
        print(f"FAULT {fault}")
    print(f"{len(result.faults)} faults" + (f"; repeat one: make fuzz seed={seed} batch=N" if result.faults else ""))
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
