"""Known posts are what runs saw, whatever the pieces in which they are brought up to date."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from ingest.collect import known
from ingest.collect.ladder import HORIZON, Known
from tests.land.memory import MemoryStore

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)


@pytest.mark.parametrize("piece", [1, 3, 50_000])
def test_what_runs_saw_is_known_by_account_until_the_horizon_and_lies_in_order(piece, monkeypatch):
    monkeypatch.setattr(known, "PIECE", piece)
    draw, store, expected = random.Random(piece), MemoryStore(), {}
    for _ in range(6):
        before = known.read(store, "x")
        assert {post.post_id: post for account in before.accounts for post in before.of(account)} == expected
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
        known.write(store, "x", before, seen, NOW)
        expected |= {post.post_id: post for post in seen}
        expected = {name: post for name, post in expected.items() if post.published_at > NOW - HORIZON}
        columns = known.read(store, "x").table.select(["account_id", "post_id"]).to_pydict().values()
        order = list(zip(*columns, strict=True))
        assert order == sorted(order)
        assert len(order) == len(expected)


def test_an_account_that_nobody_saw_has_none():
    assert known.read(MemoryStore(), "x").of("a1") == []
