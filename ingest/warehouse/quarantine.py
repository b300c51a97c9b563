"""Quarantine: ranges that failed a critical check. They stay in the lake; a release is one more manifest."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ingest import events
from ingest.errors import Misconfigured
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.warehouse import manifests
from ingest.warehouse.manifests import Manifest, Verdict


def quarantined(settings: Settings) -> list[dict[str, Any]]:
    """Ranges in quarantine, a row for each topic, manifest and platform: rows, offsets and the reasons."""
    store = S3Store(settings)
    return [
        {
            "topic": topic,
            "number": manifest.number,
            "platform": verdict.platform,
            "rows": verdict.rows,
            "checked_at": manifest.checked_at,
            "offsets": ", ".join(
                f"{part.partition}: {part.start}-{part.end}" for part in manifest.ranges if part.end > part.start
            ),
            "reasons": "; ".join(failure.in_words() for failure in verdict.failures),
        }
        for topic in events.TOPICS
        for manifest, verdict in held(manifests.read_all(store, topic))
    ]


def release(
    settings: Settings, topic: str, number: int, platform: str, *, reason: str, now: datetime
) -> dict[str, Any]:
    """Let one platform's rows of one manifest in, with the reason kept; the next build loads them.

    Returns topic, number (of the new manifest), releases, platform, rows. Raises Misconfigured when nothing of that
    name is in quarantine, with what is.
    """
    store = S3Store(settings)
    if topic not in events.TOPICS:
        raise Misconfigured(f"there is no topic {topic!r}; the topics are {', '.join(events.TOPICS)}")
    while True:
        every = held(manifests.read_all(store, topic))
        found = {(manifest.number, verdict.platform): (manifest, verdict) for manifest, verdict in every}
        if (number, platform) not in found:
            there = ", ".join(f"{topic} {held_number} {name}" for held_number, name in found) or "nothing"
            raise Misconfigured(f"{topic} {number} {platform} is not in quarantine; of {topic} there is: {there}")
        checked, verdict = found[number, platform]
        manifest = Manifest(
            topic=topic,
            number=manifests.numbers(store, topic)[-1] + 1,
            kind="release",
            checked_at=events.instant(now),
            suite=checked.suite,
            ranges=checked.ranges,
            objects=checked.objects,
            verdicts=(Verdict(platform, "released", verdict.rows, verdict.failures),),
            poison=0,
            releases=number,
            reason=reason,
        )
        if manifests.write(store, manifest):
            return {
                "topic": topic,
                "number": manifest.number,
                "releases": number,
                "platform": platform,
                "rows": verdict.rows,
            }


def held(manifests_of_a_topic: Iterable[Manifest]) -> list[tuple[Manifest, Verdict]]:
    """What is in quarantine and not released."""
    every = list(manifests_of_a_topic)
    released = {(one.releases, verdict.platform) for one in every if one.kind == "release" for verdict in one.verdicts}
    return [
        (manifest, verdict)
        for manifest in every
        for verdict in manifest.verdicts
        if verdict.verdict == "quarantined" and (manifest.number, verdict.platform) not in released
    ]
