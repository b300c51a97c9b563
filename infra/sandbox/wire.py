"""What goes over the wire: requests, answers, times, page tokens and rate windows."""

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec

_encode = msgspec.json.Encoder().encode
Headers = tuple[tuple[str, str], ...]
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
WINDOWS_KEPT = 4096


@dataclass(slots=True)
class Request:
    """One request, with the moment that it is to be answered for (seconds since 1970)."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    client: str
    now: float
    body: bytes = b""
    _pairs: list[tuple[str, str]] | None = field(default=None, repr=False)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query's names and values, in order."""
        if self._pairs is None:
            self._pairs = parse_qsl(self.query, keep_blank_values=True)
        return self._pairs

    def one(self, name: str) -> str | None:
        """The last value of a parameter, or None."""
        return next((value for key, value in reversed(self.pairs) if key == name), None)

    def many(self, name: str) -> list[str]:
        """Every value of a parameter, in order."""
        return [value for key, value in self.pairs if key == name]

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form in the body, the last of each name."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def document(self) -> dict[str, object]:
        """The JSON object in the body; empty where there is none."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, object])
        except ValueError:
            return {}

    @property
    def host(self) -> str:
        """The Host header, with its port."""
        return self.headers.get("host", "")

    @property
    def host_name(self) -> str:
        """The Host header in lower case, without its port."""
        name, colon, port = self.host.lower().rpartition(":")
        return name if colon and port.isdigit() else self.host.lower()

    @property
    def base(self) -> str:
        """What absolute links of the answer begin with: the host asked for, or this server where that is loopback."""
        scheme = "http" if self.host_name in LOOPBACK else "https"
        return f"{scheme}://{self.host}"


LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "")


@dataclass(slots=True)
class Answer:
    """One answer; a body that is not bytes is sent as JSON."""

    status: int
    body: object
    headers: Headers = ()
    content_type: str = JSON

    def encoded(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else _encode(self.body)


class Refusal(Exception):
    """An answer that ends the work on a request at once."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def seconds(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 moment; ValueError where it is none."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def iso(t: float) -> str:
    """`2026-09-01T08:00:00Z`."""
    return datetime.fromtimestamp(int(t), UTC).isoformat()[:19] + "Z"


def iso_millis(t: float) -> str:
    """`2026-09-01T08:00:00.123Z`."""
    whole, millis = divmod(round(t * 1000), 1000)
    return f"{datetime.fromtimestamp(whole, UTC).isoformat()[:19]}.{millis:03d}Z"


def day(t: float) -> str:
    """`2026-09-01`."""
    return datetime.fromtimestamp(t, UTC).date().isoformat()


def seal(*parts: object) -> str:
    """An opaque page token of some parts."""
    return base64.urlsafe_b64encode("|".join(map(str, parts)).encode()).rstrip(b"=").decode()


def unseal(token: str, count: int) -> list[str] | None:
    """The parts of a token that `seal` made, or None."""
    try:
        parts = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode().split("|")
    except ValueError:
        return None
    return parts if len(parts) == count else None


@dataclass(frozen=True, slots=True)
class Limits:
    """How the sandbox's limits are set.

    Units of a YouTube key's day, by what factor rate windows are shortened, and seconds that an answer takes at least.
    """

    youtube_units: int = 1_000_000
    shorten: float = 1.0
    latency: float = 0.0


class Spent:
    """What a platform bills: units and calls by credential, bucket and window (a day, a month: the platform's word)."""

    def __init__(self) -> None:
        self._units: Counter[tuple[str, str, str]] = Counter()
        self._calls: Counter[tuple[str, str, str]] = Counter()

    def units(self, credential: str, bucket: str, window: str) -> int:
        """Units spent so far."""
        return self._units[credential, bucket, window]

    def add(self, credential: str, bucket: str, window: str, units: int = 1) -> None:
        """Bill one call with its units."""
        self._units[credential, bucket, window] += units
        self._calls[credential, bucket, window] += 1

    def rows(self) -> list[dict[str, object]]:
        """What was billed, as the truth tells it."""
        return [
            {
                "credential": spent[0],
                "bucket": spent[1],
                "window": spent[2],
                "units": units,
                "calls": self._calls[spent],
            }
            for spent, units in sorted(self._units.items())
        ]

    def clear(self) -> None:
        """Forget what was billed."""
        self._units.clear()
        self._calls.clear()


class Windows:
    """Requests counted in windows aligned to the clock, by the moment that each request brings along.

    With `shorten` each window of n seconds lasts n / shorten: for measuring in a minute what limits allow in an hour.
    """

    def __init__(self, shorten: float = 1.0) -> None:
        self._shorten = shorten
        self._counts: dict[tuple[object, ...], int] = {}

    def clear(self) -> None:
        """Forget what was counted."""
        self._counts.clear()

    def spend(self, now: float, seconds: float, *subject: object, cost: int = 1) -> tuple[int, float]:
        """Count `cost` for the subject; how much its window holds now, and when the window ends."""
        length = seconds / self._shorten
        number = int(now // length)
        window = (*subject, length, number)
        spent = self._counts.get(window, 0) + cost
        if len(self._counts) > WINDOWS_KEPT and window not in self._counts:
            for old in list(self._counts)[: WINDOWS_KEPT // 2]:
                del self._counts[old]
        self._counts[window] = spent
        return spent, (number + 1) * length
