"""mitmproxy before the store, with our faults (`faults.py`): started, told what to do, asked what it did."""

import json
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from ingest.settings import ROOT
from tests.chaos.processes import end_with_us

MITMDUMP = ROOT / ".venv-chaos" / "bin" / "mitmdump"
START_SECONDS = 60


class Proxy:
    """Its control: the code under test knows nothing of it."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self._process = process

    def plan(self, **what: Any) -> None:
        """What to do from now on, in the names of `Faults`: shares and seed, slow_seconds, hold."""
        self._ask(json.dumps(what).encode())

    def hold(self, place: str | None) -> None:
        """Hold the next PUT of an object of the lake: "during" it, or when it has taken effect ("replied")."""
        self.plan(hold=place)

    def is_holding(self) -> bool:
        """Whether a PUT was held since it was asked for."""
        return bool(self._ask()["held"])

    def told(self) -> tuple[Counter[str], Counter[tuple[str, str]]]:
        """Calls by method, and faults that struck by kind and method."""
        said = self._ask()
        struck = {tuple(name.rsplit("/", 1)): count for name, count in said["struck"].items()}
        return Counter(said["calls"]), Counter(struck)  # type: ignore[arg-type]

    def is_alive(self) -> bool:
        """Whether the proxy still runs."""
        return self._process.poll() is None

    def _ask(self, body: bytes | None = None) -> dict[str, Any]:
        request = Request(f"http://127.0.0.1:{self.port}/_faults", body, method="PUT" if body else "GET")
        with urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))


@contextmanager
def before(port: int, log: Path) -> Iterator[Proxy]:
    """A proxy before the store on this port; what it says goes to the file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = int(free.getsockname()[1])
    options = {"connection_strategy": "lazy", "client_replay_concurrency": -1, "flow_detail": 0, "confdir": log.parent}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(MITMDUMP), "--mode", f"reverse:http://127.0.0.1:{port}", "--listen-host", "127.0.0.1", "-p", str(own)]
            + [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
            + ["-s", str(Path(__file__).with_name("faults.py"))],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            preexec_fn=end_with_us,  # noqa: PLW1509
        )
    proxy = Proxy(own, process)
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(proxy):
            if not proxy.is_alive() or time.monotonic() > end:
                raise RuntimeError(f"mitmproxy does not start:\n{log.read_text()}")
            time.sleep(0.2)
        yield proxy
    finally:
        process.kill()
        process.wait()


def _answers(proxy: Proxy) -> bool:
    try:
        proxy.plan()
    except (URLError, OSError):
        return False
    return True
