"""`make chaos`: the landing under every fault at once, with real processes, and then the count.

Four services and a drain land the same topics through a proxy that fails many of their calls, while they are killed,
frozen and restarted, their group's offsets are put back, and the broker is killed. Events keep coming. In the end the
faults stop, one drain lands the rest, and two oracles that know nothing of each other look: `assay verify`, and a count
of the Parquet files against the broker's acknowledgements. The plan follows from the seed; the timing is the machine's.
"""

import argparse
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType

import psutil
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, NoError
from kafka.structs import OffsetAndMetadata

from ingest.land.broker import group
from ingest.land.store import S3Store
from ingest.publish import PARTITIONS, create_topics
from ingest.settings import Settings
from ingest.stack.parts import is_open
from ingest.stack.supervise import states
from tests.bench.own_stack import own_stack
from tests.chaos import oracle
from tests.chaos.processes import ASSAY, Worker, wait_until
from tests.chaos.proxy import Proxy, before
from tests.chaos.report import Seen, report
from tests.chaos.traffic import TOPICS, Traffic

SHARES = {"share_of_objects": 0.6, "share_of_others": 0.25}
"""How many of the PUTs of rows fail, and of all other calls: of those a start makes two dozen."""
SMALL = {
    "land_object_rows": 100,
    "land_object_seconds": 1.0,
    "land_session_seconds": 3.0,
    "land_poll_seconds": 3.0,
    "s3_timeout_seconds": 3.8,
    "land_metrics_port": 0,
}
"""Settings of the workers: many objects, and times short enough to be exceeded often."""
SLOW_SECONDS = 3.4
"""Longer than the longest pause between reads, shorter than the store's time to answer."""
PAUSE_SECONDS = 0.3, 1.3
"""Between two faults of processes."""
FAULTS = {
    "frozen": 75,
    "frozen past the session": 5,
    "killed": 12,
    "restarted": 6,
    "all restarted, one by one": 1,
    "offsets put back to the earliest": 1,
    "broker killed": 0.6,
}
SERVICES = ("service 1", "service 2", "service 3", "service 4")
DRAIN = "drain"
DRAIN_SECONDS = 300
"""For the last drain: all that the faults have left behind, in objects of the usual size."""


class Chaos:
    """The workers, and what is done to them. Everything here runs on one thread."""

    def __init__(self, settings: Settings, proxy: Proxy, seed: int) -> None:
        self._settings = settings
        self._proxy = proxy
        self._through = settings.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{proxy.port}", **SMALL})
        self._chance = random.Random(seed)
        self._seed = seed
        self._workers: dict[str, Worker] = {}
        self._frozen: dict[str, float] = {}
        """Workers that are stopped, and when they go on."""
        self._drain_again = 0.0
        self.seen = Seen()

    def run(self, seconds: float) -> None:
        """Faults for so long."""
        self._proxy.plan(**SHARES, seed=self._seed, slow_seconds=SLOW_SECONDS)
        said = time.monotonic()
        end, following = said + seconds, said + 5.0  # the first workers may begin
        while time.monotonic() < end:
            self._tend()
            if time.monotonic() > following:
                self._strike()
                following = time.monotonic() + self._chance.uniform(*PAUSE_SECONDS)
            if time.monotonic() - said > 30:
                said = time.monotonic()
                self._say(end - said)
            time.sleep(0.05)
        self._proxy.plan(**dict.fromkeys(SHARES, 0.0))

    def land_the_rest(self) -> None:
        """Without faults: stop the services in order, then drain until all is landed."""
        for name in list(self._frozen):
            self._thaw(name)
        for name in self._running():
            self._end(name, signal.SIGTERM, 60)
        wait_until(lambda: is_open(self._settings.kafka_port), 60)
        self._through = self._through.model_copy(update={"land_object_rows": 250_000})
        last = self._start(DRAIN)
        if last.wait(DRAIN_SECONDS):
            self.seen.wrong.append("the last drain failed:\n" + "\n".join(last.lines))
        self._judge(DRAIN)

    def close(self) -> None:
        """No worker is left."""
        for worker in self._workers.values():
            worker.kill()

    def _tend(self) -> None:
        """Thaw who is due, start who is missing."""
        now = time.monotonic()
        for name in [name for name, until in self._frozen.items() if until < now]:
            self._thaw(name)
        for name in (*SERVICES, DRAIN):
            worker = self._workers.get(name)
            if worker is not None and not worker.is_running():
                self._judge(name)
                if name == DRAIN:
                    self._drain_again = now + self._chance.uniform(0.0, 3.0)
            if name not in self._workers and (name != DRAIN or now > self._drain_again):
                self._start(name)

    def _strike(self) -> None:
        """One fault of a process, as the seed has it."""
        kind = self._chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        name = self._chance.choice((*SERVICES, *SERVICES, DRAIN))
        seconds = self._chance.uniform(3.3, 7.0) if kind.endswith("session") else self._chance.expovariate(1.5)
        struck = True
        match kind:
            case "broker killed":
                struck = self._kill_broker()
            case "offsets put back to the earliest":
                struck = self._put_offsets_back()
            case "all restarted, one by one":
                for service in SERVICES:
                    self._restart(service)
            case _ if name not in self._running() or name in self._frozen:
                return
            case "killed":
                self._end(name, signal.SIGKILL)
            case "restarted":
                self._restart(name)
            case _:
                self._workers[name].send(signal.SIGSTOP)
                self._frozen[name] = time.monotonic() + seconds
        self.seen.processes[kind] += struck

    def _running(self) -> list[str]:
        return [name for name, worker in self._workers.items() if worker.is_running()]

    def _thaw(self, name: str) -> None:
        del self._frozen[name]
        if name in self._running():
            self._workers[name].send(signal.SIGCONT)

    def _start(self, name: str) -> Worker:
        topics = [word for topic in TOPICS for word in ("--topic", topic)]
        command = [ASSAY, "land", "--drain" if name == DRAIN else "--follow", *topics]
        self._workers[name] = worker = Worker(name, command, self._through)
        self.seen.starts["drain" if name == DRAIN else "service"] += 1
        return worker

    def _restart(self, name: str) -> None:
        if name in self._frozen:
            self._thaw(name)
        if name in self._running():
            self._end(name, signal.SIGTERM, 90)
        self._start(name)

    def _end(self, name: str, number: signal.Signals, seconds: float = 10) -> None:
        """End a worker and judge how it went."""
        if name in self._frozen:
            self._thaw(name)
        worker = self._workers[name]
        worker.send(number)
        if not wait_until(lambda: not worker.is_running(), seconds, 0.05):
            self.seen.wrong.append(f"{name} did not end within {seconds:.0f} s:\n" + "\n".join(worker.lines))
            worker.kill()
        self._judge(name)

    def _judge(self, name: str) -> None:
        """Take what a worker has left behind."""
        worker = self._workers.pop(name)
        code = worker.wait()
        self._frozen.pop(name, None)
        self.seen.lines += worker.seen
        expected = {0, 1} if name == DRAIN else {1}
        if worker.ended_by_us:
            expected = {0, 1, -signal.SIGKILL, -signal.SIGTERM}
        if code not in expected or worker.has_traceback:
            said = "\n".join(list(worker.lines)[-60:])
            self.seen.wrong.append(f"{name} ended with {code}:\n{said}")
            print(self.seen.wrong[-1], flush=True)
        elif code == 1:
            self.seen.ends[_in_short(worker.lines[-1] if worker.lines else "")] += 1

    def _kill_broker(self) -> bool:
        """kill -9; supervisor starts it again."""
        found = states(self._settings)
        if not found or not found["kafka"].pid:
            return False
        try:
            below = psutil.Process(found["kafka"].pid).children(recursive=True)
            java = [process for process in below if process.name() == "java"]
            for process in java:
                process.kill()
        except psutil.NoSuchProcess:
            return False
        return bool(java)

    def _put_offsets_back(self) -> bool:
        """Of a group without members; the services are stopped for it.

        Not by librdkafka: calls to a coordinator that goes away end its process (confluentinc/librdkafka#5397).
        """
        for name in SERVICES:
            if name in self._running():
                self._end(name, signal.SIGTERM, 90)
        first = OffsetAndMetadata(0, "", -1)
        places = {TopicPartition(name, part): first for name in TOPICS for part in range(PARTITIONS[name])}
        end = time.monotonic() + 8
        while time.monotonic() < end:
            try:
                with closing(
                    KafkaAdminClient(bootstrap_servers=self._settings.kafka, request_timeout_ms=5_000)
                ) as admin:
                    answers = admin.alter_group_offsets(group(self._settings), places)
            except KafkaError:
                answers = {}  # the broker is away
            if answers and all(answer is NoError for answer in answers.values()):
                return True
            time.sleep(0.5)  # a member that was killed is not yet given up
        return False

    def _say(self, left: float) -> None:
        calls, struck = self._proxy.told()
        print(
            f"{left:5.0f} s left  store calls {calls.total():6} faults {struck.total():6}  "
            f"process faults {self.seen.processes.total():5}",
            flush=True,
        )


