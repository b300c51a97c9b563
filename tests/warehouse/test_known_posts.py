"""The way back: which posts of a platform the collectors look up again."""

import io
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow.parquet as pq
import pytest

from ingest.errors import Misconfigured
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.warehouse import known_posts

NEWEST = datetime(2019, 5, 1, 12)  # noqa: DTZ001 as DuckDB keeps it


@pytest.fixture
def facts(settings: Settings) -> None:
    """Posts of three platforms; those of YouTube were all seen years before those of Bluesky."""
    settings.warehouse.parent.mkdir(parents=True)
    rows = [
        ("youtube", "new", NEWEST - timedelta(days=89), NEWEST, NEWEST, "visible", "live"),
        ("youtube", "old", NEWEST - timedelta(days=91), NEWEST, NEWEST, "visible", "video"),
        ("youtube", "gone", NEWEST - timedelta(days=1), NEWEST - timedelta(hours=6), NEWEST, "gone", None),
        ("bluesky", "undated", None, None, NEWEST + timedelta(days=999), "unknown", None),
        ("twitch", "stream", NEWEST, NEWEST, NEWEST, "visible", "live"),
        ("twitch", "archive", NEWEST, NEWEST, NEWEST, "visible", "video"),
        ("twitch", "expired", NEWEST, NEWEST, NEWEST, "gone", None),
    ]
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute("set timezone = 'Asia/Tokyo'; create schema marts")
        warehouse.execute(
            "create table marts.fct_posts (platform varchar, account_id varchar, post_id varchar, "
            "published_at timestamp, last_seen_at timestamp, last_observed_at timestamp, state varchar, format varchar)"
        )
        warehouse.executemany("insert into marts.fct_posts values (?, 'a', ?, ?, ?, ?, ?, ?)", rows)


@pytest.mark.stack
@pytest.mark.usefixtures("facts")
def test_posts_of_the_last_ninety_days_before_the_platforms_own_newest_observation_are_known(
    settings: Settings,
) -> None:
    assert known_posts.write(settings) == [
        {"platform": "bluesky", "posts": 0, "object": "state/known_posts/bluesky.parquet"},
        {"platform": "twitch", "posts": 2, "object": "state/known_posts/twitch.parquet"},
        {"platform": "youtube", "posts": 2, "object": "state/known_posts/youtube.parquet"},
    ]
    found = S3Store(settings).get("state/known_posts/youtube.parquet")
    assert found is not None
    table = pq.read_table(io.BytesIO(found.body))
    assert table.schema.remove_metadata() == known_posts.SCHEMA
    assert table.to_pylist()[0] == {
        "account_id": "a",
        "post_id": "gone",
        "published_at": (NEWEST - timedelta(days=1)).replace(tzinfo=UTC),
        "last_seen_at": (NEWEST - timedelta(hours=6)).replace(tzinfo=UTC),
        "state": "gone",
    }
    assert [row["post_id"] for row in table.to_pylist()] == ["gone", "new"]


@pytest.mark.stack
@pytest.mark.usefixtures("facts")
def test_streams_that_leave_another_post_behind_are_never_looked_up_again(settings: Settings) -> None:
    known_posts.write(settings)
    found = S3Store(settings).get("state/known_posts/twitch.parquet")
    assert found is not None
    table = pq.read_table(io.BytesIO(found.body))
    assert sorted(row["post_id"] for row in table.to_pylist()) == ["archive", "expired"]


@pytest.mark.stack
@pytest.mark.usefixtures("facts")
def test_writing_again_replaces(settings: Settings) -> None:
    known_posts.write(settings)
    assert [row["posts"] for row in known_posts.write(settings)] == [0, 2, 2]


@pytest.mark.stack
def test_without_a_warehouse_the_message_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="assay build"):
        known_posts.write(settings)
