from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ingest import publish
from ingest.contracts import examples
from ingest.land import worker
from ingest.settings import Settings
from ingest.stack import freshness

pytestmark = pytest.mark.stack


def test_a_topic_shows_what_is_not_landed_and_then_the_age_of_its_last_row(settings: Settings):
    with publish.Publisher(settings) as publisher:
        publisher.publish(examples.EXAMPLES["posts"])
    published_at = datetime.now(UTC)

    [before] = [row for row in freshness.topics(settings, published_at) if row["part"] == "topic posts"]
    assert before["state"] == f"{len(examples.EXAMPLES['posts'])} to land"
    assert before["age"] == ""

    worker.drain(settings, ["posts"])
    later = published_at + timedelta(hours=5, minutes=30)
    [after] = [row for row in freshness.topics(settings, later) if row["part"] == "topic posts"]
    assert after["state"] == "0 to land"
    assert after["age"] == "5 h"


def test_a_mart_shows_the_age_of_what_is_published(settings: Settings):
    now = datetime.now(UTC)
    with psycopg.connect(settings.postgres) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute("create table marts.mart_of_this_test (published_to_bi_at timestamptz)")
        connection.execute("insert into marts.mart_of_this_test values (%s)", [now - timedelta(minutes=3)])
    try:
        [row] = [row for row in freshness.marts(settings, now) if row["part"] == "mart mart_of_this_test"]
        assert row["age"] == "3 min"
    finally:
        with psycopg.connect(settings.postgres) as connection:
            connection.execute("drop table marts.mart_of_this_test")
