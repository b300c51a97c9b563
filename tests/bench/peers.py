"""The landing against Spark Structured Streaming and Flink SQL: the same topic, the same columns, the same machine.

Both are JVMs that take seconds to start and to warm up, so that what counts is the *marginal* CPU: what the long run
takes more than one of a tenth of the events. Neither checks the contract; both write local files. What they need is
fetched once, below the cache directory of the settings: PySpark into an environment of its own, jars by Maven.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import duckdb

from ingest.land.columns import columns
from ingest.settings import ROOT, Settings
from tests.bench import sinks
from tests.bench.fill import create_posts, fill
from tests.bench.measure import Cost, run
from tests.bench.parts import Asked, measured, room, say
from tests.bench.report import Measured

ENGINES = Path(__file__).with_name("engines")
SPARK, FLINK = "4.2.0", "2.3.0"
PYSPARK = f"pyspark=={SPARK}"
SPARK_TYPES = {
    "text": "string",
    "instant": "timestamp",
    "integer": "bigint",
    "number": "double",
    "flag": "boolean",
    "texts": "array<string>",
}
FLINK_TYPES = {
    "text": "STRING",
    "instant": "TIMESTAMP_LTZ(3)",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "flag": "BOOLEAN",
    "texts": "ARRAY<STRING>",
}
SPARK_JARS = ("spark-sql-kafka", "spark-token-provider", "kafka-clients", "commons-pool2")
"""What PySpark does not bring itself."""
SHARE_OF_THE_SHORT_RUN = 10
OPENED = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "util", "time")]


class Missing(Exception):
    """What this machine lacks for a peer, in words."""


@dataclass(frozen=True)
class Peer:
    """How one of them is made ready, and its command for a topic and a directory."""

    name: str
    command: Callable[[Settings, Path, Path], list[str]]
    """Settings, the directory of what was fetched, the directory to write to."""


def spark(settings: Settings, fetched: Path, out: Path) -> list[str]:
    """The job under PySpark's own Python."""
    environment = fetched / "spark"
    installed = environment / "installed"
    if not installed.exists() or installed.read_text() != PYSPARK:
        uv = str(ROOT / ".venv-uv" / "bin" / "uv")
        _fetch([uv, "venv", "--quiet", "--clear", str(environment)])
        _fetch([uv, "pip", "install", "--quiet", "--python", str(environment), PYSPARK])
        installed.write_text(PYSPARK)
    jars = [jar for jar in _jars("spark", fetched) if Path(jar).name.startswith(SPARK_JARS)]
    asked = {
        "bootstrap": settings.kafka,
        "topic": settings.topic("posts"),
        "columns": ", ".join(f"`{column.name}` {SPARK_TYPES[column.kind]}" for column in columns("posts")),
        "jars": ",".join(jars),
        "out": out,
    }
    return [
        str(environment / "bin" / "python"),
        str(ENGINES / "spark_job.py"),
        *(f"--{name}={value}" for name, value in asked.items()),
    ]


def flink(settings: Settings, fetched: Path, out: Path) -> list[str]:
    """The job compiled, in a JVM with Flink's mini-cluster."""
    if shutil.which("javac") is None:
        raise Missing("there is no javac: install a JDK of 17 or newer (Debian, Ubuntu: default-jdk-headless)")
    classpath, classes = ":".join(_jars("flink", fetched)), fetched / "flink-classes"
    _fetch(["javac", "-d", str(classes), "-cp", classpath, str(ENGINES / "FlinkJob.java")])
    event = ", ".join(f"`{column.name}` {FLINK_TYPES[column.kind]}" for column in columns("posts"))
    logging = f"-Dlog4j2.configurationFile={ENGINES / 'log4j2.properties'}"
    java = ["java", "-Xmx3g", *OPENED, logging, "-cp", f"{classes}:{classpath}", "FlinkJob"]
    return [*java, settings.kafka, settings.topic("posts"), str(out), event]


PEERS = (Peer(f"Spark {SPARK}", spark), Peer(f"Flink {FLINK}", flink))


