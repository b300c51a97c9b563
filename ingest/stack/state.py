"""What runs, where, and how old the last rows are."""

from typing import Any

from ingest.settings import Settings
from ingest.stack import supervise
from ingest.stack.parts import ALL, choose


def status(settings: Settings) -> list[dict[str, Any]]:
    """A row a part: part, state, where, pid, uptime_seconds, ok."""
    states = supervise.states(settings) or {}
    rows = []
    for part in choose(settings, ALL):
        state = states.get(part.name)
        well = state is not None and state.state == "RUNNING" and part.is_well()
        rows.append(
            {
                "part": part.name,
                "state": "down" if state is None else "up" if well else state.state.lower(),
                "where": part.where,
                "pid": state.pid if state else None,
                "uptime_seconds": state.uptime_seconds if state else None,
                "ok": well,
            }
        )
    return rows
