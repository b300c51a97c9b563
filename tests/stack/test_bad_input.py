"""What people see when the machine or a dependency is not as it must be: the real command's stderr and exit code."""

import http.client
import http.server
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import urlsplit

import processes
import pytest
from places import free_ports

from ingest.settings import Settings, load

Assay = Callable[..., CompletedProcess[str]]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """Settings of a stack that does not run."""
    return load(_env_file=None, var_dir=tmp_path / "var", cache_dir=tmp_path / "cache", **free_ports())


def changed(settings: Settings, **others: object) -> Settings:
    return load(_env_file=None, **{name: getattr(settings, name) for name in settings.model_fields_set} | others)


def one_line(done: CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("assay: ")
    return lines[0]


def only(path: Path, *programs: str) -> str:
    """A PATH with nothing but these programs."""
    path.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found
        (path / program).symlink_to(found)
    return str(path)


def test_a_taken_port_is_named_with_its_setting_before_anything_starts(assay: Assay, elsewhere: Settings):
    with socket.create_server(("127.0.0.1", elsewhere.postgres_port)):
        done = assay(elsewhere, "up")
    assert done.returncode == 2
    assert f"port {elsewhere.postgres_port} on 127.0.0.1 is taken" in one_line(done)
    assert "ASSAY_POSTGRES_PORT" in done.stderr
    assert not elsewhere.var_dir.exists()


def test_without_java_the_message_says_what_to_install(assay: Assay, elsewhere: Settings, tmp_path: Path):
    done = assay(elsewhere, "up", PATH=only(tmp_path / "bin", "mvn"))
    assert done.returncode == 2
    assert "Java 17 is missing" in one_line(done)
    assert "apt-get install" in done.stderr
    assert not elsewhere.var_dir.exists()


def test_without_maven_the_message_says_what_to_install(assay: Assay, elsewhere: Settings, tmp_path: Path):
    done = assay(elsewhere, "up", PATH=only(tmp_path / "bin", "java"))
    assert done.returncode == 2
    assert "Maven is missing" in one_line(done)
    assert "apt-get install" in done.stderr
    assert not elsewhere.var_dir.exists()


def test_a_wrong_setting_is_named_with_its_value(assay: Assay, elsewhere: Settings):
    done = assay(elsewhere, "status", ASSAY_KAFKA_PORT="many")
    assert done.returncode == 2
    assert "ASSAY_KAFKA_PORT='many'" in done.stderr


@pytest.mark.stack
def test_with_the_broker_down_collect_fails_and_says_that_nothing_is_lost(assay: Assay, settings: Settings):
    away = changed(settings, kafka_bootstrap=f"127.0.0.1:{free_ports()['kafka_port']}")
    done = assay(away, "collect", "mastodon")
    assert done.returncode == 1, done.stderr
    assert "Kafka" in done.stderr
    assert "nothing is lost" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.stack
def test_with_the_broker_down_land_fails_and_may_be_tried_again(assay: Assay, settings: Settings):
    away = changed(settings, kafka_bootstrap=f"127.0.0.1:{free_ports()['kafka_port']}")
    done = assay(away, "land", "--drain")
    assert done.returncode == 1, done.stderr
    assert "Kafka" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.stack
def test_with_the_store_down_land_fails_and_may_be_tried_again(assay: Assay, settings: Settings):
    away = changed(settings, s3_endpoint=f"http://127.0.0.1:{free_ports()['s3_port']}")
    done = assay(away, "land", "--drain")
    assert done.returncode == 1, done.stderr
    assert "Is the store up?" in done.stderr
    assert "Traceback" not in done.stderr


class Forgetful(http.server.BaseHTTPRequestHandler):
    """A proxy that forgets the conditions of a PUT, as stores without conditional writes do."""

    protocol_version = "HTTP/1.1"
    behind: str

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in {"if-none-match", "if-match"}
        }
        backend = http.client.HTTPConnection(self.behind, timeout=30)
        backend.request(self.command, self.path, body, headers)
        answer = backend.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)
        backend.close()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward  # noqa: N815 - http.server names them so

    def log_message(self, *_arguments: object) -> None:
        """Not into the test's output."""


@pytest.fixture
def unconditional(settings: Settings) -> Iterator[Settings]:
    """The stack behind a store that honours no conditions."""
    handler = type("Handler", (Forgetful,), {"behind": urlsplit(settings.s3).netloc})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield changed(settings, s3_endpoint=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


@pytest.mark.stack
def test_a_store_without_conditional_writes_is_refused(assay: Assay, unconditional: Settings):
    done = assay(unconditional, "land", "--drain")
    assert done.returncode == 2, done.stderr
    assert "overwrote an object" in one_line(done)
    assert "ASSAY_S3_ENDPOINT" in done.stderr


@pytest.mark.stack
def test_clean_refuses_a_lake_that_is_not_ours(unconditional: Settings, tmp_path: Path):
    from ingest.errors import Misconfigured
    from ingest.stack.clean import clean

    (tmp_path / "kafka").mkdir()
    with pytest.raises(Misconfigured, match="ASSAY_S3_ENDPOINT"):
        clean(unconditional, progress=print)
    assert (tmp_path / "kafka").exists()
    assert processes.of(tmp_path) == []
