"""Known posts are what runs saw, whatever the pieces in which they are brought up to date."""

import io
import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.collect import known
from ingest.collect.ladder import HORIZON, Known
from ingest.errors import DependencyFailed, Misconfigured
from tests.land.memory import MemoryStore

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)


def lying(store):
    """The rows of the object."""
    found = store.get(known.object_key("x"))
    return pq.read_table(io.BytesIO(found.body)).to_pylist() if found else []


@pytest.mark.parametrize("piece", [1, 3, 50_000])
def test_what_runs_saw_is_known_by_account_until_the_horizon_and_lies_in_order(piece, monkeypatch):
    monkeypatch.setattr(known, "PIECE", piece)
    draw, store, expected = random.Random(piece), MemoryStore(), {}
    for _ in range(6):
        with known.read(store, "x") as posts:
            found = [post for account in posts.accounts for post in posts.of(account)]
            assert {(post.account_id, post.post_id): post for post in found} == expected
            assert len(posts) == len(expected)
            seen = [
                Known(
                    post_id=f"p{draw.randrange(60)}",
                    account_id=f"a{draw.randrange(9)}",
                    published_at=NOW - timedelta(days=draw.randrange(95), milliseconds=draw.randrange(1, 1000)),
                    last_seen_at=NOW,
                    state=draw.choice(["visible", "hidden"]),
                )
                for _ in range(draw.randrange(1, 40))
            ]
            posts.see(seen)
            posts.write(store, "x", NOW)
        expected |= {(post.account_id, post.post_id): post for post in seen}
        expected = {name: post for name, post in expected.items() if post.published_at > NOW - HORIZON}
        order = [(row["account_id"], row["post_id"]) for row in lying(store)]
        assert order == sorted(expected)


def test_an_account_that_nobody_saw_has_none():
    with known.read(MemoryStore(), "x") as posts:
        assert posts.of("a1") == []
        assert posts.last_seen_at is None


def test_the_moment_of_the_latest_sight_and_posts_by_account_are_told():
    with known.read(MemoryStore(), "x") as posts:
        old, gone = NOW - HORIZON, Known("p3", "b", NOW, NOW - timedelta(days=9), "gone")
        posts.see([Known("p1", "a", NOW, NOW), Known("p2", "a", old, NOW - timedelta(days=1)), gone])
        assert posts.last_seen_at == NOW
        assert posts.counts(since=old) == {"a": 1}
        assert posts.owners() == {"p1": "a", "p2": "a", "p3": "b"}


def test_a_run_that_saw_nothing_leaves_the_object_as_it_is():
    store = MemoryStore()
    with known.read(store, "x") as posts:
        posts.see([])
        posts.write(store, "x", NOW)
    assert store.get(known.object_key("x")) is None


def test_what_somebody_else_wrote_meanwhile_stays():
    store = MemoryStore()
    with known.read(store, "x") as posts, known.read(store, "x") as others:
        for name, one in (("theirs", others), ("ours", posts)):
            one.see([Known(name, "a", NOW, NOW)])
            one.write(store, "x", NOW)
    assert [row["post_id"] for row in lying(store)] == ["theirs"]


def test_an_object_with_posts_only_ever_missed_or_undated_is_read():
    rows = [
        {"account_id": "a", "post_id": "missed", "published_at": NOW, "last_seen_at": None, "state": None},
        {"account_id": "a", "post_id": "undated", "published_at": None, "last_seen_at": NOW, "state": "visible"},
    ]
    store, body = MemoryStore(), io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, known.SCHEMA), body)
    store.put(known.object_key("x"), body.getvalue())
    with known.read(store, "x") as posts:
        assert posts.of("a") == [Known("missed", "a", NOW, NOW)]


@pytest.mark.parametrize("body", [b"no table", b""])
def test_an_object_that_is_no_such_table_is_refused_with_the_way_out(body):
    store = MemoryStore()
    store.put(known.object_key("x"), body)
    with pytest.raises(Misconfigured, match=r"state/known_posts/x\.parquet cannot be read .* Delete it"):
        known.read(store, "x")


def test_a_temporary_directory_without_room_is_a_dependency_that_failed():
    with known.read(MemoryStore(), "x") as posts:
        posts._posts.execute("pragma max_page_count = 10")
        with pytest.raises(DependencyFailed, match="TMPDIR"):
            posts.see(Known(f"p{number}" * 100, "a", NOW, NOW) for number in range(1_000))
