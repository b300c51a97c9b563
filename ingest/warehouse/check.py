"""Check: nothing enters the warehouse that was not judged, platform by platform.

`check_landed` runs a topic's suite on what landed since the last check and writes the verdicts as a manifest; staging
loads what passed. `check_marts` runs each mart's suite on the built warehouse before anything is published.
"""

import io
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import TYPE_CHECKING, Any, get_args

from ingest import events
from ingest.errors import DependencyFailed
from ingest.land.store import S3Store, Store
from ingest.settings import Settings
from ingest.warehouse import manifests, suites
from ingest.warehouse.manifests import LakeKey, Manifest, Verdict
from ingest.warehouse.reading import open_warehouse

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHECKED_MARTS = ("mart_engagement", "mart_reach", "mart_fake_followers", "mart_pipeline_health")
PLATFORMS = frozenset(get_args(events.Platform))

_PAYLOAD_PLATFORM = re.compile(rb'"platform"\s*:\s*"([a-z]+)"')
_ENVELOPE = frozenset({"_partition", "_offset", "_timestamp", "_key", "_payload", "_error"})


@dataclass(frozen=True)
class _Pending:
    """What of one topic is to be judged: the objects past the newest check, and the number to write under."""

    topic: str
    number: int
    newest: Manifest | None
    keys: list[LakeKey]


@dataclass(frozen=True)
class _Landed:
    """The pending rows, read: a frame for each platform with the columns of the suite, and how far they reach."""

    frames: dict[str, "pd.DataFrame"]
    rows: Counter[str]
    poison: int
    ends: dict[int, int]


def check_landed(settings: Settings, *, now: datetime) -> list[dict[str, Any]]:
    """Judge what landed since the last check, and write a manifest for each topic with something new.

    Returns a row for each platform and topic: topic, number, platform, verdict, rows, poison (of the topic) and the
    failures in words. Two checks at once are safe: whoever finds its number taken looks again at what is left.
    """
    store = S3Store(settings)
    pending = [found for topic in events.TOPICS if (found := _find_pending(store, topic))]
    rows: list[dict[str, Any]] = []
    while pending:
        lost = []
        for found, manifest in zip(pending, _judge(settings, store, pending, now), strict=True):
            if manifests.write(store, manifest):
                rows += _report(manifest)
            else:
                lost.append(found.topic)
        pending = [again for topic in lost if (again := _find_pending(store, topic))]
    return rows


def check_marts(settings: Settings) -> list[dict[str, Any]]:
    """Judge the built marts; a row for each: mart, verdict, rows, warnings.

    Raises DependencyFailed with mart, expectation, column and what was observed when a critical expectation fails, so
    that nothing is published.
    """
    cases = []
    with open_warehouse(settings) as connection:
        for mart in CHECKED_MARTS:
            suite = suites.load(mart)
            columns = ", ".join(f'"{column}"' for column in suite.columns) or "*"
            frame = connection.sql(f"select {columns} from marts.{mart}").df()  # noqa: S608 names of our own files
            cases.append(suites.Case(mart, suite, frame))
    outcomes = suites.judge(cases, settings.docs_dir / "data_docs" / "marts")
    critical = [
        f"{case.label}: {failure.in_words()}"
        for case, failures in zip(cases, outcomes, strict=True)
        for failure in failures
        if failure.severity == "critical"
    ]
    if critical:
        raise DependencyFailed(
            "the marts failed critical expectations, so they are not published (Postgres keeps the last good ones):\n  "
            + "\n  ".join(critical)
            + f"\nLook at {settings.docs_dir / 'data_docs' / 'marts' / 'index.html'}, mend the model or the suite, "
            "then `assay build` and `assay check --marts`"
        )
    return [
        {
            "mart": case.label,
            "verdict": "passed",
            "rows": len(case.frame),
            "warnings": "; ".join(failure.in_words() for failure in failures) or None,
        }
        for case, failures in zip(cases, outcomes, strict=True)
    ]


def at_least(part: int, whole: int) -> float:
    """The lower end of a share's 95 % interval (Wilson's), so that a few rows never raise an alarm; 0 of none."""
    if not whole:
        return 0.0
    share, z = part / whole, 1.96
    centre = share + z * z / (2 * whole)
    spread = z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return max(0.0, (centre - spread) / (1 + z * z / whole))


def platform_of(key: bytes | None, payload: bytes | None) -> str | None:
    """Whose a poison row is: by its Kafka key, else by what its payload says; None when neither can be read."""
    name = (key or b"").partition(b":")[0].decode("ascii", "replace")
    if name in PLATFORMS:
        return name
    match = _PAYLOAD_PLATFORM.search(payload or b"")
    name = match[1].decode("ascii") if match else ""
    return name if name in PLATFORMS else None


