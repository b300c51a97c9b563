"""The ladder reads what is due, all of what is due and nothing else."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.collect import ladder
from ingest.collect.ladder import HORIZON, SLACK, Known

BORN = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
ages = st.timedeltas(timedelta(0), timedelta(days=120))
gaps = st.timedeltas(timedelta(0), timedelta(days=40))


def known(published_at=BORN, last_seen_at=BORN, state="visible"):
    return Known("p", "a", published_at, last_seen_at, state)


def test_each_age_has_its_step():
    steps = {0: 1, 23.9: 1, 24: 6, 167.9: 6, 168: 24, 719.9: 24, 720: 168, 2159.9: 168}
    for age, hours in steps.items():
        assert ladder.interval(timedelta(hours=age)) == timedelta(hours=hours)
    assert ladder.interval(HORIZON) is None


@given(ages, ages)
def test_older_posts_are_never_read_more_often(one, other):
    young, old = sorted((ladder.interval(age) or timedelta.max) for age in (one, other))
    younger, older = sorted((one, other))
    assert (ladder.interval(younger) or timedelta.max, ladder.interval(older) or timedelta.max) == (young, old)


@given(ages, gaps, gaps)
def test_a_post_that_is_due_stays_due_until_it_is_read(age, gap, more):
    now = BORN + age + gap
    later = min(now + more, BORN + HORIZON - timedelta(seconds=1))
    if (
        later >= now
        and ladder.interval(later - BORN) == ladder.interval(now - BORN)
        and ladder.due([known(last_seen_at=BORN + age)], now)
    ):
        assert ladder.due([known(last_seen_at=BORN + age)], later)


@settings(max_examples=8, deadline=None)
@given(st.timedeltas(-SLACK / 2, SLACK / 2), st.integers(0, 59))
def test_an_hourly_run_reads_each_post_as_often_as_the_ladder_says_and_no_more(jitter, minute):
    seen, reads, last = BORN, [], BORN
    for hour in range(1, 91 * 24):
        now = BORN + hour * HOUR + (jitter if hour % 2 else -jitter) + timedelta(minutes=minute)
        if ladder.due([known(last_seen_at=seen)], now):
            reads.append((now - BORN, now - last))
            seen = last = now
    for age, gap in reads:
        assert gap >= (ladder.interval(age) or HORIZON) - SLACK
        assert (
            gap <= (ladder.interval(age) or HORIZON) + HOUR + SLACK or gap <= ladder.interval(age - gap) + HOUR + SLACK
        )
    assert 22 <= sum(age < timedelta(days=1) for age, _ in reads) <= 24, "the first run may come an hour late"
    assert len(reads) < 24 + 24 + 23 + 9 + 4


@given(st.lists(st.tuples(ages, gaps), max_size=30), gaps)
def test_nobody_starves(posts, pause):
    """However late a run comes, whatever is past its step and within the horizon is read."""
    now = BORN + timedelta(days=60) + pause
    given_ = [Known(str(n), "a", BORN + age, BORN + age + gap) for n, (age, gap) in enumerate(posts)]
    due = {post.post_id for post in ladder.due(given_, now)}
    for post in given_:
        every = ladder.interval(now - post.published_at)
        assert (post.post_id in due) == (every is not None and now - post.last_seen_at >= every - SLACK)


def test_a_post_never_read_is_due_within_the_horizon_only():
    assert ladder.is_due(BORN, None, BORN + timedelta(days=89))
    assert not ladder.is_due(BORN, None, BORN + timedelta(days=91))


def test_a_post_gone_for_certain_is_not_looked_for_again():
    assert ladder.due([known(state="gone")], BORN + timedelta(days=2)) == []
    assert ladder.due([known(state="hidden")], BORN + timedelta(days=2)) != []


def test_the_first_sight_of_an_account_lists_back_to_the_horizon_and_later_ones_to_the_newest_post():
    now = BORN + timedelta(days=10)
    assert ladder.list_back_to([], now) == now - HORIZON
    assert ladder.list_back_to([known(), known(BORN + timedelta(days=2))], now) == BORN + timedelta(days=2)
    in_future = known(now + timedelta(days=1))
    assert ladder.list_back_to([known(), in_future], now) == BORN


def test_a_post_is_read_whole_all_its_first_day_and_then_once_a_week():
    seen, at, whole = BORN + timedelta(minutes=5), BORN, []
    while (at := at + HOUR) < BORN + HORIZON:
        if ladder.is_due(BORN, seen, at):
            if not ladder.needs_counters_alone(known(last_seen_at=seen), at):
                whole.append(at - BORN)
            seen = at
    first_day = [age for age in whole if age < timedelta(days=1)]
    assert len(first_day) == 23
    later = whole[len(first_day) :]
    assert [age // timedelta(days=7) for age in later] == list(range(1, 13)), "once in each week of its age"
    assert max(after - before for before, after in pairwise(whole)) < timedelta(days=14)


def test_a_post_that_was_never_read_or_was_hidden_is_read_whole():
    late = BORN + timedelta(days=3)
    assert ladder.needs_counters_alone(known(last_seen_at=BORN + HOUR), late)
    assert not ladder.needs_counters_alone(known(last_seen_at=BORN), late)
    assert not ladder.needs_counters_alone(known(last_seen_at=BORN + HOUR, state="hidden"), late)
