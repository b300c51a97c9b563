"""`assay doctor`: look at every part, and say the next step for whatever is wrong.

Each examination asks the thing itself (the broker for its topics, the store for a conditional PUT, the running
processes for their environment) instead of reading what was configured.
"""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from ingest import publish, watchlist
from ingest.errors import AssayError, DependencyFailed, Misconfigured
from ingest.land import probe
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.stack import airflow, needs, secret, supervise
from ingest.stack.parts import choose

Finding = dict[str, Any]

LEAST_FREE_BYTES = 5 << 30
MOST_LOG_BYTES = 2 << 30
LAKE_PREFIX = "raw/"


def examine(settings: Settings) -> list[Finding]:
    """A row for each finding: part, ok, finding, next_step (empty when there is nothing to do; a warning is ok)."""
    examinations = [_machine, _stack, _secrets, _watch_list, _disk]
    is_up = supervise.top(settings) is not None
    if is_up or settings.kafka_bootstrap:
        examinations.append(_topics)
    if is_up or settings.s3_endpoint:
        examinations.append(_store)
    if is_up or settings.postgres_dsn.get_secret_value():
        examinations.append(_postgres)
    if is_up:
        examinations.append(_airflow)
    findings: list[Finding] = []
    for look in examinations:
        try:
            findings += look(settings)
        except AssayError as error:
            findings.append(_wrong(look.__name__.strip("_").replace("_", " "), str(error), _next_step(error)))
    return findings


def _well(part: str, finding: str, warning: str = "") -> Finding:
    return {"part": part, "ok": True, "finding": finding, "next_step": warning}


def _wrong(part: str, finding: str, next_step: str) -> Finding:
    return {"part": part, "ok": False, "finding": finding, "next_step": next_step}


def _next_step(error: AssayError) -> str:
    if isinstance(error, DependencyFailed):
        return "`assay status`, then the part's log; `assay up` starts what has stopped"
    return "as the finding says"


def _machine(settings: Settings) -> Iterator[Finding]:
    needs.check_machine(settings, choose(settings))
    yield _well("machine", "Java, Maven and the environments are there")


def _stack(settings: Settings) -> Iterator[Finding]:
    """Each part of the running stack; of one that is down, whether its ports are free."""
    states = supervise.states(settings)
    for part in choose(settings):
        log = supervise.log_dir(settings) / f"{part.name}.log"
        if states is None:
            try:
                needs.check_ports([part])
            except Misconfigured as error:
                yield _wrong(part.name, str(error), "as the finding says")
            else:
                ports = "".join(f"; port {port} is free" for port in part.ports.values())
                yield _wrong(part.name, f"down{ports}", "`assay up`")
        elif part.name not in states:
            yield _wrong(part.name, "was not started with the rest", "`assay up`")
        elif states[part.name].state == "RUNNING" and part.is_well():
            yield _well(part.name, f"up {part.where}".strip())
        else:
            state = states[part.name].state.lower()
            yield _wrong(
                part.name, f"{state}, but not well", f"read {log}; `assay up` starts it again if it has stopped"
            )


def _secrets(settings: Settings) -> Iterator[Finding]:
    file = secret.path(settings, secret.MEMBER_KEY)
    if settings.member_key.get_secret_value():
        yield _well("member key", "set in ASSAY_MEMBER_KEY")
    elif not file.exists():
        yield _wrong(
            "member key", f"there is none in {file}", "`assay up` makes one; audiences are not sampled without"
        )
    elif stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield _wrong("member key", f"{file} can be read by others", f"`chmod 600 {file}`")
    else:
        yield _well("member key", f"in {file}; keep a copy: without it old and new members cannot be joined")


def _watch_list(settings: Settings) -> Iterator[Finding]:
    watched = watchlist.read(settings.watchlist_path)
    yield _well("watch list", f"{len(watched)} accounts in {settings.watchlist_path}")


