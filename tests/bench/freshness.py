"""How fresh the marts are: from `assay collect bluesky` finished to its rows in Postgres, by events alone, ten times.

    make bench-freshness

The stack is started if it does not run. Each time the real command collects, and nothing is triggered: its notice
starts `land`, the lake's asset starts `marts`. The clock runs from the command's end until a reader of Postgres sees
accounts observed by it. Prints all times, the median and the maximum, and the machine.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from ingest import stack
from ingest.settings import ROOT, Settings, load
from ingest.stack.airflow import ask

TIMES = 10
PATIENCE_SECONDS = 300.0
SEEN = "select count(*) from marts.dim_accounts where platform = 'bluesky' and last_observed_at >= %s"


def main() -> int:
    settings = load()
    stack.up(settings, progress=print)
    _wait_until_quiet(settings)
    seconds = []
    for number in range(1, TIMES + 1):
        seconds.append(_once(settings))
        print(f"{number:2d}: {seconds[-1]:5.1f} s", flush=True)
        _wait_until_quiet(settings)
    print(
        f"median {statistics.median(seconds):.1f} s, maximum {max(seconds):.1f} s over {TIMES}; "
        f"{os.cpu_count()} cores, {_processor()}, load {os.getloadavg()[0]:.1f}"
    )
    return 0 if statistics.median(seconds) < 45 and max(seconds) < 60 else 1


def _once(settings: Settings) -> float:
    """Seconds from the end of one collect to its first row in Postgres."""
    started = datetime.now(UTC)
    command = [str(Path(sys.executable).parent / "assay"), "collect", "bluesky"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finished = time.monotonic()
    with psycopg.connect(settings.bi_dsn, autocommit=True) as reader:
        while time.monotonic() - finished < PATIENCE_SECONDS:
            if (reader.execute(SEEN, [started]).fetchone() or [0])[0]:
                return time.monotonic() - finished
            time.sleep(0.1)
    raise SystemExit(f"what {started:%H:%M:%S} saw did not reach Postgres in {PATIENCE_SECONDS:g} s: `assay status`")


def _wait_until_quiet(settings: Settings) -> None:
    """Until no run is under way, so that each time starts from rest."""
    active = "/api/v2/dags/~/dagRuns?state=running&state=queued&limit=1"
    while ask(settings, active)["dag_runs"]:
        time.sleep(0.5)


def _processor() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return models[0].partition(":")[2].strip() if models else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
