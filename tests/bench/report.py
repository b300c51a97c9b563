"""What was measured, as a table for people and as JSON lines for documents."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One line of the table."""

    part: str
    what: str
    value: float
    unit: str
    least: float | None = None
    """What it must at least be (or at most, when less is better); None: only said."""
    aim: float | None = None
    less_is_better: bool = False
    right: bool = True
    """Whether the rows were all there once; nothing else decides the bench's exit code."""
    details: dict[str, float | int | str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """How the value stands against what is asked."""
        if not self.right:
            return "ROWS WRONG"
        for bound, word in ((self.aim, "aim reached"), (self.least, "reached")):
            if bound is not None and (self.value <= bound if self.less_is_better else self.value >= bound):
                return word
        return "" if self.least is None else "MISSED"


def table(lines: Iterable[Measured]) -> str:
    """The lines as text."""
    cells = [("what", "at least", "aim", "measured", "")]
    for line in lines:
        bounds = ["" if bound is None else f"{bound:g} {line.unit}" for bound in (line.least, line.aim)]
        value = f"{line.value:,.0f}" if line.value >= 1_000 else f"{line.value:.3g}"
        cells.append((line.what, *bounds, f"{value} {line.unit}", line.verdict))
    widths = [max(len(row[at]) for row in cells) for at in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def append(path: Path, lines: Iterable[Measured], **about: str) -> None:
    """Add the lines to a file, a JSON object each, with what `about` says of all of them."""
    with path.open("a") as file:
        for line in lines:
            file.write(json.dumps(asdict(line) | {"verdict": line.verdict} | about, ensure_ascii=False) + "\n")
