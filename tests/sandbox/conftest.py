"""Sandboxes of these tests' own: faults and quotas are shared state that other rooms' tests must not meet."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket

import httpx2 as httpx
import pytest

from ingest.settings import ROOT

NOW = "2026-11-22T10:00:00Z"


@contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """The URL of a sandbox in a process of its own."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "infra.sandbox", "--port", str(port), *options]
    process = subprocess.Popen(command, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.get(f"{url}/_health").raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None, "the sandbox ended"
                assert time.monotonic() < deadline, "the sandbox does not answer"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    """One sandbox for these tests, with a small quota."""
    with sandbox("--youtube-units", "200") as url:
        yield url


@pytest.fixture
def client(sandbox_url: str) -> Iterator[httpx.Client]:
    """A plain HTTP client of the sandbox; faults are cleared after the test."""
    with httpx.Client(base_url=sandbox_url, headers={"X-Sandbox-Now": NOW}) as client:
        yield client
        client.delete("/_faults")


@pytest.fixture
def another_sandbox() -> Callable[..., object]:
    """Start a further sandbox: `with another_sandbox("--fakes", "2") as url`."""
    return sandbox
