"""Asking as fast as is permitted and no faster: nearly all of a limit is used, none of it is exceeded."""

import asyncio
import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.sandbox import tiktok
from ingest.collect import transport
from ingest.collect.client import Client
from ingest.collect.pace import LONG_AGO, Gate, Window, spread
from ingest.collect.platform import Pace, Rate
from ingest.collect.platforms import REGISTRY
from ingest.collect.session import each
from ingest.collect.turns import Turns
from ingest.land.store import S3Store
from tests.collect import conformance as must
from tests.collect.stage import NOW, Direct, Moving, sandbox, set_up
from tests.land.memory import MemoryStore

LIMITS = {"instagram": 200, "mastodon": 300, "tiktok": 600}
"""Calls that the sandbox answers in `Pace.seconds`: told in percents, told with the reset, and told by nobody."""
RESET = datetime(2026, 11, 12, 12, 5, tzinfo=UTC)
BEFORE = RESET - timedelta(minutes=5)
PERIOD = timedelta(minutes=5)


def moving(work):
    """Run it on a clock that only waits move."""
    with asyncio.Runner(loop_factory=Moving) as loop:
        return loop.run(work)


def counted(monkeypatch, surface):
    """How many calls each window of the sandbox's held at most, by its limit's subject and end."""
    held, spend = Counter(), surface.windows.spend

    def spend_and_note(now, seconds, *subject, cost=1):
        spent, ends = spend(now, seconds, *subject, cost=cost)
        held[(*subject, seconds, ends)] = max(held[(*subject, seconds, ends)], spent)
        return spent, ends

    monkeypatch.setattr(surface.windows, "spend", spend_and_note)
    return held


def far(monkeypatch):
    """A network that takes its time, not always the same."""
    near, chance = Direct.handle_async_request, random.Random(5)

    async def late(self, request):
        await asyncio.sleep(chance.uniform(0.02, 0.06))
        answer = await near(self, request)
        await asyncio.sleep(chance.uniform(0.02, 0.06))
        return answer

    monkeypatch.setattr(Direct, "handle_async_request", late)


async def ask_for(stage, seconds, clients=1):
    """Ask the same without rest for so long, by several clients that know nothing of each other."""
    platform, clock = REGISTRY[stage.platform], transport.Clock(NOW + timedelta(seconds=7))
    end = clock.now() + timedelta(seconds=seconds)
    name = platform.normalise(must.plain(stage.platform, 1)[0])
    outcomes = Counter()

    async def one():
        async with Client(
            stage.settings, platform, clock, "r", ledger=None, key=None, bury=lambda _: None,
            turns=Turns(stage.store, stage.platform, "key"),
        ) as client:  # fmt: skip

            async def ask(_):
                if clock.now() < end:
                    await client.ask(platform.resolve([name])[0])

            await each(range(100_000), ask)
            outcomes.update(client.outcomes)

    await asyncio.gather(*(one() for _ in range(clients)))
    return outcomes


@pytest.mark.parametrize("platform", LIMITS)
def test_all_but_a_twentieth_of_what_is_permitted_is_used_and_nothing_beyond(platform, tmp_path, monkeypatch):
    stage = set_up(platform, must.plain(platform, 1), tmp_path, monkeypatch)
    held, pace = counted(monkeypatch, sandbox().surfaces[platform]), REGISTRY[platform].pace
    monkeypatch.setattr(tiktok, "_A_DAY", 100_000)
    far(monkeypatch)
    outcomes = moving(ask_for(stage, 2.2 * pace.seconds))
    assert outcomes.keys() == {"ok"}, (outcomes, held)
    whole = sorted((window[-1], spent) for window, spent in held.items() if window[-2] == pace.seconds)[1:-1]
    assert whole
    assert all(0.95 * LIMITS[platform] <= spent <= LIMITS[platform] for _, spent in whole), held


@pytest.mark.parametrize("platform", ["mastodon"])
def test_two_runs_share_a_window_by_its_headers(platform, tmp_path, monkeypatch):
    stage = set_up(platform, must.plain(platform, 1), tmp_path, monkeypatch)
    held, pace = counted(monkeypatch, sandbox().surfaces[platform]), REGISTRY[platform].pace
    far(monkeypatch)
    outcomes = moving(ask_for(stage, 1.2 * pace.seconds, clients=2))
    whole = max(spent for window, spent in held.items() if window[-2] == pace.seconds)
    assert outcomes.keys() <= {"ok", "throttled"}
    assert outcomes["throttled"] <= pace.at_once
    assert whole >= 0.9 * LIMITS[platform]


def test_two_runs_share_a_limit_that_nobody_tells_by_taking_turns(tmp_path, monkeypatch):
    stage = set_up("tiktok", must.plain("tiktok", 1), tmp_path, monkeypatch)
    held = counted(monkeypatch, sandbox().surfaces["tiktok"])
    monkeypatch.setattr(tiktok, "_A_DAY", 100_000)
    far(monkeypatch)
    outcomes = moving(ask_for(stage, 190, clients=2))
    assert outcomes.keys() == {"ok"}, (outcomes, held)
    whole = sorted((window[-1], spent) for window, spent in held.items() if window[-2] == 60)[1:-1]
    assert whole
    assert all(570 <= spent <= 600 for _, spent in whole), held


