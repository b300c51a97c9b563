"""`assay expire`: delete raw objects that are past their retention, and that nothing needs any more."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from ingest.events import TOPICS, moment
from ingest.land import upkeep
from ingest.land.broker import Broker
from ingest.land.store import S3Store, Store
from ingest.settings import Settings
from ingest.warehouse import manifests
from ingest.warehouse.quarantine import held
from ingest.warehouse.reading import open_warehouse


def expire(settings: Settings, *, now: datetime, dry_run: bool = False) -> list[dict[str, Any]]:
    """Delete what may go, or only say what would: a row for each topic and partition with topic, partition, from, to,
    objects, bytes.

    Nothing goes without ASSAY_LAKE_RAW_DAYS, nothing that a build has not loaded, and nothing of a range in quarantine.
    Raises DependencyFailed when broker or store do not answer, Misconfigured when a topic is not the lake's or when
    nothing was ever built.
    """
    if settings.lake_raw_days is None:
        return []
    store, broker = S3Store(settings), Broker(settings)
    before = now - max(timedelta(days=settings.lake_raw_days), upkeep.REST)
    with open_warehouse(settings) as connection:
        query = "select topic, max(manifest_number) from staging.stg_manifests group by topic"
        loaded = dict(connection.execute(query).fetchall())
    rows = []
    for name, topic in broker.topics(TOPICS).items():
        if name not in loaded:
            continue
        logs = {slot.partition: log for slot, log in broker.logs([topic]).items()}
        old = upkeep.old(store, topic, logs, covered(store, name, loaded[name]), before=before)
        if not dry_run:
            upkeep.delete(store, name, old, now=now)
        parts = defaultdict(list)
        for one in old:
            parts[one.partition].append(one)
        rows += [
            {
                "topic": name,
                "partition": partition,
                "from": found[0].start,
                "to": found[-1].next,
                "objects": len(found),
                "bytes": sum(one.bytes for one in found),
            }
            for partition, found in sorted(parts.items())
        ]
    return rows


def covered(store: Store, topic: str, loaded: int) -> dict[str, datetime]:
    """When each object was checked, for those of manifests up to number `loaded` of which nothing is in quarantine."""
    every = list(manifests.read_all(store, topic))
    waiting = {key for manifest, _ in held(every) for key in manifest.objects}
    waiting |= {key for manifest in every if manifest.number > loaded for key in manifest.objects}
    return {
        key: moment(manifest.checked_at)
        for manifest in every
        if manifest.kind == "check"
        for key in manifest.objects
        if key not in waiting
    }
