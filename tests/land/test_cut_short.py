"""An answer of the store that ends early is an answer that did not come: never half a number, never an empty lake.

botocore takes headers that end early for all of them. Each test serves one answer by hand, then only its beginning.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ingest.errors import DependencyFailed
from ingest.land.store import READS, Entry, Object, S3Store
from ingest.settings import load

METADATA = {"next": "1234567", "attempt": "a" * 32}
BODY = b"0123456789"
OBJECT = (
    b'HTTP/1.1 206 Partial Content\r\nETag: "e"\r\nLast-Modified: Sun, 22 Nov 2026 10:00:00 GMT\r\n'
    b"Content-Range: bytes 0-0/10\r\nContent-Length: 1\r\n"
    b"x-amz-meta-attempt: " + b"a" * 32 + b"\r\nx-amz-meta-next: 1234567\r\n\r\n0"
)
WHOLE = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 10\r\n\r\n' + BODY
LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>raw/a</Key></Contents></ListBucketResult>"
LISTING = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(LISTED) + LISTED


@contextmanager
def answering(*answers: bytes) -> Iterator[S3Store]:
    """A store that gives these answers, the last one for ever, each on a connection that it then closes."""
    listener = socket.create_server(("127.0.0.1", 0))
    given = list(answers)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                while b"\r\n\r\n" not in client.recv(1 << 16):
                    pass
                client.sendall(given.pop(0) if len(given) > 1 else given[0])

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield S3Store(load(_env_file=None, s3_endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}"))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


READINGS: dict[str, tuple[bytes, Callable[[S3Store], object], object]] = {
    "look": (OBJECT, lambda store: store.head("k"), Entry("k", 10, '"e"', METADATA)),
    "read": (WHOLE, lambda store: store.get("k"), Object(BODY, '"e"')),
    "list": (LISTING, lambda store: list(store.list("raw/")), ["raw/a"]),
}


@pytest.mark.parametrize("kind", READINGS)
def test_no_beginning_of_an_answer_is_taken_for_the_answer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.land.store.READS", 1)
    answer, read, whole = READINGS[kind]
    with answering(answer) as store:
        assert read(store) == whole
    for end in range(len(b"HTTP/1.1 20"), len(answer), 7):
        with answering(answer[:end]) as store, pytest.raises(DependencyFailed):
            read(store)


@pytest.mark.parametrize("kind", READINGS)
def test_an_answer_that_was_cut_short_is_asked_for_again(kind: str) -> None:
    answer, read, whole = READINGS[kind]
    with answering(*[answer[:-1]] * (READS - 1), answer) as store:
        assert read(store) == whole
