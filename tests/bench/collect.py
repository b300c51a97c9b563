"""`make bench-collect`: what collecting costs, and how much of what platforms permit it uses; all from real runs.

    tests/bench/collect.py [--short] [--only PLATFORM]... [--skip-many] [--out FILE]

One hourly cycle of 10,000 accounts over eight platforms, then one of 100,000 accounts on one. Each collect is the
function of `assay collect` in a process of its own, against a sandbox of its own with 80 ms from each request to its
answer and its limits on, with a real Kafka and a real store. Rate windows are shortened by a factor that the table
states, the same for sandbox and collector, so that a rate that is the limit in production is the limit here. What came
of it is read back from Kafka and compared with the world's truth, and breaches are those that the sandbox counted.
At the end tables; `--out` appends each line as JSON. The exit code says only whether everything was published once and
no limit broken: figures depend on the machine.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import msgspec

from ingest.collect.known import object_key
from ingest.collect.ladder import due
from ingest.collect.platforms import REGISTRY
from ingest.land.store import S3Store
from ingest.settings import Settings
from tests.bench import collect_many
from tests.bench.collect_report import Cycle, described, ideal, measured, measured_many
from tests.bench.collect_world import Cycles, Work, write
from tests.bench.collecting import AGAIN, Counted, run_id
from tests.bench.measure import Cost, Running, await_quiet, machine, run, versions
from tests.bench.own_stack import own_stack
from tests.bench.published import published
from tests.bench.report import Measured, append, table

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
"""When each cycle begins, on the platforms' clock: all rate windows begin there too."""
LATENCY = 0.08
QUIET_SECONDS = 10.0
START_SECONDS = 60.0


@dataclass(frozen=True)
class Chosen:
    """How one platform takes part."""

    accounts: int
    shorten: float


CYCLE = {
    "youtube": Chosen(1_920, 1),
    "bluesky": Chosen(1_850, 1),
    "mastodon": Chosen(1_600, 20),
    "twitch": Chosen(1_500, 3),
    "x": Chosen(1_300, 1),
    "reddit": Chosen(1_000, 24),
    "tiktok": Chosen(480, 4),
    "instagram": Chosen(350, 720),
}
"""10,000 accounts. As many on each platform as one credential can read in an hour or a day there, or more."""
MANY = (10_000, 100_000)
"""Accounts on one platform without a limit: memory must not follow their number."""
SHORT = {"youtube": Chosen(250, 2), "mastodon": Chosen(150, 60)}
PERMITTED = {
    "tiktok_research_eligibility": "approval of the bench",
    "youtube_daily_units": 1_000_000,
    "tiktok_daily_units": 1_000_000,
    "x_daily_units": 100_000_000,
}
"""Budgets of a day are no limit of speed."""


def main() -> int:
    """Run the cycles that are asked for; 0 when all was published once and no limit broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--short", action="store_true", help="some hundred accounts on two platforms")
    options.add_argument("--only", action="append", choices=CYCLE, default=[])
    options.add_argument("--skip-many", action="store_true", help="leave the 100,000 accounts out")
    options.add_argument("--out", type=Path, help="append a JSON line for each figure to this file")
    asked = options.parse_args()
    about = {"machine": machine(), "versions": versions(), "moment": datetime.now(UTC).isoformat(timespec="seconds")}
    print(f"machine   {about['machine']}\nversions  {about['versions']}\n{await_quiet(QUIET_SECONDS)}", flush=True)
    chosen = SHORT if asked.short else CYCLE
    with own_stack() as settings:
        found = cycles(settings, {name: how for name, how in chosen.items() if not asked.only or name in asked.only})
    lines = measured(found)
    if not asked.short and not asked.skip_many:
        lines += many(MANY)
    if asked.out:
        append(asked.out, lines, **about)
    print(f"\n{about['machine']}\n{about['versions']}\n\n{described(found)}\n\n{table(lines)}")
    return 0 if all(line.right for line in lines) else 1


def cycles(settings: Settings, chosen: Mapping[str, Chosen]) -> list[Cycle]:
    """One hourly cycle of each platform, one after another, so that each has the machine to itself."""
    worlds = Cycles({name: how.accounts for name, how in chosen.items()}, NOW)
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as room:
        found = []
        for name, how in chosen.items():
            path = Path(room) / f"{name}.csv"
            own = settings.model_copy(update=PERMITTED | {"watchlist_path": path, "sandbox_shorten": how.shorten})
            found.append(cycle(own, worlds, name, how))
            print(found[-1].line, flush=True)
        return found


def cycle(settings: Settings, worlds: Cycles, name: str, how: Chosen) -> Cycle:
    """One platform's cycle, and how it compares with the truth."""
    work = worlds.prepare(settings, name)
    with (
        sandbox(settings, worlds.more, how.shorten) as server,
        tempfile.NamedTemporaryFile(prefix="assay-bench-") as answers,
    ):
        before = server.cpu()
        counted, cost = collected(settings, name, work, answers.name)
        busy = server.cpu() - before
        requests = httpx2.get(f"{address(settings)}/_truth/requests", trust_env=False).json()["requests"]
        again, _ = collected(settings, name, work, answers.name, AGAIN)  # without limits, so counted before
    own = [row for row in requests if row["platform"] == name]
    return Cycle(
        platform=name,
        accounts=how.accounts,
        shorten=how.shorten,
        latency=LATENCY,
        counted=counted,
        again=again,
        cost=cost,
        ideal=ideal(counted.ways, REGISTRY[name].pace, how.shorten, LATENCY),
        breaches=sum(row["count"] for row in own if row["status"] == 429),
        served=sum(row["count"] for row in own),
        sandbox_cpu=busy,
        wrong=wrong(settings, worlds, work, name),
    )


