"""Does the store do what the landing rests on? One PUT is the commit, so the store must honour conditions on a PUT."""

import uuid

from ingest.errors import Misconfigured
from ingest.land.store import Put, Store

PROBES = "state/probe"
"""Two small objects a look, outside everything that is read; `S3Store.delete` removes them where it can."""


def conditional_put_fault(store: Store) -> str | None:
    """What is wrong with the store's conditional PUT; None when both conditions hold.

    Raises DependencyFailed when the store does not answer.
    """
    key = f"{PROBES}/{uuid.uuid4()}"
    if store.put(key, b"first", if_absent=True) is not Put.WRITTEN:
        return "a PUT with If-None-Match: * under a new key was refused"
    try:
        if store.put(key, b"second", if_absent=True) is Put.WRITTEN:
            return "a PUT with If-None-Match: * overwrote an object"
        first = store.head(key)
        if first is None:
            return "an object that was just written is not there"
        if store.put(key, b"third", if_match=first.etag) is not Put.WRITTEN:
            return "a PUT with If-Match and the object's own etag was refused"
        if store.put(key, b"fourth", if_match=first.etag) is Put.WRITTEN:
            return "a PUT with If-Match and an old etag overwrote an object"
    finally:
        remove = getattr(store, "delete", None)
        if remove is not None:
            remove(key)
    return None


def require_conditional_put(store: Store) -> None:
    """Raises Misconfigured when the store does not honour conditions: there, landing would lose and double rows."""
    fault = conditional_put_fault(store)
    if fault is not None:
        raise Misconfigured(
            f"the object store does not honour conditional writes ({fault}), so nothing can be landed there exactly "
            "once. Use one that does (S3, R2, MinIO, Ceph, ministack) in ASSAY_S3_ENDPOINT; `assay doctor` tries it"
        )
