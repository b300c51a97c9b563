"""The landing as people run it, and the reference beside it: each a process of its own, measured from outside."""

import sys
from pathlib import Path

from ingest.land.store import S3Store
from ingest.land.verify import verify
from ingest.publish import PARTITIONS
from ingest.settings import Settings
from tests.bench.measure import Cost, run

ASSAY = str(Path(sys.executable).parent / "assay")
REFERENCE = str(Path(__file__).with_name("reference.py"))


def lake(settings: Settings, name: str) -> Settings:
    """The same with an empty lake of this name."""
    other = settings.model_copy(update={"lake_bucket": f"{settings.topic_prefix.strip('.-') or 'bench'}-{name}"})
    S3Store(other).create_bucket()
    return other


def drain(settings: Settings) -> Cost:
    """Land all there is with the command that people use."""
    return run([ASSAY, "land", "--drain", "--topic", "posts"], settings)


def reference(settings: Settings, events: int, out: Path) -> Cost:
    """Read so many events without any guarantee; 0 of them is its start-up alone."""
    asked = {
        "bootstrap": settings.kafka,
        "topic": settings.topic("posts"),
        "partitions": PARTITIONS["posts"],
        "events": events,
        "out": out,
    }
    return run([sys.executable, REFERENCE, *(f"--{name}={value}" for name, value in asked.items())], settings)


def stored(settings: Settings) -> int:
    """Bytes of all objects of `posts` in the lake."""
    store = S3Store(settings)
    return sum(entry.size for key in store.list("raw/posts/date=") if (entry := store.head(key)))


def is_right(settings: Settings, events: int) -> bool:
    """Whether `assay verify` finds exactly so many events landed, and says so."""
    rows = verify(settings, ["posts"])
    landed = sum(row["rows"] for row in rows)
    right = all(row["ok"] for row in rows) and landed == events
    print(f"  verify {'green' if right else 'RED'}: {landed:,} rows of {events:,}", flush=True)
    for row in rows:
        if not row["ok"]:
            print(f"  {row}")
    return right
