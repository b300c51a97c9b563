"""Known posts of a platform: what to read again, and what may be gone.

An object in the lake, `state/known_posts/<platform>.parquet`. The marts write it from their facts, so it can always be
rebuilt; each run of the collector brings it up to date, so that no run re-reads what an earlier one just read while the
marts were not built. Whoever wrote last wins: the worst that a lost update costs is one reading more.

A run has them in a temporary SQLite database, most of it on disk: its memory does not grow with their number.
"""

import io
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest.collect.ladder import HORIZON, Known
from ingest.errors import DependencyFailed, Misconfigured
from ingest.land.store import Store

SCHEMA = pa.schema(
    {
        "account_id": pa.string(),
        "post_id": pa.string(),
        "published_at": pa.timestamp("ms", tz="UTC"),
        "last_seen_at": pa.timestamp("ms", tz="UTC"),
        "state": pa.string(),
    }
)
PIECE = 20_000
"""Posts that are Python objects at once."""
TABLE = """
create table posts (
    account_id text, post_id text, published_at integer, last_seen_at integer, state text,
    primary key (account_id, post_id)
) without rowid
"""
EPOCH, RESOLUTION = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


class KnownPosts:
    """The posts by account, as they were when read and with those seen since; a context manager."""

    def __init__(self, etag: str | None = None) -> None:
        """`etag` is that of the object read, None when there is none."""
        self._etag = etag
        self._is_changed = False
        self._posts = sqlite3.connect("", isolation_level=None)  # "": a file of its own, gone when it is closed
        self._posts.execute("pragma synchronous = off")
        self._posts.execute("pragma journal_mode = off")
        self._posts.execute(TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._posts.close()

    @property
    def accounts(self) -> list[str]:
        """The accounts that have posts here, in order."""
        return [account for (account,) in self._posts.execute("select distinct account_id from posts order by 1")]

    def __len__(self) -> int:
        (count,) = self._posts.execute("select count(*) from posts").fetchone()
        return int(count)

    @property
    def last_seen_at(self) -> datetime | None:
        """When any of them was seen last; None where none ever was."""
        (newest,) = self._posts.execute("select max(last_seen_at) from posts").fetchone()
        return None if newest is None else datetime.fromtimestamp(newest / 1000, UTC)

    def of(self, account_id: str) -> list[Known]:
        """One account's posts. One that was only ever seen missing counts as last seen when it was published."""
        found = self._posts.execute(
            "select post_id, published_at, last_seen_at, state from posts where account_id = ?", (account_id,)
        )
        at = datetime.fromtimestamp
        return [
            Known(
                post_id,
                account_id,
                at(published / 1000, UTC),
                at((published if seen is None else seen) / 1000, UTC),
                state or "visible",
            )
            for post_id, published, seen, state in found
        ]

    def counts(self, since: datetime) -> dict[str, int]:
        """How many posts after a moment, and not gone, each account has."""
        there = "published_at > ? and coalesce(state, 'visible') <> 'gone'"
        counted = f"select account_id, count(*) from posts where {there} group by account_id"  # noqa: S608  # our own words
        return dict(self._posts.execute(counted, (_milliseconds(since),)))

    def owners(self) -> dict[str, str]:
        """Whose each post is: account_id by post_id."""
        return dict(self._posts.execute("select post_id, account_id from posts"))

    def see(self, posts: Iterable[Known]) -> None:
        """Note posts that are there. Raises DependencyFailed when the disk is full."""
        rows = [
            (
                post.account_id,
                post.post_id,
                _milliseconds(post.published_at),
                _milliseconds(post.last_seen_at),
                post.state,
            )
            for post in posts
        ]
        if rows:
            self._is_changed = True
            self._insert(rows)

    def forget(self, account_id: str) -> None:
        """Let an account's posts count as never seen."""
        self._posts.execute("delete from posts where account_id = ?", (account_id,))

    def _insert(self, rows: Iterable[tuple[str | int | None, ...]]) -> None:
        with _room():
            self._posts.execute("begin")
            self._posts.executemany("insert or replace into posts values (?, ?, ?, ?, ?)", rows)
            self._posts.execute("commit")

    def load(self, batch: pa.RecordBatch) -> None:
        """Take in rows of the object; those without a moment of publication are of no use."""
        batch = batch.filter(pc.is_valid(batch["published_at"]))
        moments = (batch[name].cast(pa.int64()) for name in ("published_at", "last_seen_at"))
        columns = (batch["account_id"], batch["post_id"], *moments, batch["state"])
        self._insert(zip(*(column.to_pylist() for column in columns), strict=True))

    def write(self, store: Store, platform: str, now: datetime) -> None:
        """Bring the object up to date with the posts seen, unless somebody else wrote it since it was read.

        Posts past the ladder's horizon are dropped. Raises DependencyFailed when the store does not answer.
        """
        if not self._is_changed:
            return
        body = io.BytesIO()
        with pq.ParquetWriter(body, SCHEMA, compression="zstd") as file:
            for piece in self._pieces(now - HORIZON):
                file.write_batch(piece)
        store.put(object_key(platform), body.getvalue(), if_absent=self._etag is None, if_match=self._etag)

    def _pieces(self, since: datetime) -> Iterator[pa.RecordBatch]:
        """The posts after a moment in order of account and post, some at a time."""
        found = self._posts.execute(
            "select * from posts where published_at > ? order by account_id, post_id", (_milliseconds(since),)
        )
        while rows := found.fetchmany(PIECE):
            columns = ([row[at] for row in rows] for at in range(len(SCHEMA)))
            arrays = [pa.array(values).cast(to) for values, to in zip(columns, SCHEMA.types, strict=True)]
            yield pa.record_batch(arrays, SCHEMA)


def read(store: Store, platform: str) -> KnownPosts:
    """The platform's known posts; none when the object is not there.

    Raises Misconfigured when the object is no such table, DependencyFailed when the store does not answer or the
    temporary directory is full.
    """
    key = object_key(platform)
    found = store.get(key)
    if found is None:
        return KnownPosts()
    known = KnownPosts(found.etag)
    try:
        for batch in pq.ParquetFile(io.BytesIO(found.body)).iter_batches(PIECE, columns=SCHEMA.names):
            known.load(batch.select(SCHEMA.names).cast(SCHEMA))
    except (pa.ArrowException, KeyError) as error:
        raise Misconfigured(f"{key} cannot be read ({error}). Delete it: `assay publish` writes it anew") from None
    return known


@contextmanager
def _room() -> Iterator[None]:
    """Say for people that the disk is full."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DependencyFailed(
            f"known posts cannot be kept in a temporary file: {error}. Make room there, or set TMPDIR; then run again"
        ) from error


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // RESOLUTION


def object_key(platform: str) -> str:
    """Where a platform's known posts lie in the lake."""
    return f"state/known_posts/{platform}.parquet"
