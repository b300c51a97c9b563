"""A second S3 server, which shares no code with the first: versitygw, from the Go module proxy.

Built once into the cache directory (a minute or two with Go); `python -m tests.land.versitygw` does just that.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from ingest.errors import AssayError, DependencyFailed, Misconfigured
from ingest.settings import ROOT, Settings, load
from tests.places import free_ports

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"


def build(cache: Path) -> Path:
    """The program, from the cache or built into it.

    Raises Misconfigured where there is no Go, DependencyFailed when the build fails.
    """
    program = cache / f"versitygw-{VERSION}"
    if program.exists():
        return program
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Misconfigured("Go is missing (`go` is not on the PATH): versitygw is built with it (apt: golang)")
    beside = cache / f"versitygw-{VERSION}.{os.getpid()}"
    done = subprocess.run(
        [go, "install", f"{MODULE}@{VERSION}"],
        env=os.environ | {"GOBIN": str(beside)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DependencyFailed(f"{MODULE}@{VERSION} could not be built:\n{done.stderr[-2000:]}")
    (beside / "versitygw").rename(program)
    beside.rmdir()
    return program


@contextmanager
def serve(program: Path, settings: Settings, directory: Path) -> Iterator[str]:
    """Serve a directory; the address of its S3 API, which takes the settings' keys. Dies with this process."""
    port = free_ports()["s3_port"]
    data = directory / "data"
    data.mkdir()
    keys = {"ROOT_ACCESS_KEY": settings.s3_access_key, "ROOT_SECRET_KEY": settings.s3_secret_key.get_secret_value()}
    keep = [sys.executable, "-I", str(ROOT / "infra" / "local" / "keep.py"), "--"]
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(
            [*keep, str(program), "--quiet", "--port", f"127.0.0.1:{port}", "posix", str(data)],
            env=os.environ | keys,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}", process, directory / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(200):
        try:
            httpx2.get(address, timeout=2, trust_env=False)
        except httpx2.HTTPError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    raise DependencyFailed(f"versitygw does not answer at {address}:\n{log.read_text()}")


if __name__ == "__main__":
    try:
        print(build(load().cache_dir))
    except AssayError as error:
        sys.exit(f"{error}")
