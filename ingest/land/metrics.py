"""What a service tells Prometheus and its supervisor: `/metrics`, `/healthz`, `/readyz`.

Nearly all of it is read from the landing at the moment somebody asks, so that it costs nothing while nobody does; only
PUTs are timed as they happen, one an object.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import chain
from ingest.land.consumer import Landing
from ingest.land.store import Entry, Object, Put, Store
from ingest.settings import Settings

log = logging.getLogger("assay.land")

USUAL_PORT = 29464
LIVE_SECONDS = 300.0
"""A loop that has not polled for so long hangs: it is longer than one object is tried against a failing store."""
OUTCOMES = {Put.WRITTEN: "written", Put.REFUSED: "refused", Put.CONFLICT: "conflict"}
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass
class Vitals:
    """What only the service's loop knows."""

    assigned: bool = False
    broker: bool = True
    """Whether it answered when it was last asked something."""
    rebalances: dict[str, int] = field(default_factory=lambda: {"assigned": 0, "revoked": 0, "lost": 0})


class WatchedStore:
    """A store whose commits are counted and timed, and of which one knows whether it answered last."""

    def __init__(self, store: Store, registry: CollectorRegistry) -> None:
        self._store = store
        self.answers = True
        self._puts = Counter(
            "assay_land_puts",
            "Conditional PUTs of objects by outcome: written, refused (412: it is there already), conflict (409) or "
            "failed; conflict and failed are tried again.",
            ["outcome"],
            registry=registry,
        )
        for outcome in (*OUTCOMES.values(), "failed"):
            self._puts.labels(outcome)
        self._seconds = Histogram(
            "assay_land_commit_seconds", "Time of the PUT that commits an object.", buckets=SECONDS, registry=registry
        )

    def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Put:
        begun, outcome = time.perf_counter(), "failed"
        try:
            with self._asking():
                put = self._store.put(key, body, metadata=metadata, if_absent=if_absent, if_match=if_match)
            outcome = OUTCOMES[put]
        finally:
            if chain.parse_key(key):
                self._puts.labels(outcome).inc()
        if chain.parse_key(key) and put is Put.WRITTEN:
            self._seconds.observe(time.perf_counter() - begun)
        return put

    def head(self, key: str) -> Entry | None:
        with self._asking():
            return self._store.head(key)

    def get(self, key: str) -> Object | None:
        with self._asking():
            return self._store.get(key)

    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        with self._asking():
            yield from self._store.list(prefix, delimiter=delimiter)

    def delete(self, key: str) -> None:
        with self._asking():
            self._store.delete(key)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except DependencyFailed:
            self.answers = False
            raise
        self.answers = True


class LandingCollector:
    """The landing as it is when Prometheus asks."""

    def __init__(self, landing: Landing, vitals: Vitals, settings: Settings, writer: str) -> None:
        self._landing = landing
        self._vitals = vitals
        self._budget = settings.land_memory_mb << 20
        self._writer = writer

    def collect(self) -> Iterator[Metric]:
        held = dict(self._landing.partitions)
        yield InfoMetricFamily(
            "assay_land", "This worker.", value={"version": version("assay"), "writer": self._writer}
        )
        yield _gauge("partitions", "Partitions that this worker holds.", len(held))
        paused = len(held) if self._landing.paused else 0
        yield _gauge("paused_partitions", "Partitions not read because the buffers are full.", paused)
        buffered = sum(partition.memory for partition in held.values())
        yield _gauge("buffer_bytes", "Memory of all partitions' buffers, about.", buffered)
        yield _gauge("buffer_budget_bytes", "ASSAY_LAND_MEMORY_MB.", self._budget)
        lag = GaugeMetricFamily(
            "assay_land_lag_events", "Records in the log that have not landed.", labels=["topic", "partition"]
        )
        age = GaugeMetricFamily(
            "assay_land_lag_seconds",
            "Age of the oldest record that has not landed; absent while it has not been read either.",
            labels=["topic", "partition"],
        )
        now = time.time()
        for slot, partition in held.items():
            labels = slot.topic, str(slot.partition)
            behind, since = self._landing.lag.records(partition), self._landing.lag.since(slot)
            lag.add_metric(labels, behind)
            if not behind:
                age.add_metric(labels, 0)
            elif since is not None:
                age.add_metric(labels, max(0.0, now - since / 1000))
        yield from (lag, age)
        totals = dict(self._landing.totals)
        for name, said in {
            "rows": "Rows landed.",
            "poison": "Rows landed that break the contract.",
            "objects": "Objects landed.",
            "bytes": "Bytes of the objects landed.",
        }.items():
            family = CounterMetricFamily(f"assay_land_{name}", said, labels=["topic"])
            for topic, total in totals.items():
                family.add_metric([topic], getattr(total, name))
            yield family
        rebalances = CounterMetricFamily("assay_land_rebalances", "Changes of what is held.", labels=["kind"])
        for kind, times in self._vitals.rebalances.items():
            rebalances.add_metric([kind], times)
        yield rebalances


def _gauge(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"assay_land_{name}", said, value=value)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A scrape is no event."""


@contextmanager
def endpoints(
    settings: Settings, registry: CollectorRegistry, landing: Landing, vitals: Vitals, store: WatchedStore
) -> Iterator[str]:
    """Answer HTTP while the block runs; yields the address, empty where nothing is to be shown.

    Raises Misconfigured when the port that was asked for is taken.
    """
    port = USUAL_PORT if settings.land_metrics_port is None else settings.land_metrics_port
    if settings.land_metrics_port == 0:
        yield ""
        return
    ProcessCollector(registry=registry)
    metrics: Callable[[dict[str, Any], Any], Iterable[bytes]] = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], respond: Any) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, respond)
            case "/healthz":
                silent = landing.silent_seconds()
                state = {"polled_seconds_ago": f"{silent:.1f}"}, silent < LIVE_SECONDS
            case "/readyz":
                found = {"assigned": vitals.assigned, "broker": vitals.broker, "store": store.answers}
                state = {name: "yes" if well else "no" for name, well in found.items()}, all(found.values())
            case _:
                respond("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/metrics /healthz /readyz\n"]
        said, well = state
        respond("200 OK" if well else "503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{name} {value}\n".encode() for name, value in said.items()]

    try:
        server = make_server(settings.land_metrics_host, port, answer, _Server, _Quiet)
    except OSError as error:
        if settings.land_metrics_port is None:
            log.warning("metrics off port=%d error=%s", port, error.strerror)
            yield ""
            return
        raise Misconfigured(
            f"metrics cannot be shown at {settings.land_metrics_host}:{port}: {error.strerror}. Set "
            "ASSAY_LAND_METRICS_PORT to a free port, one for each worker of this machine, or to 0 for none"
        ) from error
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{settings.land_metrics_host}:{port}"
        finally:
            server.shutdown()
            thread.join()
