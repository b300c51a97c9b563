"""Known posts of a platform: what to read again, and what may be gone.

An object in the lake, `state/known_posts/<platform>.parquet`. The marts write it from their facts, so it can always be
rebuilt; each run of the collector brings it up to date, so that no run re-reads what an earlier one just read while the
marts were not built. Whoever wrote last wins: the worst that a lost update costs is one reading more.
"""

import io
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ingest.collect.ladder import HORIZON, Known
from ingest.errors import Misconfigured
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
NEVER = -(2**63)
PIECE = 50_000
"""Posts that are brought up to date at once."""


class KnownPosts:
    """The posts by account. Kept as columns: only one account's are ever Python objects."""

    def __init__(self, table: pa.Table, etag: str | None = None) -> None:
        """`etag` is that of the object read, None when there is none."""
        if not _is_sorted(table["account_id"]):
            table = table.sort_by("account_id")
        self.table = table.combine_chunks()
        self.etag = etag
        self._published, self._seen = (_milliseconds(self.table[name]) for name in ("published_at", "last_seen_at"))
        self._slices: dict[str, tuple[int, int]] = {}
        if self.table.num_rows:
            runs = pc.run_end_encode(self.table["account_id"].combine_chunks())
            start = 0
            for account, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                self._slices[account] = (start, end - start)
                start = end

    def stretches(self) -> Iterator[tuple[pa.Table, str]]:
        """The table in pieces, each with the last of its accounts, whose posts it ends with."""
        begin = 0
        for account, (start, count) in self._slices.items():
            if (end := start + count) - begin >= PIECE or end == self.table.num_rows:
                yield self.table.slice(begin, end - begin), account
                begin = end

    @property
    def accounts(self) -> list[str]:
        """The accounts that have posts here."""
        return list(self._slices)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def of(self, account_id: str) -> list[Known]:
        """One account's posts. One that was only ever seen missing counts as last seen when it was published."""
        start, count = self._slices.get(account_id, (0, 0))
        ids, states = (self.table[name].slice(start, count).to_pylist() for name in ("post_id", "state"))
        columns = (column[start : start + count].tolist() for column in (self._published, self._seen))
        at = datetime.fromtimestamp
        return [
            Known(
                post_id,
                account_id,
                at(published / 1000, UTC),
                at((published if seen == NEVER else seen) / 1000, UTC),
                state or "visible",
            )
            for post_id, state, published, seen in zip(ids, states, *columns, strict=True)
            if published != NEVER
        ]


def _is_sorted(column: pa.ChunkedArray) -> bool:
    return len(column) < 2 or bool(pc.all(pc.less_equal(column.slice(0, len(column) - 1), column.slice(1))).as_py())


def _milliseconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Moments as milliseconds since 1970, and NEVER for none: an Arrow scalar for each would cost ten times as much."""
    found: NDArray[np.int64] = pc.fill_null(column.cast(pa.int64()), NEVER).to_numpy()
    return found


def read(store: Store, platform: str) -> KnownPosts:
    """The platform's known posts; none when the object is not there.

    Raises Misconfigured when the object is no such table, DependencyFailed when the store does not answer.
    """
    key = object_key(platform)
    found = store.get(key)
    if found is None:
        return KnownPosts(SCHEMA.empty_table())
    try:
        table = pq.ParquetFile(io.BytesIO(found.body)).read(SCHEMA.names)  # `read_table` brings pandas along
        return KnownPosts(table.select(SCHEMA.names).cast(SCHEMA), found.etag)
    except (pa.ArrowException, KeyError) as error:
        raise Misconfigured(f"{key} cannot be read ({error}). Delete it: `assay publish` writes it anew") from None


def write(store: Store, platform: str, known: KnownPosts, seen: Iterable[Known], now: datetime) -> None:
    """Bring the object up to date with the posts that a run saw, unless somebody else wrote it since it was read.

    Posts past the ladder's horizon are dropped. Raises DependencyFailed when the store does not answer.
    """
    rows = {post.post_id: post for post in seen}
    if not rows:
        return
    body = io.BytesIO()
    with pq.ParquetWriter(body, SCHEMA, compression="zstd") as file:
        for piece in _merged(known, rows, pa.scalar(now - HORIZON, SCHEMA.field("published_at").type)):
            file.write_table(piece)
    store.put(object_key(platform), body.getvalue(), if_absent=known.etag is None, if_match=known.etag)


def _merged(known: KnownPosts, seen: Mapping[str, Known], oldest: pa.Scalar) -> Iterator[pa.Table]:
    """Known posts with those seen in their places, a piece after another: whole tables are copied at every step."""
    fresh = sorted(seen.values(), key=lambda post: post.account_id)
    accounts, ids = [post.account_id for post in fresh], pa.array(list(seen), pa.string())
    done = 0

    def piece(kept: pa.Table, until: int) -> pa.Table:
        columns = {name: [getattr(post, name) for post in fresh[done:until]] for name in SCHEMA.names}
        after = pa.concat_tables([kept, pa.table(columns, SCHEMA)])
        after = after.filter(pc.greater(after["published_at"], oldest))
        return after.sort_by([("account_id", "ascending"), ("post_id", "ascending")])

    for table, account in known.stretches():
        until = bisect_right(accounts, account, done)
        yield piece(table.filter(pc.invert(pc.is_in(table["post_id"], ids))), until)
        done = until
    while done < len(fresh):
        until = bisect_right(accounts, accounts[min(done + PIECE, len(fresh)) - 1], done)
        yield piece(SCHEMA.empty_table(), until)
        done = until


def object_key(platform: str) -> str:
    """Where a platform's known posts lie in the lake."""
    return f"state/known_posts/{platform}.parquet"
