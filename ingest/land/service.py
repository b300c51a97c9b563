"""`assay land --follow`: land as a member of the consumer group until told to stop."""

import logging
import os
import signal
import time
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import NoReturn, Self

from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry

from ingest import logs
from ingest.errors import DependencyFailed
from ingest.land import chain
from ingest.land.broker import Broker, Topic
from ingest.land.consumer import Landing
from ingest.land.heads import Heads
from ingest.land.metrics import LandingCollector, Vitals, WatchedStore, endpoints
from ingest.land.partition import PATIENCE_SECONDS
from ingest.land.probe import require_conditional_put
from ingest.land.store import S3Store
from ingest.land.worker import SystemClock, topic_names, writer_name
from ingest.settings import Settings

log = logging.getLogger("assay.land")

CHECK_SECONDS = 20.0
"""How often a service looks whether its topics are still the ones it began with."""
NOTE_SECONDS = 1.0
"""How often the lag that metrics show is brought up to date."""
STOP_SECONDS = 10.0
"""How long stopping takes at most; then the process ends, whatever it waits for."""
FLUSH_SECONDS = 5.0
"""How long of it goes to writing what is buffered; the rest is read again by the next worker."""


def follow(settings: Settings, topics: list[str] | None = None) -> NoReturn:
    """Land until SIGTERM or SIGINT: then write what is buffered, if quickly possible, and end the process with 0.

    Raises DependencyFailed when Kafka or the store fails for too long, Misconfigured when a topic is not the one its
    chain began with: a supervisor starts again after the first, a person mends the second.
    """
    logs.configure(settings)
    with Stop() as stop:
        try:
            _follow(settings, topic_names(topics), stop)
        except DependencyFailed as error:
            if not stop.asked:
                raise
            log.warning("given up error=%s", error)
        log.info("stopped")
        # All that is ours is done. librdkafka's own ending waits for a broker that is gone, or for others to rejoin.
        logging.shutdown()
        os._exit(0)


def _follow(settings: Settings, names: list[str], stop: "Stop") -> None:
    registry, vitals, writer = CollectorRegistry(), Vitals(), writer_name()
    store = WatchedStore(S3Store(settings), registry)
    landing = Landing(settings, Heads(store), Broker(settings), ServiceClock(stop), writer)
    registry.register(LandingCollector(landing, vitals, settings, writer))
    with landing.reading(), endpoints(settings, registry, landing, vitals, store) as address:
        log.info("starting writer=%s metrics=%s", writer, address or "none")
        require_conditional_put(store)
        known = landing.broker.topics(names)
        _subscribe(settings, landing, vitals, names)
        checked = heard = noted = time.monotonic()
        while not stop.asked:
            landing.poll(0.5)
            landing.land_due()
            if time.monotonic() - noted > NOTE_SECONDS:
                landing.note_ends()
                noted = time.monotonic()
            if time.monotonic() - checked > CHECK_SECONDS:
                try:
                    _same_topics(landing.broker, known)
                    vitals.broker, heard = True, time.monotonic()
                except DependencyFailed as error:
                    vitals.broker = False
                    if time.monotonic() - heard > PATIENCE_SECONDS:
                        raise
                    log.warning("broker away error=%s", error)
                checked = time.monotonic()
        log.info("stopping partitions=%d", len(landing.partitions))
        landing.release([landing.place(slot) for slot in landing.partitions], FLUSH_SECONDS)
        landing.settle(1.0)


def _subscribe(settings: Settings, landing: Landing, vitals: Vitals, names: list[str]) -> None:
    """Join the group; what it gives is found in the lake before it is read."""

    def assigned(_: Consumer, places: list[TopicPartition]) -> None:
        slots = _slots(settings, places)
        topics = {slot.topic for slot in slots}
        current = landing.broker.topics(names)
        logs = landing.broker.logs([current[name] for name in topics])
        held = []
        for name in topics:
            held += landing.hold(current[name], {slot.partition: logs[slot] for slot in slots if slot.topic == name})
        vitals.rebalances["assigned"] += 1
        vitals.assigned = True
        log.info("assigned partitions=%d", len(held))
        landing.consumer.incremental_assign(held)

    def revoked(_: Consumer, places: list[TopicPartition]) -> None:
        vitals.rebalances["revoked"] += 1
        log.info("revoked partitions=%d", len(places))
        landing.release(places, FLUSH_SECONDS)

    def lost(_: Consumer, places: list[TopicPartition]) -> None:
        vitals.rebalances["lost"] += 1
        log.warning("lost partitions=%d", len(places))
        landing.release(places, 0.0)

    wanted = [settings.topic(name) for name in names]
    landing.consumer.subscribe(wanted, on_assign=assigned, on_revoke=revoked, on_lost=lost)


def _slots(settings: Settings, places: Iterable[TopicPartition]) -> list[chain.Slot]:
    return [chain.Slot(place.topic[len(settings.topic_prefix) :], place.partition) for place in places]


def _same_topics(broker: Broker, known: dict[str, Topic]) -> None:
    for name, topic in broker.topics(known).items():
        chain.same_topic(chain.Slot(name, 0), known[name].id, topic.id)


class Stop:
    """Whether SIGTERM or SIGINT came.

    The first one asks; a second one, or STOP_SECONDS, ends the process. What is then not landed was never committed,
    so nothing is lost or doubled, however it ends.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        handlers = {signal.SIGTERM: self._ask, signal.SIGINT: self._ask, signal.SIGALRM: self._end}
        self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)

    def _end(self, number: int, _: FrameType | None) -> None:
        os.write(2, b'level=warning event="stopped at the limit"\n')  # logging may be what hangs
        os._exit(0)


class ServiceClock(SystemClock):
    """A clock that waits for nothing more once the service is to stop."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def wait(self, seconds: float) -> None:
        end = self.now() + seconds
        while not self._stop.asked and self.now() < end:
            time.sleep(max(0.0, min(0.2, end - self.now())))
        if self._stop.asked:
            raise DependencyFailed("the store fails, and the service is to stop")
