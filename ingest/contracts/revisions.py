"""What was published of each contract, kept as it was: `published/{topic}.v{contract}.{revision}.*.json`.

Whatever has been published may lie in the lake or come from a producer for ever, so today's contract is held against
all of it. `python -m ingest.contracts --publish` adds a revision; a file that is there never changes.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ingest import contracts, events
from ingest.contracts import compatibility
from ingest.contracts.compatibility import Schema
from ingest.errors import Misconfigured

FOLDER = contracts.FOLDER / "published"


@dataclass(frozen=True, order=True)
class Revision:
    """One published state of a topic's contract."""

    topic: str
    version: int
    """The contract's, `events.CONTRACT` of its day."""
    number: int

    def __str__(self) -> str:
        return f"{self.topic}.v{self.version}.{self.number}"

    def schema(self, folder: Path = FOLDER) -> Schema:
        """The JSON Schema of its messages."""
        found: Schema = json.loads((folder / f"{self}.schema.json").read_text(encoding="utf-8"))
        return found

    def examples(self, folder: Path = FOLDER) -> list[dict[str, object]]:
        """Messages that keep it."""
        found: list[dict[str, object]] = json.loads((folder / f"{self}.examples.json").read_text(encoding="utf-8"))
        return found


def revisions(folder: Path = FOLDER) -> list[Revision]:
    """All that was published, in order."""
    names = (re.fullmatch(r"(\w+)\.v(\d+)\.(\d+)\.schema\.json", path.name) for path in folder.glob("*.schema.json"))
    return sorted(Revision(name[1], int(name[2]), int(name[3])) for name in names if name)


def refusals(today: dict[str, Schema], folder: Path = FOLDER, version: int = events.CONTRACT) -> list[str]:
    """A line for each thing that today's schemas (by topic) may not change of those published of this version."""
    lines: dict[str, str] = {}
    for one in revisions(folder):
        if one.version != version:
            continue
        if one.topic not in today:
            lines.setdefault(one.topic, f"{one.topic}: the topic was published as {one} and is gone. Bring it back")
            continue
        for fault in compatibility.faults(one.schema(folder), today[one.topic]):
            place = f"{one.topic}.{fault.field}: was {fault.was}"
            lines.setdefault(
                f"{place} {fault.now}", f"{place}, is {fault.now} (published as {one}). {compatibility.WAY_OUT}"
            )
    return list(lines.values())


def unpublished(today: dict[str, Schema], folder: Path = FOLDER, version: int = events.CONTRACT) -> list[Revision]:
    """The revisions that are due: of each topic whose last one asks something else than today's schema."""
    last = {one.topic: one for one in revisions(folder) if one.version == version}
    due = []
    for topic, schema in today.items():
        if topic not in last:
            due.append(Revision(topic, version, 0))
        elif compatibility.contract(last[topic].schema(folder)) != compatibility.contract(schema):
            due.append(Revision(topic, version, last[topic].number + 1))
    return due


def publish(folder: Path = FOLDER) -> list[Revision]:
    """Freeze what is due; returns it. Raises Misconfigured, a line a fault, when the contract changed as none may."""
    today = {topic: contracts.schema(topic) for topic in events.TOPICS}
    refused = refusals(today, folder)
    if refused:
        raise Misconfigured("\n".join(refused))
    documents, due = contracts.documents(), unpublished(today, folder)
    folder.mkdir(exist_ok=True)
    for one in due:
        for kind in ("schema", "examples"):
            (folder / f"{one}.{kind}.json").write_text(documents[f"{one.topic}.{kind}.json"], encoding="utf-8")
    return due
