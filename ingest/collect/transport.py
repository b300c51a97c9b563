"""How requests leave, straight to the platforms or to the sandbox that stands in for them; and the platforms' clock."""

import ssl
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

import httpx2

from ingest import __version__
from ingest.collect.call import Call
from ingest.collect.outcome import Answer
from ingest.events import instant
from ingest.settings import Settings

TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
TIMEOUTS = {"timeout": TIMEOUT.as_dict()}
CONNECTIONS = httpx2.Limits(max_connections=64, max_keepalive_connections=64)


class Clock:
    """The platforms' time in a run: the moment that the run was given, plus what has really passed since.

    So a simulated month runs as fast as the machine, and every wait is still as long as the platform asks.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._since = time.monotonic()

    def now(self) -> datetime:
        """The moment on the platforms' clock, in UTC."""
        return self._start + timedelta(seconds=time.monotonic() - self._since)


class Live:
    """Requests go where their addresses say, with the credential. Redirects are not followed: it goes nowhere else."""

    def __init__(self, settings: Settings) -> None:
        agent = f"assay/{__version__}" + (f" (+{settings.contact})" if settings.contact else "")
        self._headers = {"User-Agent": agent, "Accept": "application/json", "Accept-Encoding": "gzip"}
        self._http = self._open()

    def _open(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(timeout=TIMEOUT, limits=CONNECTIONS)

    def _address(self, call: Call) -> tuple[str, dict[str, str]]:
        """Where a call is sent, and the headers that only this way needs."""
        return call.url, {}

    async def send(self, call: Call, credential: Mapping[str, str]) -> Answer:
        """The answer; status 0 with the fault's name where none came or it broke off.

        `credential` are the headers that authorise the call.
        """
        url, own = self._address(call)
        headers = self._headers | ({"Content-Type": "application/json"} if call.body else {})
        headers |= {**credential, **call.headers, **own}
        request = httpx2.Request(call.method, url, headers=headers, content=call.body or None, extensions=TIMEOUTS)
        try:
            response = await self._http.send(request)
        except httpx2.RequestError as error:
            return Answer(0, {"fault": type(error).__name__}, b"", call.url)
        return Answer(response.status_code, dict(response.headers.items()), response.content, call.url)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class Sandbox(Live):
    """Requests go to the sandbox's address; the platform's host stays in `Host`, and the clock goes along."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings)
        self._sandbox = settings.sandbox
        self._clock = clock

    def _open(self) -> httpx2.AsyncClient:
        # Plain HTTP on this machine: an empty context spares loading the world's certificates.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx2.AsyncClient(timeout=TIMEOUT, limits=CONNECTIONS, verify=context, trust_env=False)

    def _address(self, call: Call) -> tuple[str, dict[str, str]]:
        own = {"Host": call.host, "X-Sandbox-Now": instant(self._clock.now())}
        return self._sandbox + call.url.removeprefix(call.base), own


def connect(settings: Settings, clock: Clock) -> Live:
    """The way out for one run, as `settings.source` has it."""
    return Sandbox(settings, clock) if settings.source == "sandbox" else Live(settings)
