"""What a run of chaos saw, and the tables that say so."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.oracle import Counts
from tests.chaos.traffic import Traffic


@dataclass
class Seen:
    """What happened."""

    processes: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    """Workers that ended by themselves, by what they said."""
    lines: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What no fault excuses: tracebacks, exit codes, an oracle's no."""


def report(seen: Seen, calls: Counter[str], struck: Counter[tuple[str, str]], traffic: Traffic, counts: Counts) -> None:
    """The tables."""
    methods = ("PUT", "LOOK", "GET", "LIST")
    print(f"\n{'faults of the store':36}" + "".join(f"{name:>8}" for name in (*methods, "all")))
    for kind in sorted({kind for kind, _ in struck}):
        of = [struck[kind, method] for method in methods]
        print(f"  {kind:34}" + "".join(f"{number:8}" for number in (*of, sum(of))))
    of = [sum(number for (_, method), number in struck.items() if method == wanted) for wanted in methods]
    print(f"  {'all':34}" + "".join(f"{number:8}" for number in (*of, sum(of))))
    print(f"  {'calls':34}" + "".join(f"{number:8}" for number in (*(calls[name] for name in methods), calls.total())))
    tables = {"faults of processes": seen.processes, "starts of workers": seen.starts}
    for title, counted in (tables | {"workers that ended by themselves": seen.ends, "log lines": seen.lines}).items():
        print(title)
        for name, number in counted.most_common():
            print(f"  {name:100}{number:8}" if len(name) > 34 else f"  {name:66}{number:8}")
        print(f"  {'all':66}{counted.total():8}")
    print(
        f"events sent {traffic.sent:,}, of them of a newer contract {traffic.newer:,}, poison {traffic.poison:,}, "
        f"not acknowledged {traffic.refused:,}\n"
        f"objects {counts.objects:,}  rows {counts.rows:,}  newer {counts.newer:,}  poison {counts.poison:,}  "
        f"LOST {counts.lost}  DOUBLED {counts.doubled}  astray {counts.astray}"
    )