def collected(settings: Settings, name: str, work: Work, answers: str, *more: str) -> tuple[Counted, Cost]:
    """One collect in its own process."""
    write(settings, name, work.known)
    with tempfile.NamedTemporaryFile(prefix="assay-bench-") as out:
        asked = [sys.executable, "-m", "tests.bench.collecting", name, NOW.isoformat(), answers, out.name, *more]
        cost = run(asked, settings)
        return msgspec.json.decode(Path(out.name).read_bytes(), type=Counted), cost


def wrong(settings: Settings, worlds: Cycles, work: Work, name: str) -> list[str]:
    """How what is on Kafka differs from what the truth says that the cycle had to publish; empty when it does not."""
    accounts, posts = (published(settings, topic, run_id(name, again=False)) for topic in ("accounts", "posts"))
    fresh = worlds.published(name, NOW, max(posts.latest, accounts.latest, NOW))
    fresh |= {post for post, kind in posts.formats.items() if kind in REGISTRY[name].passing}  # streams on the air
    return [
        f"{len(found)} {what}, as {sorted(found)[0]}"
        for what, found in (
            ("accounts are missing", work.accounts - accounts.ids.keys()),
            ("accounts that nobody watches", accounts.ids.keys() - work.accounts),
            ("posts are missing", work.posts - posts.ids.keys()),
            ("posts that are not due", posts.ids.keys() - work.posts - fresh),
            ("posts twice", {post for post, times in posts.ids.items() if times > 1}),
        )
        if found
    ]


def many(counts: Sequence[int]) -> list[Measured]:
    """One hourly cycle of so many accounts on one platform, whose answers come at once."""
    name, server, lines = collect_many.PLATFORM, collect_many.Many(), []
    with own_stack() as settings, tempfile.TemporaryDirectory(prefix="assay-bench-") as room:
        own = settings.model_copy(update={"watchlist_path": Path(room) / "many.csv"})
        for accounts in counts:
            collect_many.watch(own.watchlist_path, accounts)
            known = server.known(accounts)
            work = Work(frozenset(), frozenset(), tuple(known))
            with serving(own, collect_many.command(own)):
                counted, cost = collected(own, name, work, os.devnull)
            S3Store(own).delete(object_key(name))
            wanted = len(due(known, NOW)), accounts
            lines += measured_many(accounts, counted, cost, (counted.notice.posts, counted.notice.accounts) == wanted)
            print(
                "\n".join(f"{line.what}: {line.value:,.0f} {line.unit} {line.verdict}" for line in lines[-3:]),
                flush=True,
            )
    return lines


def sandbox(settings: Settings, more: Mapping[str, int], shorten: float) -> AbstractContextManager[Running]:
    """A sandbox with so many accounts more on each platform, its limits on and its answers slow."""
    counts = [part for name, count in more.items() for part in ("--more", f"{name}={count}")]
    return serving(
        settings,
        [
            *(sys.executable, "-m", "infra.sandbox", "--port", str(settings.sandbox_port)),
            *("--latency", str(LATENCY), "--shorten", str(shorten), *counts),
        ],
    )


@contextlib.contextmanager
def serving(settings: Settings, command: Sequence[str]) -> Iterator[Running]:
    """A server in place of the platforms, until it is no longer needed."""
    server = Running(command, settings)
    try:
        await_answer(f"{address(settings)}/_health", server)
        yield server
    finally:
        server.stop()
        with contextlib.suppress(SystemExit):  # a server that is told to stop ends by that signal
            server.wait()


def address(settings: Settings) -> str:
    """Where the server in place of the platforms is; settings remember an address once it was asked for."""
    return f"http://127.0.0.1:{settings.sandbox_port}"


def await_answer(url: str, server: Running) -> None:
    """Until a server answers. Raises SystemExit when it ended instead, or takes too long."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.alive():
        with contextlib.suppress(httpx2.RequestError):
            httpx2.get(url, trust_env=False)
            return
        time.sleep(0.1)
    server.stop()
    server.wait()
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    sys.exit(main())