@pytest.mark.stack
def test_runs_in_several_processes_never_take_the_same_turn(settings):
    turns, begun = spread(Pace(600, 60, 8, "sliding")), []

    def work():
        mine = Turns(S3Store(settings), "tiktok", "key")
        begun.extend(mine.take("research", turns, BEFORE) for _ in range(8))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(begun) == [BEFORE + number * turns.every for number in range(32)]
    assert Turns(S3Store(settings), "tiktok", "other").take("research", turns, BEFORE) == BEFORE


def test_turns_of_a_run_that_stands_in_another_year_do_not_count():
    store, turns = MemoryStore(), spread(Pace(600, 60, 8, "sliding"))
    Turns(store, "tiktok", "key").take("research", turns, BEFORE + timedelta(days=365))
    assert Turns(store, "tiktok", "key").take("research", turns, BEFORE) == BEFORE


@given(
    st.integers(20, 5000), st.floats(1, 4000), st.integers(1, 8),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), max_size=60),
)  # fmt: skip
def test_no_stretch_of_time_holds_more_calls_than_a_limit_allows_when_we_count(calls, seconds, at_once, pauses):
    """However calls come, and wherever in its turn each one leaves."""
    turns = spread(Pace(calls, seconds, at_once, "sliding"))
    now, taken, left = BEFORE, LONG_AGO, []
    for pause, late in [*pauses, *[(0.0, 1.0), (0.0, 0.0)] * 80]:
        now += pause * turns.every
        taken = turns.turn(taken, now)
        left += [taken + late * turns.every * 0.999] * turns.calls
        now = max(now, taken)
    first = 0
    for last, at in enumerate(left):
        while at - left[first] >= timedelta(seconds=seconds):
            first += 1
        assert last - first + 1 + 2 * at_once <= max(calls, 2 + 2 * at_once)


@given(st.integers(100, 5000), st.integers(1, 8))
def test_a_spread_limit_is_nearly_used_up(calls, at_once):
    turns = spread(Pace(calls, 60, at_once, "sliding"))
    assert turns.calls * (60 / turns.every.total_seconds()) >= 0.96 * calls - 2 * at_once


@given(
    st.integers(1, 30), st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=60, max_size=60), st.booleans()
)
def test_a_told_window_never_holds_more_than_its_limit(limit, steps, is_rolling):
    """However answers overtake each other, and whatever part of them tells nothing."""
    window, waiting, spent = Window(PERIOD), [], 0
    for which, is_silent in steps:
        if which < len(waiting):
            window.end(*waiting.pop(which), BEFORE)
        elif window.until(BEFORE) is None and (window.is_told(BEFORE) or spent == 0):
            call, spent = window.begin(BEFORE), spent + 1
            rate = Rate(limit - spent, None if is_rolling else RESET)
            waiting.append((call, None if is_silent and spent > 1 else rate))
    assert spent <= limit


def told(*lefts, reset=RESET):
    """A window after so many answers, one after another."""
    window = Window(PERIOD)
    for left in lefts:
        window.end(window.begin(BEFORE), Rate(left, reset), BEFORE)
    return window


def test_what_is_in_flight_is_taken_from_what_is_left():
    window = told(2)
    for _ in range(2):
        assert window.until(BEFORE) is None
        window.begin(BEFORE)
    assert window.until(BEFORE) == RESET
    assert window.until(RESET) is None


def test_headers_win_over_our_own_count_in_both_directions():
    gate = Gate(Pace(100, 300, 4, "window"))
    for _ in range(90):
        assert gate.until(BEFORE) is None, "a hundredth leaves at once before any answer"
        gate.leave(gate.enter(BEFORE), Rate(50, RESET), BEFORE)
    gate.leave(gate.enter(BEFORE), Rate(0, RESET), BEFORE)
    assert gate.until(BEFORE) == RESET


def test_without_headers_we_count_until_one_comes():
    gate = Gate(Pace(300, 300, 4, "window"))
    for _ in range(2):
        assert gate.until(BEFORE) is None
        call = gate.enter(BEFORE)
    assert BEFORE < gate.until(BEFORE) < BEFORE + timedelta(seconds=4)
    gate.leave(call, None, BEFORE)
    assert gate.until(BEFORE) is not None
    gate.leave(call, Rate(100, RESET), BEFORE)
    assert gate.until(BEFORE) is None


def test_an_answer_that_comes_late_does_not_give_calls_back():
    assert told(7, 0, 5).until(BEFORE) == RESET


def test_answers_that_tell_nothing_count_as_used():
    window = told(2)
    for _ in range(2):
        window.end(window.begin(BEFORE), None, BEFORE)
    assert window.until(BEFORE) == RESET


def test_used_calls_of_a_rolling_window_come_back_one_by_one():
    window = Window(PERIOD)
    for minute, left in ((0, 2), (1, 1), (2, 0)):
        now = BEFORE + timedelta(minutes=minute)
        window.end(window.begin(now), Rate(left, None), now)
    assert window.until(BEFORE + timedelta(minutes=3)) == BEFORE + PERIOD
    assert window.until(BEFORE + PERIOD) is None
    window.begin(BEFORE + PERIOD)
    assert window.until(BEFORE + PERIOD) == BEFORE + PERIOD + timedelta(minutes=1)


def test_a_few_calls_are_left_to_others_once_there_are_others():
    assert told(8, 7).until(BEFORE, spare=8) is None
    assert told(80, 7).until(BEFORE, spare=8) == RESET