def _find_pending(store: Store, topic: str) -> _Pending | None:
    known = manifests.numbers(store, topic)
    newest = manifests.newest_check(store, topic, known)
    keys = manifests.unchecked(store, topic, newest)
    return _Pending(topic, (known[-1] if known else 0) + 1, newest, keys) if keys else None


def _judge(settings: Settings, store: Store, pending: list[_Pending], now: datetime) -> list[Manifest]:
    loaded = [(found, suites.load(f"landed_{found.topic}")) for found in pending]
    landed = [_read(store, found, suite) for found, suite in loaded]
    cases = [
        suites.Case(f"{found.topic}, {platform}", suite, frame)
        for (found, suite), read in zip(loaded, landed, strict=True)
        for platform, frame in read.frames.items()
    ]
    docs = settings.docs_dir / "data_docs" / "landed"
    failures = iter(suites.judge(cases, docs) if cases else [])
    written = []
    for (found, suite), read in zip(loaded, landed, strict=True):
        verdicts = []
        for platform in read.frames:
            failed = next(failures)
            quarantined = any(failure.severity == "critical" for failure in failed)
            verdict = "quarantined" if quarantined else "passed"
            verdicts.append(Verdict(platform, verdict, read.rows[platform], failed))  # type: ignore[arg-type]
        written.append(
            Manifest(
                topic=found.topic,
                number=found.number,
                kind="check",
                checked_at=events.instant(now),
                suite=suite.name,
                ranges=manifests.next_ranges(found.newest, found.keys, read.ends),
                objects=tuple(key.key for key in found.keys),
                verdicts=tuple(verdicts),
                poison=read.poison,
            )
        )
    return written


def _read(store: Store, found: _Pending, suite: suites.Suite) -> _Landed:
    """Read the pending objects, only the columns that are needed, and split their rows by platform."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = set(suite.columns) | _ENVELOPE | {"platform", "observed_at", "state"}
    tables = []
    for key in found.keys:
        landed = store.get(key.key)
        if landed is None:
            raise DependencyFailed(f"{key.key} was listed and is gone: was the lake changed by hand? `assay verify`")
        file = pq.ParquetFile(io.BytesIO(landed.body))
        tables.append(file.read(columns=[name for name in file.schema_arrow.names if name in wanted]))
    table = pa.concat_tables(tables, promote_options="permissive")
    last = table.group_by("_partition").aggregate([("_offset", "max")])
    ends = {row["_partition"]: row["_offset_max"] + 1 for row in last.to_pylist()}

    good = table.filter(pc.is_null(table["_error"]))
    bad = table.filter(pc.is_valid(table["_error"])).select(["_key", "_payload"]).to_pylist()
    poison = Counter(platform_of(row["_key"], row["_payload"]) or "" for row in bad)
    rows = Counter({row["values"]: row["counts"] for row in good["platform"].value_counts().to_pylist()})
    good = good.drop_columns(list(_ENVELOPE - {"_timestamp"}))
    good = good.cast(pa.schema([_without_zone(field) for field in good.schema]))
    frames = {}
    for platform in sorted((rows | poison).keys() - {""}):
        frame = good.filter(pc.equal(good["platform"], platform)).to_pandas()
        frame["hours_ahead_of_arrival"] = (frame["observed_at"] - frame["_timestamp"]).dt.total_seconds() / 3600
        gone = int(frame["state"].ne("visible").sum()) if "state" in frame else 0
        frame["tombstone_share_at_least"] = at_least(gone, len(frame))
        if frame.empty:
            frame = frame.reindex([0])  # only poison: one row of nulls carries the shares
        frame["poison_share_at_least"] = at_least(poison[platform], rows[platform] + poison[platform])
        frame["unattributed_poison_share_at_least"] = at_least(poison[""], len(table))
        frames[platform] = frame
    return _Landed(frames, rows, len(bad), ends)


def _without_zone(field: "pa.Field") -> "pa.Field":
    """All our instants are UTC, and data frames do not need to be told."""
    import pyarrow as pa

    return field.with_type(pa.timestamp("ms")) if pa.types.is_timestamp(field.type) else field


def _report(manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "topic": manifest.topic,
            "number": manifest.number,
            "platform": verdict.platform,
            "verdict": verdict.verdict,
            "rows": verdict.rows,
            "poison": manifest.poison,
            "failures": "; ".join(failure.in_words() for failure in verdict.failures) or None,
        }
        for verdict in manifest.verdicts or [Verdict("", "passed", 0)]
    ]
