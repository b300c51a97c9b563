"""Identity and time of events."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import events
from ingest.contracts.examples import EXAMPLES

TEXT = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)
def test_two_different_subjects_never_share_an_id(a: str, b: str, c: str, d: str, endpoint: str, run: str) -> None:
    one = events.event_id(events.PostObserved, "youtube", (a, b), endpoint, run)
    other = events.event_id(events.PostObserved, "youtube", (c, d), endpoint, run)
    assert (one == other) == ((a, b) == (c, d))


@given(st.text("ab", min_size=2, max_size=6), st.data())
def test_where_one_id_ends_and_the_next_begins_counts(ids: str, data: st.DataObject) -> None:
    one, other = (data.draw(st.integers(1, len(ids) - 1)) for _ in range(2))
    assert (_id_of(ids[:one], ids[one:]) == _id_of(ids[:other], ids[other:])) == (one == other)


def _id_of(account: str, post: str) -> str:
    return events.event_id(events.PostObserved, "youtube", (account, post), "videos", "r")


def test_id_differs_by_type_platform_endpoint_and_run() -> None:
    ids = {
        events.event_id(kind, platform, ("1",), endpoint, run)  # type: ignore[arg-type]
        for kind in (events.PostObserved, events.AccountObserved)
        for platform in ("youtube", "bluesky")
        for endpoint in ("a", "b")
        for run in ("r", "s")
    }
    assert len(ids) == 16


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9998, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001
def test_instant_is_utc_to_the_millisecond_and_comes_back(naive: datetime, hours: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    text = events.instant(moment)
    assert text.endswith("Z")
    back = events.moment(text)
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        events.instant(datetime(2026, 1, 1))  # noqa: DTZ001


def test_keys_keep_an_account_together() -> None:
    post, account = EXAMPLES["posts"][0], EXAMPLES["accounts"][0]
    assert events.key(post) == events.key(account) == b"youtube:UCx0000000000000000000aa"
    assert events.key(EXAMPLES["dead_letters"][0]) == b"youtube:videos"
    assert events.key(EXAMPLES["notices"][0]) == b"youtube"


def test_whole_seconds_are_written_without_a_fraction() -> None:
    assert events.instant(datetime(2026, 9, 1, 10, 0, 4, tzinfo=UTC)) == "2026-09-01T10:00:04Z"
    assert events.instant(datetime(2026, 9, 1, 10, 0, 4, 999, tzinfo=UTC)) == "2026-09-01T10:00:04Z"
    assert events.instant(datetime(2026, 9, 1, 10, 0, 4, 120000, tzinfo=UTC)) == "2026-09-01T10:00:04.120Z"
