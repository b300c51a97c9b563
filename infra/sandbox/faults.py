"""Faults on demand: what the next calls of a platform shall meet instead of, or on the way to, their answer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from infra.sandbox.spoil import SPOILING
from infra.sandbox.wire import Answer

WORDED = ("throttled", "server_error", "unavailable", "quota", "bad_key")
"""Kinds that a platform has words of its own for."""
KINDS = (*WORDED, "bare_429", "reset", "slow", "shifted", "looped", *SPOILING)
"""Besides: throttled without any hint how long; no answer; a late one; one as of `seconds` away (a clock that is off, a
page from a cache); a cursor that leads back to its own page; and what `spoil.py` makes of a good answer."""


@dataclass(slots=True)
class Fault:
    """One kind of fault for the next `times` calls; endpoint None means any."""

    platform: str
    endpoint: str | None
    kind: str
    times: int
    seconds: float = 5.0
    after: int = 0
    """Calls that are let through first."""
    first: Answer | None = field(default=None, repr=False)
    """Of a looped cursor: the answer that comes again and again."""


class Faults:
    """The faults that are waiting, in the order in which they were asked for."""

    def __init__(self, platforms: Sequence[str]) -> None:
        self._platforms = platforms
        self._waiting: list[Fault] = []

    def add(self, asked: dict[str, object]) -> Fault:
        """Put a fault in line; ValueError says what is wrong with it."""
        unknown = set(asked) - {"platform", "endpoint", "kind", "times", "seconds", "after"}
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
        if asked.get("platform") not in self._platforms:
            raise ValueError(f"platform is one of {', '.join(self._platforms)}")
        if asked.get("kind") not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        fault = Fault(
            platform=str(asked["platform"]),
            endpoint=None if asked.get("endpoint") is None else str(asked["endpoint"]),
            kind=str(asked["kind"]),
            times=int(str(asked.get("times", 1))),
            seconds=float(str(asked.get("seconds", 5.0))),
            after=int(str(asked.get("after", 0))),
        )
        self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all that are waiting."""
        self._waiting.clear()

    def listed(self) -> list[dict[str, object]]:
        """The faults that are waiting."""
        return [{n: v for n, v in asdict(fault).items() if n != "first"} for fault in self._waiting]

    def take(self, platform: str, endpoint: str | None, path: str) -> Fault | None:
        """The first fault meant for this call, used up by it; an endpoint may be a short name or the path's end."""
        for fault in self._waiting:
            if fault.platform != platform:
                continue
            names = (endpoint, (endpoint or "").rpartition(".")[2], None)
            if fault.endpoint not in names and not path.endswith(f"/{fault.endpoint}"):
                continue
            if fault.after:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._waiting.remove(fault)
            return fault
        return None