def chaos(settings: Settings, minutes: float, seed: int, rate: int) -> bool:
    """Run it on this stack and print the report. Whether nothing was lost, doubled or wrong."""
    begun = time.monotonic()
    log = settings.var_dir / "proxy.log"
    with before(settings.s3_port, log) as proxy, Traffic(settings, seed=seed, rate=rate) as traffic:
        run = Chaos(settings, proxy, seed)
        try:
            run.run(minutes * 60)
            calls, struck = proxy.told()
            traffic.stop()
            run.land_the_rest()
        finally:
            run.close()
        if "Traceback" in log.read_text():
            run.seen.wrong.append(f"the proxy failed:\n{log.read_text()[-3000:]}")
    verify = Worker("verify", [ASSAY, "verify", *(word for name in TOPICS for word in ("--topic", name))], settings)
    code = verify.wait()
    if code:
        run.seen.wrong.append(f"assay verify ended with {code}:\n" + "\n".join(verify.lines))
    counts = oracle.count(settings, traffic.acknowledged())
    for name in ("doubled", "lost", "astray"):
        if getattr(counts, name):
            run.seen.wrong.append(f"{name}: {getattr(counts, name)}")
    report(run.seen, calls, struck, traffic, counts)
    print(f"verify {'green' if code == 0 else 'RED'}   {time.monotonic() - begun:.0f} s   {' '.join(sys.argv[1:])}")
    print(f"seed {seed}: the same faults again with  make chaos minutes={minutes:g} seed={seed}", flush=True)
    for fault in run.seen.wrong:
        print(f"\nWRONG: {fault}")
    return not run.seen.wrong


def _in_short(line: str) -> str:
    """What a worker said at its end, without what differs."""
    return re.sub(r"\d+", "#", re.sub(r"s3://\S+", "KEY", line))[:100]


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Any signal that ends us does so in good order; a shell may have told us to ignore Ctrl-C."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    yield


def main() -> None:
    """Run it on a stack of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options.add_argument("--rate", type=int, default=1_000, help="events a second")
    asked = options.parse_args()
    print(f"seed {asked.seed}", flush=True)
    try:
        with _terminated_as_interrupted(), own_stack() as settings:
            S3Store(settings).create_bucket()
            create_topics(settings)
            good = chaos(settings, asked.minutes, asked.seed, asked.rate)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