def peers(stack: Settings, asked: Asked) -> list[Measured]:
    """Marginal and whole-process events per CPU second of the landing and of each peer, and the landing's lead."""
    fetched = stack.cache_dir / "peers"
    fetched.mkdir(parents=True, exist_ok=True)
    spent: dict[str, dict[int, float]] = {"landing": {}}
    right = {"landing": True}
    skipped: set[str] = set()
    few = asked.events // SHARE_OF_THE_SHORT_RUN
    for events in (few, asked.events):
        settings = room(stack, f"peers{events}")
        create_posts(settings)
        say(str(fill(settings, events, seed=asked.seed)))
        here = replace(asked, events=events)
        costs: dict[str, list[Cost]] = {}
        for number in range(asked.runs):
            current = sinks.lake(settings, f"run{number}")
            costs.setdefault("landing", []).append(
                measured("landing", lambda current=current: sinks.drain(current), here)
            )
            for peer in PEERS:
                if peer.name in skipped:
                    continue
                try:
                    cost, rows_right = _run(peer, settings, fetched, here)
                except Missing as missing:
                    say(f"{peer.name}: skipped, {missing}")
                    skipped.add(peer.name)
                    continue
                costs.setdefault(peer.name, []).append(cost)
                right[peer.name] = right.get(peer.name, True) and rows_right
        right["landing"] &= sinks.is_right(current, events)
        for name, several in costs.items():
            spent.setdefault(name, {})[events] = median(cost.cpu for cost in several)
    marginal = {name: (asked.events - few) / max(cpu[asked.events] - cpu[few], 0.01) for name, cpu in spent.items()}
    lines = []
    for name, cpu in spent.items():
        details = {"events": asked.events, "cpu_s": round(cpu[asked.events], 2), "cpu_s_of_few": round(cpu[few], 2)}
        whole = asked.events / cpu[asked.events]
        unit = "events/CPU-s"
        lines.append(Measured("peers", f"{name}, marginal", marginal[name], unit, right=right[name], details=details))
        lines.append(Measured("peers", f"{name}, whole process", whole, unit, right=right[name]))
    for name in spent.keys() - {"landing"}:
        lead = marginal["landing"] / marginal[name]
        lines.append(Measured("peers", f"marginal, of {name}'s", lead, "x", 2.0, 2.8, right=right[name]))
    return lines


def _run(peer: Peer, settings: Settings, fetched: Path, asked: Asked) -> tuple[Cost, bool]:
    """One run of a peer over the topic, and whether it wrote every event once."""
    with tempfile.TemporaryDirectory(prefix="assay-peer-") as out:
        command = peer.command(settings, fetched, Path(out))
        cost = measured(peer.name, lambda: run(command, settings), asked)
        files = [str(file) for file in (Path(out) / "rows").rglob("part-*") if file.stat().st_size]
        found = duckdb.execute(
            "select count(*), count(distinct (_partition, _offset)), count(event_id), count(observed_at), count(_key) "
            "from read_parquet(?)",
            [files],
        ).fetchone()
    if set(found or ()) != {asked.events}:
        say(f"{peer.name} RED: rows, distinct offsets, ids, moments and keys are {found}")
        return cost, False
    return cost, True


def _jars(name: str, fetched: Path) -> list[str]:
    """The class path of `engines/NAME.xml`, resolved once."""
    file, pom = fetched / f"{name}.classpath", ENGINES / f"{name}.xml"
    if not file.exists() or file.stat().st_mtime < pom.stat().st_mtime:
        _fetch(["mvn", "-q", "-B", "-f", str(pom), "dependency:build-classpath", f"-Dmdep.outputFile={file}"])
    return file.read_text().strip().split(":")


def _fetch(command: list[str]) -> None:
    """Raises Missing when it fails, with the end of what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Missing(f"there is no {command[0]}") from None
    if done.returncode:
        raise Missing(f"{' '.join(command[:2])} failed: {(done.stdout + done.stderr).strip()[-500:]}")
