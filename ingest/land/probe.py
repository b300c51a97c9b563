"""Does the store do what assay rests on?

The landing asks at its start for what makes its PUT a commit; `assay doctor` looks at every property. The test
`tests/land/test_store_conformance.py` asks the same at length of the stores that are known.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ingest.errors import Misconfigured
from ingest.land.store import Put, Store

PROBES = "state/probe"
"""Small objects outside everything that is read."""
METADATA = {"next": "42", "topic_id": "AbC-_9", "writer": "host.example/1"}
WRITERS = 8
CONFLICTS = 5
"""409s in a row after which a store is taken for one that never settles a conditional PUT."""


@dataclass(frozen=True)
class Property:
    """One thing that a store must do."""

    name: str
    serves: str
    """What in assay rests on it."""
    fault: Callable[[Store, str], str | None]
    """What is wrong with it, tried under a prefix that nobody used before; None when it holds."""


def examine(store: Store) -> Iterator[tuple[Property, str | None]]:
    """Each property with its fault, None when it holds. Removes what it wrote.

    Raises DependencyFailed when the store does not answer, Misconfigured when it refuses the caller.
    """
    prefix = f"{PROBES}/{uuid.uuid4()}/"
    try:
        for at, one in enumerate(PROPERTIES):
            yield one, one.fault(store, f"{prefix}{at}/")
    finally:
        for key in list(store.list(prefix)):
            store.delete(key)


def require_conditional_put(store: Store) -> None:
    """Raises Misconfigured when the store ignores `If-None-Match`, or cannot tell what was written.

    There, landing would lose and double rows. One object under a key of its own stays, so nothing has to be deleted.
    """
    key, body = f"{PROBES}/land", b"probe"
    _put(store, key, body, METADATA)
    second = _put(store, key, body, METADATA)
    fault = _OVERWROTE if second is Put.WRITTEN else _untrue_entry(store, key, len(body))
    if fault is not None:
        raise Misconfigured(
            f"nothing can be landed exactly once in this object store: {fault}. Set ASSAY_S3_ENDPOINT to a store that "
            "honours conditional writes (docs/stores.md); `assay doctor` tries them"
        )


_OVERWROTE = "a PUT with If-None-Match: * overwrote an object"


def _put(store: Store, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Put:
    """A PUT if absent; 409 means that another is under way, so it is tried again."""
    for _ in range(CONFLICTS):
        put = store.put(key, body, metadata=metadata, if_absent=True)
        if put is not Put.CONFLICT:
            return put
    return Put.CONFLICT


def _untrue_entry(store: Store, key: str, size: int) -> str | None:
    entry = store.head(key)
    if entry is None:
        return "an object is not found right after its PUT"
    if entry.size != size:
        return f"an object of {size} bytes is said to have {entry.size}"
    if dict(entry.metadata) != METADATA:
        return f"metadata {METADATA} came back as {dict(entry.metadata)}"
    return None


def _if_none_match(store: Store, prefix: str) -> str | None:
    key = f"{prefix}object"
    if _put(store, key, b"first") is not Put.WRITTEN:
        return "a PUT with If-None-Match: * under a new key was refused"
    if _put(store, key, b"second") is Put.WRITTEN:
        return _OVERWROTE
    stored = store.get(key)
    return None if stored is not None and stored.body == b"first" else "a PUT that was refused changed the object"


def _race(store: Store, prefix: str) -> str | None:
    key = f"{prefix}object"
    with ThreadPoolExecutor(WRITERS) as pool:
        puts = list(pool.map(lambda writer: _put(store, key, b"%d" % writer), range(WRITERS)))
    winners = [b"%d" % writer for writer, put in enumerate(puts) if put is Put.WRITTEN]
    stored = store.get(key)
    if len(winners) != 1:
        return f"of {WRITERS} PUTs with If-None-Match: * at once {len(winners)} were told that they wrote"
    return None if stored is not None and [stored.body] == winners else "the object is not that of the PUT that won"


def _read_after_put(store: Store, prefix: str) -> str | None:
    key = f"{prefix}date=2026-01-31/partition=0/{7:020d}.parquet"
    store.put(key, b"body", metadata=METADATA)
    return _untrue_entry(store, key, 4)


def _if_match(store: Store, prefix: str) -> str | None:
    key = f"{prefix}object"
    if store.put(key, b"", if_match='"0123456789abcdef0123456789abcdef"') is Put.WRITTEN:
        return "a PUT with If-Match wrote where nothing was"
    store.put(key, b"first")
    first = store.head(key)
    if first is None or store.put(key, b"second", if_match=first.etag) is not Put.WRITTEN:
        return "a PUT with If-Match and the object's own etag was refused"
    if store.put(key, b"third", if_match=first.etag) is Put.WRITTEN:
        return "a PUT with If-Match and an old etag overwrote an object"
    return None


def _list(store: Store, prefix: str) -> str | None:
    names = ["_gaps/0", "date=2026-01-01/1", "date=2026-01-01/2", "date=2026-01-02/1"]
    for name in reversed(names):
        store.put(prefix + name, b"")
    if list(store.list(prefix)) != [prefix + name for name in names]:
        return "LIST does not give the keys that were just put, in their order"
    groups = [prefix + name for name in ("_gaps/", "date=2026-01-01/", "date=2026-01-02/")]
    if list(store.list(prefix, delimiter="/")) != groups:
        return "LIST with a delimiter does not give each common prefix once, in order"
    return None


PROPERTIES = (
    Property("If-None-Match", "landing, manifests", _if_none_match),
    Property("If-None-Match, raced", "landing by several workers", _race),
    Property("read after PUT, metadata", "landing", _read_after_put),
    Property("If-Match", "quota ledger, known posts", _if_match),
    Property("LIST order, delimiter", "landing, manifests, verify", _list),
)
"""What `assay doctor` looks at, in this order."""
