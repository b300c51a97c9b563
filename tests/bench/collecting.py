"""One collect in a process of its own: `python -m tests.bench.collecting PLATFORM MOMENT ANSWERS OUT [again]`.

It is what `assay collect PLATFORM` calls, with settings from the environment, and a wire that counts and writes each
answer to ANSWERS. `again` does the same with the answers of the file in place of the network, as fast as it can, and
takes the CPU time from an answer to the acknowledgement of its events: that of reading answers, of handing events over,
and of the threads that publish them. What was counted is written to OUT as JSON.
"""

import dataclasses
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import msgspec

from ingest.collect import client, transport
from ingest.collect.call import Call
from ingest.collect.outcome import Answer
from ingest.collect.platforms import REGISTRY
from ingest.collect.run import collect
from ingest.collect.transport import Clock
from ingest.events import BatchPublished
from ingest.publish import Publisher
from ingest.settings import Settings, load

AGAIN = "again"
BUFFER = 1 << 20
"""Answers are written so many bytes at a time, so that writing them costs the measured process little."""


class Way(msgspec.Struct):
    """Calls to one limit of one host."""

    host: str
    endpoint: str
    calls: int = 0
    limit: int = 0
    """Calls that a window holds, by the answers' headers; 0 where they say nothing."""


class Counted(msgspec.Struct):
    """What one run came to. Seconds throughout; CPU seconds are of all threads, from the first request on."""

    ways: list[Way]
    statuses: dict[str, int]
    asking: float
    """From the first request to the last answer."""
    answering: float
    """Between each request and its answer, all together."""
    cpu: float
    reading: float
    """CPU seconds from answers to the acknowledgement of their events."""
    sent: int
    """Calls that went over the network."""
    notice: BatchPublished


@dataclass
class Count:
    """What the wire has counted so far."""

    ways: dict[tuple[str, str], Way] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    first: float = 0.0
    last: float = 0.0
    answering: float = 0.0
    cpu: float = 0.0
    """When the first request was made, and by our own thread alone in `ours`."""
    ours: float = 0.0
    reading: float = 0.0
    sent: int = 0


Given, Got = ParamSpec("Given"), TypeVar("Got")
Asked = tuple[str, str, bytes]
Wire = Callable[[Settings, Clock], transport.Live]


def asked(call: Call) -> Asked:
    """What tells a call's answer from others."""
    return call.method, call.url, call.body


def counting(platform: str, count: Count, answers: BinaryIO) -> Wire:
    """A way to the sandbox that counts, and keeps the answers."""
    chosen = REGISTRY[platform]

    class Counting(transport.Sandbox):
        async def send(self, call: Call, credential: Mapping[str, str]) -> Answer:
            name = call.endpoint.name if call.endpoint else call.path
            way = count.ways.setdefault((call.host, name), Way(call.host, name))
            begun = time.monotonic()
            if not count.first:
                count.first, count.cpu, count.ours = begun, time.process_time(), time.thread_time()
            answer = await super().send(call, credential)
            count.last = time.monotonic()
            count.answering += count.last - begun
            count.statuses[answer.status] += 1
            count.sent += 1
            way.calls += 1
            if (rate := chosen.rate(answer)) and rate.left is not None:
                way.limit = max(way.limit, rate.left + 1)
            pickle.dump((asked(call), answer.status, answer.headers, answer.body), answers)
            return answer

    return Counting


def repeating(count: Count, answers: BinaryIO) -> Wire:
    """A way that ends in the answers of an earlier run. Only batches that are put together otherwise go further."""
    kept: dict[Asked, Answer] = {}
    while True:
        try:
            call, status, headers, body = pickle.load(answers)
        except EOFError:
            break
        kept[call] = Answer(status, headers, body, call[1])

    class Repeating(transport.Sandbox):
        async def send(self, call: Call, credential: Mapping[str, str]) -> Answer:
            if not count.cpu:
                count.cpu, count.ours = time.process_time(), time.thread_time()
            if answer := kept.pop(asked(call), None):
                return answer
            count.sent += 1
            return await super().send(call, credential)

    return Repeating


def timed(count: Count, act: Callable[Given, Got]) -> Callable[Given, Got]:
    """The act, with the CPU time that it takes of its thread added to the count."""

    def acting(*given: Given.args, **named: Given.kwargs) -> Got:
        begun = time.thread_time()
        try:
            return act(*given, **named)
        finally:
            count.reading += time.thread_time() - begun

    return acting


def run(settings: Settings, platform: str, now: datetime, answers: BinaryIO, *, again: bool) -> Counted:
    """Collect all accounts of the settings' watch list."""
    count = Count()
    client.connect = repeating(count, answers) if again else counting(platform, count, answers)
    client.interpret = timed(count, client.interpret)
    Publisher.publish = timed(count, Publisher.publish)  # type: ignore[method-assign]
    if again:
        chosen = REGISTRY[platform]
        # No limit at all, and none of its turns shared with the run before, which has this one's moments.
        pace = dataclasses.replace(chosen.pace, calls=10**9, kind="window")
        REGISTRY[platform] = dataclasses.replace(chosen, pace=pace, rate=lambda _: None)
    notice = collect(settings, platform, now=now, run_id=run_id(platform, again=again), progress=print)
    cpu, ours = time.process_time() - count.cpu, time.thread_time() - count.ours
    return Counted(
        ways=list(count.ways.values()),
        statuses={str(status): calls for status, calls in count.statuses.items()},
        asking=count.last - count.first,
        answering=count.answering,
        cpu=cpu,
        reading=count.reading + cpu - ours,
        sent=count.sent,
        notice=notice,
    )


def run_id(platform: str, *, again: bool) -> str:
    """What a run's events are told apart by."""
    return f"bench-{platform}-{AGAIN}" if again else f"bench-{platform}"


if __name__ == "__main__":
    name, moment, path, out, *more = sys.argv[1:]
    with open(path, "rb" if more else "wb", BUFFER) as file:
        found = run(load(_env_file=None), name, datetime.fromisoformat(moment), file, again=more == [AGAIN])
    Path(out).write_bytes(msgspec.json.encode(found))
