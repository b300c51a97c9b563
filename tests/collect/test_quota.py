"""The quota ledger: arithmetic of Pacific and UTC days, and several workers on one budget."""

import threading
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.collect.outcome import Exhausted
from ingest.collect.quota import PACIFIC, Account, Ledger, next_reset, window
from ingest.errors import Misconfigured
from ingest.land.store import S3Store
from tests.land.memory import MemoryStore

AT = datetime(2026, 9, 2, 12, tzinfo=UTC)
moments = st.datetimes(datetime(2007, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments)
def test_the_reset_is_the_next_pacific_midnight(moment):
    reset = next_reset(moment)
    assert moment < reset <= moment + timedelta(hours=25)
    assert reset.astimezone(PACIFIC).hour == 0
    assert window(reset) == window(moment) + timedelta(days=1)
    assert window(reset - timedelta(seconds=1)) == window(moment)


@given(moments)
def test_a_utc_budget_begins_anew_at_every_utc_midnight(moment):
    utc = ZoneInfo("UTC")
    reset = next_reset(moment, utc)
    assert reset == datetime.combine(moment.date() + timedelta(days=1), datetime.min.time(), UTC)
    assert window(moment, utc) == moment.date()
    assert window(reset, utc) == moment.date() + timedelta(days=1)


@given(moments, st.sampled_from([PACIFIC, ZoneInfo("UTC")]))
def test_days_of_a_budget_follow_each_other_without_gap_or_overlap(moment, zone):
    begins = next_reset(moment, zone)
    ends = next_reset(begins, zone)
    assert timedelta(hours=23) <= ends - begins <= timedelta(hours=25)
    assert next_reset(ends - timedelta(microseconds=1), zone) == ends
    assert window(begins, zone) == window(ends - timedelta(microseconds=1), zone)
    assert window(ends, zone) == window(begins, zone) + timedelta(days=1)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-09-02", 24)])
def test_pacific_days_have_23_24_or_25_hours(day, hours):
    midnight = datetime.combine(date.fromisoformat(day), datetime.min.time(), PACIFIC).astimezone(UTC)
    assert next_reset(midnight) - midnight == timedelta(hours=hours)


@given(st.integers(0, 500), st.lists(st.tuples(st.booleans(), st.integers(-5, 300)), max_size=30))
def test_whatever_is_leased_and_returned_the_budget_holds(limit, steps):
    account, out = Account(limit), 0
    for leases, units in steps:
        if leases:
            account, granted = account.lease(units)
            assert 0 <= granted <= max(0, units)
            out += granted
        else:
            back = min(max(0, units), out)
            account, out = account.give_back(back), out - back
        assert account.reserved == out <= limit
        assert account.left == limit - out


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_worker_that_dies_over_counts_and_never_under_counts(limit, lost):
    account, granted = Account(limit).lease(lost)  # and nobody returns them
    after, rest = account.lease(limit)
    assert granted + rest <= limit
    assert after.left == 0


@pytest.mark.stack
def test_workers_share_one_budget_and_return_what_they_do_not_use(settings):
    spent, refused = [], []

    def work():
        ledger = Ledger(S3Store(settings), "youtube", "a key", 200)
        try:
            for _ in range(50):
                ledger.spend(1, AT, lease=7)
        except Exhausted as failure:
            refused.append(failure)
        finally:
            ledger.settle()
            spent.append(ledger.spent)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(spent) <= 200
    assert sum(spent) >= 200 - 6 * 7  # a unit may lie in a lease just when another worker asks for it
    assert refused
    assert all(failure.retry_at == datetime(2026, 9, 3, 7, tzinfo=UTC) for failure in refused)
    fresh = Ledger(S3Store(settings), "youtube", "a key", 200)
    fresh.reserve(1, AT)
    assert fresh.left == 200 - sum(spent) - 1 if sum(spent) < 200 else fresh.left == 0


@pytest.mark.stack
def test_the_platform_s_word_that_nothing_is_left_ends_the_window_for_all(settings):
    one, other = (Ledger(S3Store(settings), "youtube", "a key", 1000) for _ in range(2))
    one.spend(1, AT)
    one.mark_spent()
    with pytest.raises(Exhausted):
        other.spend(1, AT)
    other.spend(1, AT + timedelta(days=1))  # a new window


@pytest.mark.stack
def test_a_crash_leaves_its_lease_reserved_and_another_credential_has_its_own_budget(settings):
    Ledger(S3Store(settings), "youtube", "a key", 100).spend(1, AT, lease=60)  # never settled
    survivor = Ledger(S3Store(settings), "youtube", "a key", 100)
    for _ in range(40):
        survivor.spend(1, AT)
    with pytest.raises(Exhausted):
        survivor.spend(1, AT)
    Ledger(S3Store(settings), "youtube", "another key", 100).spend(1, AT)


@pytest.mark.stack
def test_a_ledger_that_is_none_is_reported_and_not_overwritten(settings):
    store = S3Store(settings)
    ledger = Ledger(store, "youtube", "a key", 100)
    ledger.spend(1, AT)
    key = next(store.list("state/quota/youtube/"))
    store.put(key, b"{}")
    with pytest.raises(Misconfigured, match="no quota ledger"):
        ledger.settle()
    assert store.get(key).body == b"{}"


def test_after_midnight_the_new_day_is_what_is_left():
    ledger = Ledger(MemoryStore(), "youtube", "key", 1000)
    ledger.spend(900, AT)
    assert ledger.reserve(0, AT) == 100
    assert ledger.reserve(0, AT + timedelta(days=1)) == 1000


def test_what_a_call_did_not_cost_comes_back_within_its_day_alone():
    ledger = Ledger(MemoryStore(), "x", "key", 100, ZoneInfo("UTC"))
    ledger.spend(90, AT)
    ledger.refund(80, AT)
    ledger.spend(80, AT)
    assert ledger.spent == 90
    later = AT + timedelta(days=1)
    ledger.spend(100, later)
    ledger.refund(50, AT)  # of the day before: nothing to spend it on
    with pytest.raises(Exhausted, match=r"ASSAY_X_DAILY_UNITS") as told:
        ledger.spend(10, later)
    assert told.value.retry_at == datetime(2026, 9, 4, tzinfo=UTC)


def test_once_the_platform_says_that_nothing_is_left_no_refund_is_spent():
    ledger = Ledger(MemoryStore(), "x", "other key", 100, ZoneInfo("UTC"))
    ledger.spend(90, AT)
    ledger.mark_spent()
    ledger.refund(80, AT)
    with pytest.raises(Exhausted):
        ledger.spend(1, AT)


@given(moments, st.sampled_from([PACIFIC, ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")]))
def test_months_of_a_budget_follow_each_other_without_gap_or_overlap(moment, zone):
    begins = next_reset(moment, zone, "month")
    ends = next_reset(begins, zone, "month")
    assert (begins.astimezone(zone).day, begins.astimezone(zone).hour) == (1, 0)
    assert timedelta(days=28) - timedelta(hours=1) <= ends - begins <= timedelta(days=31, hours=1)
    assert next_reset(ends - timedelta(microseconds=1), zone, "month") == ends
    assert window(ends - timedelta(microseconds=1), zone, "month") == window(begins, zone) < window(ends, zone)


@pytest.mark.parametrize(("month", "hours"), [(2, 28 * 24), (3, 31 * 24 - 1), (9, 30 * 24), (11, 30 * 24 + 1)])
def test_pacific_months_are_as_long_as_their_days(month, hours):
    begins = datetime(2026, month, 1, tzinfo=PACIFIC).astimezone(UTC)
    assert next_reset(begins, PACIFIC, "month") - begins == timedelta(hours=hours)


def test_a_month_s_budget_ends_calls_while_its_days_have_units_left():
    store, utc = MemoryStore(), ZoneInfo("UTC")
    for day in range(3):
        ledger = Ledger(store, "x", "key", 100, utc, monthly=250)
        ledger.spend(80, AT + timedelta(days=day))
        ledger.settle()
    last = Ledger(store, "x", "key", 100, utc, monthly=250)
    last.spend(10, AT + timedelta(days=4))
    assert last.left == 0
    with pytest.raises(Exhausted, match=r"250 units of 2026-09 .*ASSAY_X_MONTHLY_UNITS") as told:
        last.spend(1, AT + timedelta(days=4))
    assert told.value.retry_at == datetime(2026, 10, 1, tzinfo=UTC)
    last.settle()
    after = Ledger(store, "x", "key", 100, utc, monthly=250)
    after.spend(90, datetime(2026, 10, 1, tzinfo=UTC))


def test_what_a_month_does_not_hold_is_not_taken_from_the_day():
    store, utc = MemoryStore(), ZoneInfo("UTC")
    ledger = Ledger(store, "x", "key", 100, utc, monthly=30)
    with pytest.raises(Exhausted):
        ledger.spend(40, AT)
    ledger.settle()
    Ledger(store, "x", "key", 100, utc).spend(100, AT)
