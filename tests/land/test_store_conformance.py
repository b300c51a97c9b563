"""What assay needs of an object store, asked of two that share no code: ministack and versitygw.

`make stores` runs this and the landing on both. What was seen of other stores is in docs/stores.md.
"""

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb_extensions import import_extension

from ingest.land import chain, probe
from ingest.land.store import Put, S3Store
from ingest.settings import Settings, load

pytestmark = pytest.mark.stack

WRITERS, ROUNDS = 8, 40
Lake = Callable[[str], list[tuple[object, ...]]]
ETAG_OF_NOTHING = '"0123456789abcdef0123456789abcdef"'


@pytest.fixture(scope="module", params=["ministack", "versitygw"])
def place(request: pytest.FixtureRequest, stack: Settings) -> Settings:
    """Each store in turn, with a bucket of its own."""
    own = {field: getattr(stack, field) for field in stack.model_fields_set}
    if request.param == "versitygw":
        own["s3_endpoint"] = request.getfixturevalue("versitygw")
    settings = load(_env_file=None, **own | {"lake_bucket": f"c{uuid.uuid4().hex[:10]}"})
    S3Store(settings).create_bucket()
    return settings


@pytest.fixture(scope="module")
def store(place: Settings) -> S3Store:
    return S3Store(place)


@pytest.fixture
def key() -> str:
    """A key as the landing writes them, that nobody used."""
    return f"raw/{uuid.uuid4()}/date=2026-01-31/partition=0/{7:020d}.parquet"


def at_once(attempt: Callable[[int], Put]) -> list[Put]:
    """What each of several writers is told when all begin together."""
    barrier = threading.Barrier(WRITERS)

    def begin(writer: int) -> Put:
        barrier.wait()
        return attempt(writer)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(begin, range(WRITERS)))


def test_of_many_puts_if_absent_at_once_one_wins_and_the_object_is_wholly_its_own(store: S3Store) -> None:
    for _ in range(ROUNDS):
        key = f"race/{uuid.uuid4()}"
        bodies = [b"%d" % writer * 5_000 for writer in range(WRITERS)]
        put = partial(store.put, key, if_absent=True)
        puts = at_once(lambda writer, put=put, bodies=bodies: put(bodies[writer], metadata={"attempt": str(writer)}))
        (winner,) = [writer for writer, put in enumerate(puts) if put is Put.WRITTEN]
        assert set(puts) <= {Put.WRITTEN, Put.REFUSED, Put.CONFLICT}
        stored, entry = store.get(key), store.head(key)
        assert stored is not None
        assert entry is not None
        assert stored.body == bodies[winner]
        assert entry.metadata == {"attempt": str(winner)}
        assert store.put(key, b"late", if_absent=True) is Put.REFUSED


def test_of_many_puts_on_one_etag_at_once_one_wins(store: S3Store) -> None:
    for _ in range(ROUNDS // 2):
        key = f"race/{uuid.uuid4()}"
        store.put(key, b"before")
        before = store.head(key)
        assert before is not None
        put = partial(store.put, key, if_match=before.etag)
        puts = at_once(lambda writer, put=put: put(b"%d" % writer))
        (winner,) = [writer for writer, put in enumerate(puts) if put is Put.WRITTEN]
        stored = store.get(key)
        assert stored is not None
        assert stored.body == b"%d" % winner


def test_if_match_holds_for_the_own_etag_only(store: S3Store, key: str) -> None:
    assert store.put(key, b"", if_match=ETAG_OF_NOTHING) is Put.REFUSED
    assert store.head(key) is None
    store.put(key, b"first")
    first = store.head(key)
    assert first is not None
    assert store.put(key, b"second", if_match=first.etag) is Put.WRITTEN
    assert store.put(key, b"third", if_match=first.etag) is Put.REFUSED
    stored, entry = store.get(key), store.head(key)
    assert stored is not None
    assert entry is not None
    assert stored.body == b"second"
    assert stored.etag == entry.etag != first.etag


def test_head_says_at_once_what_was_put_and_the_metadata_comes_back(store: S3Store, key: str, place: Settings) -> None:
    metadata = chain.metadata(
        chain.Landed(123, str(uuid.uuid4()), "AbC-_9xyzABCDEFGHIJKLM"),
        rows=3,
        poison=0,
        writer="host.example/4711",
        schema_version=1,
    ) | {"sha256": "0" * 64}
    assert store.head(key) is None
    for body in (b"first", b"", b"second"):
        assert store.put(key, body, metadata=metadata) is Put.WRITTEN
        entry = S3Store(place).head(key)
        assert entry is not None
        assert (entry.key, entry.size, dict(entry.metadata)) == (key, len(body), metadata)
    assert store.put(key, b"third") is Put.WRITTEN
    entry = store.head(key)
    assert entry is not None
    assert entry.metadata == {}


def test_what_is_not_there_is_none_and_what_was_deleted_is_gone(store: S3Store, key: str) -> None:
    assert store.get(key) is None
    store.delete(key)
    store.put(key, b"once", if_absent=True)
    store.delete(key)
    assert store.get(key) is None
    assert store.head(key) is None
    assert list(store.list(key)) == []
    assert store.put(key, b"again", if_absent=True) is Put.WRITTEN


@pytest.mark.parametrize("size", [0, 1, 20 << 20])
def test_a_body_of_any_size_comes_back_whole(store: S3Store, key: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) or b"\x00" * size
    assert store.put(key, body, if_absent=True) is Put.WRITTEN
    stored, entry = store.get(key), store.head(key)
    assert stored is not None
    assert entry is not None
    assert stored.body == body
    assert entry.size == size
    assert stored.etag == entry.etag


@pytest.fixture(scope="module")
def many(store: S3Store) -> list[str]:
    """More keys, and more common prefixes, than a page of a listing holds; around its end two keys a prefix."""
    keys = [f"many/date={number:04d}/0" for number in range(1_010)]
    keys += [f"many/date={number:04d}/1" for number in range(990, 1_010)]
    keys += ["many/_origin/partition=0.json", "many/_gaps/partition=0/7.json"]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda key: store.put(key, b""), reversed(keys))) == {Put.WRITTEN}
    return keys


