"""What runs, where, and how old the last rows are."""

from datetime import UTC, datetime
from typing import Any

from ingest.settings import Settings
from ingest.stack import supervise
from ingest.stack.parts import choose


def status(settings: Settings) -> list[dict[str, Any]]:
    """A row a part (part, state, where, pid, up_seconds, ok), then a row a topic and a mart (part, state, age, ok)."""
    states = supervise.states(settings) or {}
    rows: list[dict[str, Any]] = []
    for part in choose(settings):
        state = states.get(part.name)
        well = state is not None and state.state == "RUNNING" and part.is_well()
        rows.append(
            {
                "part": part.name,
                "state": "down" if state is None else "up" if well else state.state.lower(),
                "where": part.where.removeprefix("postgresql://").removeprefix("http://"),
                "pid": state.pid if state else None,
                "up_seconds": state.uptime_seconds if state else None,
                "age": None,
                "ok": well,
            }
        )
    if states:
        from ingest.stack import freshness

        now = datetime.now(UTC)
        rows += freshness.topics(settings, now) + freshness.marts(settings, now)
    return rows
