"""The local stack: Postgres, object store, Kafka, sandbox and Airflow under supervisor, all on 127.0.0.1."""

import time
from collections.abc import Callable

from ingest.errors import DependencyFailed
from ingest.settings import Settings
from ingest.stack import airflow, needs, prepare, secret, supervise
from ingest.stack.parts import ALL, STORES, Part, choose, fingerprint, inherited, run_dir
from ingest.stack.state import status

__all__ = ["ALL", "STORES", "down", "status", "up"]

Progress = Callable[[str], None]

STARTED_WITH = "started-with"
PATIENCE_SECONDS = 300
"""For a cold start on two busy cores; a usual one takes 30."""
RESTARTS = 3
"""A part that supervisor had to start again so often will not come up."""


def up(
    settings: Settings,
    *,
    progress: Progress | None = None,
    names: tuple[str, ...] = ALL,
    outlive_us: bool = True,
) -> None:
    """Start the parts of `names`, make what they need (databases, topics, bucket, secrets), wait until all are well.

    Idempotent: of a running stack only what is missing or has stopped is started, and one that was started with other
    settings is started anew. A start from nothing that fails or is interrupted stops everything again. With
    `outlive_us=False` the stack ends with the calling process, however that ends.

    Raises Misconfigured when the machine lacks something or a port is taken (nothing was started then),
    DependencyFailed when a part does not become well, with the end of its log.
    """
    say = progress or (lambda _text: None)
    began = time.monotonic()
    parts = choose(settings, names)
    needs.check_machine(settings, parts)
    running = _running(settings, say)
    needs.check_ports([part for part in parts if part.name not in running])
    secret.make_once(settings, secret.MEMBER_KEY, secret.token())
    try:
        if running:
            for name in supervise.start_stopped(settings):
                say(f"{name}: had stopped, started again")
            there = tuple(name for name in ALL if name in {*running, *names})
            added = supervise.add(settings, choose(settings, there))
            if added:
                say(f"starting {', '.join(added)}")
        else:
            _start(settings, parts, say, outlive_us=outlive_us)
        _await(settings, [part for part in parts if part.name in STORES], say)
        prepare.everything(settings, names, say)
        _await(settings, [part for part in parts if part.name not in STORES], say)
    except BaseException:
        if not running:
            supervise.stop(settings)
        raise
    say(f"all up in {time.monotonic() - began:.1f} s; logs in {supervise.log_dir(settings)}")
    if airflow.API in names:
        say(f"Airflow: {airflow.url(settings)} (admin / {airflow.passwords(settings)['admin']})")


def down(settings: Settings, *, progress: Progress | None = None) -> None:
    """Stop the stack and wait until its last process is gone; data stays. Raises DependencyFailed if one stays."""
    say = progress or (lambda _text: None)
    began = time.monotonic()
    if supervise.top(settings) is None:
        say("the stack is not running")
        return
    say("stopping the stack (Airflow's triggerer takes 12 s)")
    supervise.stop(settings)
    say(f"all down in {time.monotonic() - began:.1f} s; data stays in {settings.var_dir}")


def _running(settings: Settings, say: Progress) -> set[str]:
    """Names of the parts of the running stack; of one that was started with other settings none, after stopping it."""
    if supervise.top(settings) is None:
        return set()
    started_with = run_dir(settings) / STARTED_WITH
    states = supervise.states(settings)
    if states and started_with.exists() and started_with.read_text() == fingerprint(settings):
        return set(states)
    say("the stack runs with other settings: it is stopped and started again")
    supervise.stop(settings)
    return set()


def _start(settings: Settings, parts: list[Part], say: Progress, *, outlive_us: bool) -> None:
    if any(part.name == "kafka" for part in parts) and not needs.has_classpath(settings):
        say("Maven: fetching Kafka's jars (once; 43 MB)")
        needs.resolve_classpath(settings)
    prepare.forget(settings)
    prepare.directories(settings)
    say("starting " + ", ".join(part.name for part in parts))
    supervise.start(settings, parts, inherited(settings), outlive_us=outlive_us)
    (run_dir(settings) / STARTED_WITH).write_text(fingerprint(settings))


def _await(settings: Settings, parts: list[Part], say: Progress) -> None:
    """Wait until these parts are well; raises DependencyFailed with the log of the one that is not."""
    began = time.monotonic()
    pids: dict[str, set[int]] = {part.name: set() for part in parts}
    waiting = list(parts)
    while waiting:
        states = supervise.states(settings)
        if states is None:
            raise DependencyFailed(f"supervisord has ended; see {supervise.log_dir(settings)}/supervisord.log")
        for part in list(waiting):
            state = states[part.name]
            pids[part.name].add(state.pid)
            if state.state == "FATAL" or len(pids[part.name] - {0}) > RESTARTS:
                raise _failed(settings, part, "does not start")
            if state.state == "RUNNING" and part.is_well():
                say(f"{part.name}: up {part.where} ({time.monotonic() - began:.1f} s)".replace("  ", " "))
                waiting.remove(part)
        if waiting and time.monotonic() - began > PATIENCE_SECONDS:
            raise _failed(settings, waiting[0], f"is not well after {PATIENCE_SECONDS} s")
        if waiting:
            time.sleep(0.2)


def _failed(settings: Settings, part: Part, how: str) -> DependencyFailed:
    log = supervise.log_dir(settings) / f"{part.name}.log"
    return DependencyFailed(f"{part.title} {how}; the end of {log}:\n{supervise.tail(log)}")
