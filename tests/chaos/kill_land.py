"""`make kill-land`: `kill -9` a landing worker again and again, where it hurts, and verify the lake in the end.

Where a kill struck is told by what the worker's own log says and what the store holds afterwards, not by what was
aimed at. Workers drain and serve in turn; all go through a proxy that can hold a PUT.
"""

import argparse
import random
import re
import sys
import threading
import time
from collections import Counter

from ingest.land.store import S3Store
from ingest.land.verify import verify
from ingest.publish import create_topics
from ingest.settings import Settings
from tests.bench.own_stack import own_stack
from tests.chaos.processes import Worker
from tests.chaos.proxy import Proxy, before
from tests.land.lake import produce

DURING, BETWEEN, ELSEWHERE = "during a PUT", "between PUT and commit", "elsewhere"
WORKERS = {
    "drain": "worker.drain(load(), ['posts'])",
    "service": "service.follow(load(), ['posts'])",
}
PROGRAM = """
import logging
from ingest.land import service, worker
from ingest.settings import load
logging.basicConfig(level="INFO", format="%(asctime)s %(message)s")
{}
"""


class Struck(Worker):
    """A landing process that is to be killed where it hurts."""

    def __init__(self, kind: str, settings: Settings) -> None:
        self.kind = kind
        self.done = threading.Event()
        """The log says that a PUT is done."""
        super().__init__(kind, [sys.executable, "-c", PROGRAM.format(WORKERS[kind])], settings, self._hear)

    def _hear(self, line: str) -> None:
        if "put done" in line:
            self.done.set()

    def place(self, store: S3Store) -> str:
        """Where the kill struck, by the log and the store."""
        started = done = ""
        committed = True
        for line in self.lines:
            key = re.search(r"key=(\S+)", line)
            if "put start" in line and key:
                started, done = key[1], ""
            elif "put done" in line and key:
                done, committed = key[1], False
            elif "] commit " in line or " commit topic" in line:
                committed = True
        if started and not done:
            return DURING if store.head(started) is None else BETWEEN
        return BETWEEN if done and not committed else ELSEWHERE


def strike(worker: Struck, proxy: Proxy, aim: str, seconds: float) -> bool:
    """Kill the worker where aimed at, or after so many seconds; False when it ended by itself before."""
    is_there = {"during": proxy.is_holding, "replied": proxy.is_holding, "done": worker.done.is_set}.get(aim)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (is_there and is_there()):
        if not worker.is_running():
            return False
        time.sleep(0.0005 if aim == "done" else 0.05)
    worker.kill()
    return True


def kill_land(settings: Settings, kills: int, each: int, seed: int = 1) -> tuple[Counter[tuple[str, str]], bool]:
    """Kill workers until so many kills, and at least `each` of both places, were seen; then land the rest and verify.

    Returns kills by kind of worker and place, and whether the lake is right.
    """
    chance, store = random.Random(seed), S3Store(settings)
    counted: Counter[tuple[str, str]] = Counter()
    with before(settings.s3_port, settings.var_dir / "proxy.log") as proxy:
        through = settings.model_copy(
            update={"s3_endpoint": f"http://127.0.0.1:{proxy.port}", "land_object_seconds": 2.0}
        )
        aims = ["during", "replied", "done", "during", "replied"]
        for number in range(kills * 10):
            places = Counter(place for kind, place in counted.elements())
            if counted.total() >= kills and places[DURING] >= each and places[BETWEEN] >= each:
                break
            aim = aims[number % 5] if number % 7 != 6 else "anywhere"
            proxy.hold(aim if aim in ("during", "replied") else None)
            worker = Struck("service" if number % 6 == 5 else "drain", through)
            if strike(worker, proxy, aim, 40 if aim != "anywhere" else chance.uniform(1, 6)):
                place = worker.place(store)
                counted[worker.kind, place] += 1
                print(f"kill {counted.total():3} of a {worker.kind:7} aimed {aim:8} struck {place}", flush=True)
            elif worker.process.returncode > 0:
                raise SystemExit("\n".join([f"a worker ended with {worker.process.returncode}", *worker.lines]))
            if not worker.lines or "commit" in worker.lines[-1] or worker.process.returncode == 0:
                print("perhaps all is landed: more events", flush=True)
                produce(settings, 2_000, seed=seed + number + 1)
        proxy.hold(None)
        last = Struck("drain", through)
        if last.wait(600):
            raise SystemExit("\n".join(["the last worker failed", *last.lines]))
    rows = verify(settings, ["posts"])
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items() if value is not None))
    return counted, all(row["ok"] and not row["lag"] for row in rows)


def report(counted: Counter[tuple[str, str]], right: bool) -> None:
    """The table of kills, and the verdict."""
    print(f"\n{'place':24}{'drain':>8}{'service':>9}{'all':>6}")
    for place in (DURING, BETWEEN, ELSEWHERE):
        of = [counted[kind, place] for kind in WORKERS]
        print(f"{place:24}{of[0]:8}{of[1]:9}{sum(of):6}")
    print(f"{counted.total()} kills; verify {'green' if right else 'RED'}")


def main() -> None:
    """Run it on a stack of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--rows", type=int, default=25_000, help="rows of one object at most")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    with own_stack(land_object_rows=asked.rows) as settings:
        S3Store(settings).create_bucket()
        create_topics(settings)
        produce(settings, asked.events, seed=asked.seed)
        counted, right = kill_land(settings, asked.kills, 5, asked.seed)
    report(counted, right)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
