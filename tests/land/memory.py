"""The landing's world, small: an object store in memory that fails on demand, a log, and clocks that tests move."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ingest.errors import DependencyFailed
from ingest.land.broker import Log
from ingest.land.store import Entry, Object, Put

DAY_MS = 86_400_000


class MemoryStore:
    """Objects by key. `faults` are used up by PUTs, first to last."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        self.faults: list[str] = []
        """`down`: nothing happens. `lost`: written, and the reply is lost. `conflict`: 409. `late`: an error, and it is
        done some time afterwards."""
        self.puts: list[str] = []
        self.late: list[Callable[[], object]] = []
        """PUTs that are still under way."""

    def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Put:
        self.puts.append(key)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "down":
            raise DependencyFailed("503")
        if fault == "conflict":
            return Put.CONFLICT
        if fault == "late":
            self.late.append(lambda: self._write(key, body, metadata, if_absent))
            raise DependencyFailed("timed out")
        outcome = self._write(key, body, metadata, if_absent)
        if fault == "lost":
            raise DependencyFailed("connection reset")
        return outcome

    def _write(self, key: str, body: bytes, metadata: Mapping[str, str] | None, if_absent: bool) -> Put:
        if if_absent and key in self.objects:
            return Put.REFUSED
        self.objects[key] = body, dict(metadata or {})
        return Put.WRITTEN

    def arrive(self) -> None:
        """What was under way is carried out."""
        while self.late:
            self.late.pop(0)()

    def head(self, key: str) -> Entry | None:
        if key not in self.objects:
            return None
        body, metadata = self.objects[key]
        return Entry(key, len(body), "etag", metadata)

    def get(self, key: str) -> Object | None:
        return Object(self.objects[key][0], "etag") if key in self.objects else None

    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        if not delimiter:
            yield from keys
            return
        ends = [key.find(delimiter, len(prefix)) for key in keys]
        yield from dict.fromkeys(key[: end + 1] if end >= 0 else key for key, end in zip(keys, ends, strict=True))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


@dataclass
class TestClock:
    """Seconds that pass when a test says so, and while waiting."""

    __test__ = False
    seconds: float = 1_000.0

    def now(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class MemoryLog:
    """One partition's log: offset and broker's timestamp of each record."""

    records: list[tuple[int, int]] = field(default_factory=list)
    start: int = 0
    end: int = 0
    now_ms: int = 20_000 * DAY_MS

    def produce(self, count: int, *, gap: int = 0) -> None:
        """Append records; before them, `gap` offsets that are no records."""
        self.end += gap
        for _ in range(count):
            self.records.append((self.end, self.now_ms))
            self.end += 1

    def expire(self, count: int) -> None:
        """Drop the oldest records."""
        self.records = self.records[count:]
        self.start = self.records[0][0] if self.records else self.end

    def read(self, position: int, count: int) -> list[tuple[int, int]]:
        """The next records from an offset on."""
        return [record for record in self.records if record[0] >= position][:count]

    @property
    def log(self) -> Log:
        return Log(self.start, self.end)


class Bare:
    """A record without headers."""

    @staticmethod
    def headers() -> None:
        return None