def test_a_listing_of_several_pages_has_every_key_once_in_order(store: S3Store, many: list[str]) -> None:
    assert list(store.list("many/")) == sorted(many)


def test_a_listing_with_a_delimiter_has_each_common_prefix_once_though_it_stands_on_two_pages(
    store: S3Store, many: list[str]
) -> None:
    groups = sorted({"/".join(key.split("/")[:2]) + "/" for key in many})
    assert list(store.list("many/", delimiter="/")) == groups
    assert len(groups) == 1_012


def test_a_prefix_ends_anywhere_and_a_key_put_just_now_is_listed(store: S3Store, key: str) -> None:
    folder = key.rpartition("/")[0]
    keys = [f"{folder}/{start:020d}.parquet" for start in (0, 9, 10, 2**40)]
    for one in reversed(keys):
        store.put(one, b"")
        assert one in set(store.list(f"{folder}/"))
    assert list(store.list(f"{folder}/")) == keys
    assert list(store.list(f"{folder}/{9:020d}")) == [keys[1]]
    assert list(store.list(f"{folder}/none")) == []
    assert list(store.list(f"{folder}/", delimiter="/")) == keys


def test_parts_of_an_object_can_be_read(store: S3Store, key: str, place: Settings) -> None:
    store.put(key, bytes(range(100)))
    with closing(
        boto3.client(
            "s3",
            endpoint_url=place.s3,
            region_name=place.s3_region,
            aws_access_key_id=place.s3_access_key,
            aws_secret_access_key=place.s3_secret_key.get_secret_value(),
        )
    ) as client:
        for asked, expected in {
            "bytes=0-3": bytes(range(4)),
            "bytes=90-": bytes(range(90, 100)),
            "bytes=-8": bytes(range(92, 100)),
            "bytes=95-200": bytes(range(95, 100)),
        }.items():
            found = client.get_object(Bucket=place.lake_bucket, Key=key, Range=asked)
            assert (found["ResponseMetadata"]["HTTPStatusCode"], found["Body"].read()) == (206, expected)
        with pytest.raises(client.exceptions.ClientError, match="InvalidRange"):
            client.get_object(Bucket=place.lake_bucket, Key=key, Range="bytes=100-")


def test_the_warehouse_reads_the_lakes_objects_where_they_lie(store: S3Store, key: str, lake: Lake) -> None:
    body = io.BytesIO()
    pq.write_table(pa.table({"number": range(200_000), "text": ["x"] * 200_000}), body, row_group_size=20_000)
    store.put(key, body.getvalue())
    query = f"select count(text), min(number), max(number) from '{{}}/{key}' where number >= 150000"
    assert lake(query) == [(50_000, 150_000, 199_999)]


@pytest.fixture
def lake(place: Settings) -> Iterator[Lake]:
    """DuckDB's own S3 client on the bucket; `{}` in a query is its address."""
    with duckdb.connect() as connection:
        import_extension("httpfs", con=connection)
        secret = {
            "key_id": place.s3_access_key,
            "secret": place.s3_secret_key.get_secret_value(),
            "endpoint": place.s3.removeprefix("http://"),
            "region": place.s3_region,
        }
        options = ", ".join(f"{name} '{value}'" for name, value in secret.items())
        connection.execute(f"create secret (type s3, url_style path, use_ssl false, {options})")
        yield lambda query: connection.execute(query.format(f"s3://{place.lake_bucket}")).fetchall()


def test_what_doctor_asks_of_a_store_holds_and_leaves_nothing_behind(store: S3Store) -> None:
    assert [(one.name, fault) for one, fault in probe.examine(store) if fault] == []
    assert list(store.list(f"{probe.PROBES}/")) == []
    probe.require_conditional_put(store)
    probe.require_conditional_put(store)
    assert list(store.list(f"{probe.PROBES}/")) == [f"{probe.PROBES}/land"]