def _disk(settings: Settings) -> Iterator[Finding]:
    there = next(path for path in (settings.var_dir, *settings.var_dir.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        yield _wrong("disk", f"{free >> 20} MiB free", f"make room: broker and lake grow in {settings.var_dir}")
    else:
        yield _well("disk", f"{free >> 30} GiB free")
    for name, directory in {"logs": supervise.log_dir(settings), "Airflow's logs": airflow.logs(settings)}.items():
        size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file() and not file.is_symlink())
        if size > MOST_LOG_BYTES:
            yield _wrong(name, f"{size >> 20} MiB in {directory}", f"`find {directory} -type f -mtime +7 -delete`")
        else:
            yield _well(name, f"{size >> 20} MiB in {directory}")


def _postgres(settings: Settings) -> Iterator[Finding]:
    try:
        psycopg.connect(settings.postgres, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        yield _wrong("marts' database", str(error).splitlines()[0], "`assay up`, or check ASSAY_POSTGRES_DSN")
    else:
        yield _well("marts' database", "answers")


def _topics(settings: Settings) -> Iterator[Finding]:
    """The configuration that the broker says it uses, beside the one that assay needs."""
    admin = publish.administer(settings)
    try:
        there = set(admin.list_topics())
        for name in publish.PARTITIONS:
            topic = settings.topic(name)
            if topic not in there:
                yield _wrong(f"topic {topic}", "does not exist", "`assay up` makes it")
                continue
            said = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            has = {key: one["value"] for key, one in said["topic"][topic].items()}
            yield _judge_topic(topic, publish.topic_configuration(name), has)
    except KafkaError as error:
        raise DependencyFailed(f"Kafka at {settings.kafka} failed: {type(error).__name__}: {error}") from error
    finally:
        admin.close()


def _judge_topic(topic: str, wanted: dict[str, str], has: dict[str, str]) -> Finding:
    """Beyond what is wanted, more retention and larger messages do no harm."""
    other = {name: has.get(name) for name, value in wanted.items() if has.get(name) != value}
    if not other:
        return _well(f"topic {topic}", f"{wanted['message.timestamp.type']}, {_days(wanted['retention.ms'])} days kept")
    shown = ", ".join(f"{name}={value}, wanted {wanted[name]}" for name, value in other.items())
    repair = ",".join(f"{name}={wanted[name]}" for name in other)
    step = f"kafka-configs.sh --alter --topic {topic} --add-config {repair}"
    if "message.timestamp.type" in other:
        step += "; records that came before keep their timestamps, and landing refuses them: make the topic anew"
    return _wrong(f"topic {topic}", shown, step)


def _days(milliseconds: str) -> int:
    return int(milliseconds) // publish.DAY_MS


def _store(settings: Settings) -> Iterator[Finding]:
    store = S3Store(settings)
    for one, fault in probe.examine(store):
        if fault is None:
            yield _well(f"object store, {one.name}", f"holds in s3://{settings.lake_bucket}")
        else:
            step = f"{one.serves} cannot rest on it: use a store that does (docs/stores.md) in ASSAY_S3_ENDPOINT"
            yield _wrong(f"object store, {one.name}", fault, step)
    expiring = [
        prefix for prefix in store.expiring() if LAKE_PREFIX.startswith(prefix) or prefix.startswith(LAKE_PREFIX)
    ]
    if expiring:
        yield _well(
            "lake",
            f"warning: the store's lifecycle rules remove objects under {expiring}",
            "remove these rules: an object that goes too early is landed twice, the last of a partition never may",
        )


def _airflow(settings: Settings) -> Iterator[Finding]:
    try:
        pools = {pool["name"]: pool["slots"] for pool in airflow.ask(settings, "/api/v2/pools?limit=100")["pools"]}
        errors = airflow.ask(settings, "/api/v2/importErrors")["import_errors"]
    except httpx2.HTTPError as error:
        yield _wrong("Airflow", f"its API does not answer as it should: {error}", "read var/log/airflow-api.log")
        return
    for name, pool in airflow.pools().items():
        if name not in pools:
            yield _wrong(f"pool {name}", "is missing: its tasks never start", "`assay down`, then `assay up`")
        elif pools[name] != pool["slots"]:
            yield _well(f"pool {name}", f"{pools[name]} slots", f"{pool['slots']} are meant; the next start sets that")
        else:
            yield _well(f"pool {name}", f"{pools[name]} slots")
    for fault in errors:
        last = fault["stack_trace"].strip().splitlines()[-1]
        yield _wrong("DAGs", f"{fault['filename']} does not load: {last}", "correct the file; Airflow reads it again")
    yield _connection(settings)


def _connection(settings: Settings) -> Finding:
    """What the running triggerer has, not what it would get today."""
    part, variable = f"connection {airflow.KAFKA_CONNECTION}", f"AIRFLOW_CONN_{airflow.KAFKA_CONNECTION.upper()}"
    state = (supervise.states(settings) or {}).get("airflow-triggerer")
    if state is None or not state.pid:
        return _wrong(part, "the triggerer does not run", "`assay up`")
    has = dict(line.partition("=")[::2] for line in Path(f"/proc/{state.pid}/environ").read_text().split("\0"))
    if has.get(variable) != airflow.kafka_connection(settings):
        return _wrong(part, "the triggerer runs with another one", "`assay up` starts it with these settings")
    return _well(part, f"bootstrap servers {settings.kafka}")
