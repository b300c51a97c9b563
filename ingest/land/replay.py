"""`assay replay`: dead letters through today's decoder and parsers, and what is now good back to Kafka.

Poison goes as it came, byte by byte and under its key; an answer becomes the events that its run would have published.
Both have the ids that they would have had, so that staging takes each once, however often it is replayed. A letter that
is still bad is never published. A batch is marked only when Kafka has acknowledged it: after a replay that was killed
the next one publishes that batch again, which is harmless.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from ingest import events
from ingest.collect import known
from ingest.collect.call import Call
from ingest.collect.interpret import interpret
from ingest.collect.outcome import Answer, Outcome
from ingest.collect.platforms import REGISTRY
from ingest.errors import Misconfigured
from ingest.land import letters
from ingest.land.decode import judge
from ingest.land.letters import Letter, Wanted
from ingest.land.store import S3Store, Store
from ingest.publish import Publisher
from ingest.settings import Settings

BATCH = 1_000
"""Letters between two marks."""
PAYLOAD_LIMIT = (1 << 20) - 4096
"""Bytes of poison that our producer can send: another one may have sent more, compressed."""

Owners = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class Again:
    """What today's code makes of a letter. `bad`: still a dead letter; `incomplete`: not enough of it was kept."""

    outcome: Literal["good", "bad", "incomplete"]
    because: str = ""
    messages: tuple[events.Message, ...] = ()
    """The events of an answer."""


@dataclass
class _Group:
    """Counts of one line of the report."""

    letters: int = 0
    replayable: int = 0
    published: int = 0
    still_bad: int = 0
    incomplete: int = 0
    because: Counter[str] = field(default_factory=Counter)

    def count(self, again: Again) -> None:
        self.letters += 1
        self.replayable += again.outcome == "good"
        self.still_bad += again.outcome == "bad"
        self.incomplete += again.outcome == "incomplete"
        if again.because:
            self.because[again.because] += 1


def replay(
    settings: Settings,
    wanted: Wanted,
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Replay the letters that are meant and were not replayed before.

    Returns a row for each kind, topic, platform and reason: letters, replayable, published (events), still_bad,
    incomplete (cut, withheld or altered when kept, or too large), and because. With `dry_run` nothing is published.
    Raises Misconfigured for a topic or platform that there is none of, DependencyFailed when Kafka or the store fails.
    """
    _refuse_unknown("topic", wanted.topic, events.TOPICS)
    _refuse_unknown("platform", wanted.platform, letters.PLATFORMS)
    store = S3Store(settings)
    done = letters.replayed(store)
    left = (letter for letter in letters.find(store, wanted) if letter.letter_id not in done)
    groups: dict[tuple[str, str, str, str], _Group] = defaultdict(_Group)
    owners = _owners(store)
    with nullcontext() if dry_run else Publisher(settings) as publisher:
        while batch := list(islice(left, BATCH)):
            replayed = []
            for letter in batch:
                again = judge_again(letter, owners)
                group = groups[letter.kind, letter.topic, letter.platform or "", letter.reason]
                group.count(again)
                if again.outcome == "good" and publisher is not None:
                    group.published += _publish(publisher, letter, again)
                    replayed.append(letter.letter_id)
            if publisher is not None and replayed:
                publisher.flush()
                letters.record(store, replayed, now=now)
            if progress:
                read = sum(group.letters for group in groups.values())
                progress(f"{read} letters read, {len(replayed)} of the last {len(batch)} replayed")
    return list(_report(groups))


def judge_again(letter: Letter, owners: Owners) -> Again:
    """What today's decoder or collector makes of the letter. `owners` says of a platform whose each known post is."""
    if letter.kind == "poison":
        verdict = judge(letter.topic, letter.payload)
        if isinstance(verdict, str):
            return Again("bad", letters.reason_of(verdict))
        return Again("incomplete", "too_large") if len(letter.payload or b"") > PAYLOAD_LIMIT else Again("good")
    return _interpret_again(letter.answer, owners)


def _interpret_again(said: dict[str, Any], owners: Owners) -> Again:
    platform = REGISTRY.get(said["platform"])
    endpoint = next((one for one in platform.endpoints if one.name == said["endpoint"]), None) if platform else None
    if platform is None or endpoint is None:
        return Again("bad", "no_collector")
    if said["body"] is None or endpoint.audience:
        return Again("incomplete", "withheld")
    body = said["body"].encode()
    if said["body_bytes"] != len(body) or said["body_sha256"] != hashlib.sha256(body).hexdigest():
        return Again("incomplete", "cut" if (said["body_bytes"] or 0) > len(body) else "altered")
    answer = Answer(said["status"] or 0, {"content-type": said["content_type"] or ""}, body, said["url"])
    call = Call(endpoint, said["url"], endpoint.method, owners=owners(platform.name))
    verdict, reading = interpret(platform, call, answer, at=said["observed_at"], run_id=said["run_id"], key=None)
    if verdict.outcome is Outcome.MALFORMED:
        return Again("bad", verdict.reason or "malformed")
    return Again("good", messages=(*reading.posts, *reading.accounts))


def _publish(publisher: Publisher, letter: Letter, again: Again) -> int:
    """Hand the letter's events over; how many there are."""
    if letter.payload is not None:
        publisher.forward(letter.topic, letter.key, letter.payload)
        return 1
    publisher.publish(again.messages)
    return len(again.messages)


def _owners(store: Store) -> Owners:
    """Whose each known post is, read once for each platform: what a run's work list would have said."""
    read: dict[str, dict[str, str]] = {}

    def of(platform: str) -> dict[str, str]:
        if platform not in read:
            with known.read(store, platform) as posts:
                read[platform] = posts.owners()
        return read[platform]

    return of


def _report(groups: Mapping[tuple[str, str, str, str], _Group]) -> Iterator[dict[str, Any]]:
    for (kind, topic, platform, reason), group in sorted(groups.items()):
        yield {
            "kind": kind,
            "topic": topic,
            "platform": platform or None,
            "reason": reason,
            "letters": group.letters,
            "replayable": group.replayable,
            "published": group.published,
            "still_bad": group.still_bad,
            "incomplete": group.incomplete,
            "because": ", ".join(f"{because} {count}" for because, count in group.because.most_common()) or None,
        }


def _refuse_unknown(what: str, chosen: str | None, there_are: Any) -> None:
    if chosen is not None and chosen not in there_are:
        raise Misconfigured(f"there is no {what} {chosen!r}; there are {', '.join(sorted(there_are))}")
