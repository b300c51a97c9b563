"""Known posts of a platform: what to read again, and what may be gone.

An object in the lake, `state/known_posts/<platform>.parquet`. The marts write it from their facts, so it can always be
rebuilt; each run of the collector brings it up to date, so that no run re-reads what an earlier one just read while the
marts were not built. Whoever wrote last wins: the worst that a lost update costs is one reading more.
"""

import io
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
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


class KnownPosts:
    """The posts by account. Kept as columns: only one account's are ever Python objects."""

    def __init__(self, table: pa.Table, etag: str | None = None) -> None:
        """`etag` is that of the object read, None when there is none."""
        self.table = table.sort_by("account_id").combine_chunks()
        self.etag = etag
        self._published, self._seen = (_milliseconds(self.table[name]) for name in ("published_at", "last_seen_at"))
        self._slices: dict[str, tuple[int, int]] = {}
        if self.table.num_rows:
            runs = pc.run_end_encode(self.table["account_id"].combine_chunks())
            start = 0
            for account, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                self._slices[account] = (start, end - start)
                start = end

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
        return [
            Known(
                post_id,
                account_id,
                _moment(published),
                _moment(published if seen == NEVER else seen),
                state or "visible",
            )
            for post_id, state, published, seen in zip(ids, states, *columns, strict=True)
            if published != NEVER
        ]


def _milliseconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Moments as milliseconds since 1970, and NEVER for none: an Arrow scalar for each would cost ten times as much."""
    found: NDArray[np.int64] = pc.fill_null(column.cast(pa.int64()), NEVER).to_numpy()
    return found


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def read(store: Store, platform: str) -> KnownPosts:
    """The platform's known posts; none when the object is not there.

    Raises Misconfigured when the object is no such table, DependencyFailed when the store does not answer.
    """
    key = object_key(platform)
    found = store.get(key)
    if found is None:
        return KnownPosts(SCHEMA.empty_table())
    try:
        return KnownPosts(pq.read_table(io.BytesIO(found.body), columns=SCHEMA.names).cast(SCHEMA), found.etag)
    except (pa.ArrowException, KeyError) as error:
        raise Misconfigured(f"{key} cannot be read ({error}). Delete it: `assay publish` writes it anew") from None


def write(store: Store, platform: str, known: KnownPosts, seen: Iterable[Known], now: datetime) -> None:
    """Bring the object up to date with the posts that a run saw, unless somebody else wrote it since it was read.

    Posts past the ladder's horizon are dropped. Raises DependencyFailed when the store does not answer.
    """
    rows = {post.post_id: msgspec.structs.asdict(post) for post in seen}
    if not rows:
        return
    kept = known.table.filter(pc.invert(pc.is_in(known.table["post_id"], pa.array(rows, pa.string()))))
    after = pa.concat_tables([kept, pa.Table.from_pylist(list(rows.values()), SCHEMA)])
    after = after.filter(pc.greater(after["published_at"], pa.scalar(now - HORIZON, SCHEMA.field("published_at").type)))
    body = io.BytesIO()
    pq.write_table(after.sort_by([("account_id", "ascending"), ("post_id", "ascending")]), body, compression="zstd")
    store.put(object_key(platform), body.getvalue(), if_absent=known.etag is None, if_match=known.etag)


def object_key(platform: str) -> str:
    """Where a platform's known posts lie in the lake."""
    return f"state/known_posts/{platform}.parquet"
