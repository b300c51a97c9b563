"""A quarantined range is listed with its reasons, and let in by one more manifest."""

from datetime import UTC, datetime

import pytest

from ingest.errors import Misconfigured
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.warehouse import check, manifests, quarantine
from tests.warehouse.landed import land, post

NOW = datetime(2026, 3, 4, 13, tzinfo=UTC)
LATER = datetime(2026, 3, 5, 9, tzinfo=UTC)


@pytest.fixture
def store(settings: Settings) -> S3Store:
    """Posts of two platforms were checked; those of Bluesky are in quarantine."""
    store = S3Store(settings)
    gone = [post("bluesky", n, state="gone") for n in range(12)]
    land(store, "posts", gone + [post("youtube", n) for n in range(12)], partition=4, start=50)
    check.check_landed(settings, now=NOW)
    return store


def release(settings: Settings, topic: str, number: int, platform: str) -> dict[str, object]:
    return quarantine.release(settings, topic, number, platform, reason="seen on the site: deleted", now=LATER)


@pytest.mark.stack
def test_the_list_says_what_is_held_and_why(settings: Settings, store: S3Store) -> None:
    (held,) = quarantine.quarantined(settings)
    assert (held["topic"], held["number"], held["platform"], held["rows"]) == ("posts", 1, "bluesky", 12)
    assert held["offsets"] == "4: 50-74"
    assert "tombstone_share_at_least" in held["reasons"]


@pytest.mark.stack
def test_a_release_is_a_manifest_of_the_same_objects_for_that_platform_alone(
    settings: Settings, store: S3Store
) -> None:
    assert release(settings, "posts", 1, "bluesky")["number"] == 2
    checked, released = manifests.read_all(store, "posts")
    assert (released.kind, released.releases, released.reason) == ("release", 1, "seen on the site: deleted")
    assert (released.objects, released.ranges) == (checked.objects, checked.ranges)
    assert [(one.platform, one.verdict, one.rows) for one in released.verdicts] == [("bluesky", "released", 12)]
    assert quarantine.quarantined(settings) == []


@pytest.mark.stack
def test_a_release_does_not_disturb_where_the_next_check_begins(settings: Settings, store: S3Store) -> None:
    release(settings, "posts", 1, "bluesky")
    assert check.check_landed(settings, now=LATER) == []
    land(store, "posts", [post("youtube", 99)], partition=4, start=74)
    (row,) = check.check_landed(settings, now=LATER)
    assert (row["number"], row["rows"]) == (3, 1)


@pytest.mark.stack
@pytest.mark.parametrize(
    ("topic", "number", "platform"), [("posts", 1, "youtube"), ("posts", 7, "bluesky"), ("posts", 1, "nobody")]
)
def test_what_is_not_held_is_refused_with_what_is(
    settings: Settings, store: S3Store, topic: str, number: int, platform: str
) -> None:
    with pytest.raises(Misconfigured, match="of posts there is: posts 1 bluesky"):
        release(settings, topic, number, platform)
    assert manifests.numbers(store, "posts") == [1]


@pytest.mark.stack
def test_nothing_is_released_twice(settings: Settings, store: S3Store) -> None:
    release(settings, "posts", 1, "bluesky")
    with pytest.raises(Misconfigured, match="there is: nothing"):
        release(settings, "posts", 1, "bluesky")


@pytest.mark.stack
def test_an_unknown_topic_is_refused_with_the_topics(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="posts, accounts, followers, dead_letters, notices"):
        release(settings, "likes", 1, "bluesky")
