"""How fast a host is asked: what a stated limit still allows, by the answers' own headers or by our own count.

A *window* is told by headers: calls are made as fast as answers come while the headers say that some are left, less
those that are in flight, and then none until the count begins anew. What they say wins over any count of ours, so that
runs on one credential share its windows without knowing of each other. A *sliding* limit is not told: calls are spread,
so that no stretch of time as long as the limit's holds more of them than it allows, wherever it begins.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingest.collect.outcome import PlatformFailed
from ingest.collect.platform import Pace, Rate

BURST = 1 / 150
"""Share of a limit that may be used at once where we count ourselves; the rest is spread evenly."""
RUNS = 2
"""Runs of one credential at once, collect and sample: what each has in flight may arrive all at once."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Spread:
    """A sliding limit as turns that follow each other, in each of which so many calls may leave. Pure."""

    calls: int
    """In one turn, at most; those that nobody makes lapse with it."""
    every: timedelta
    """From one turn to the next."""

    def turn(self, taken: datetime, now: datetime) -> datetime:
        """When the first turn begins that nobody has; `taken` is when the last one began that somebody has."""
        return max(taken + self.every, now)


Take = Callable[[Spread, datetime], datetime]
"""Takes a turn at a moment: when it begins."""


def spread(pace: Pace, shorten: float = 1.0) -> Spread:
    """The turns of a limit. `shorten` divides its seconds, for a sandbox that does the same.

    A stretch as long as k turns meets k + 1 of them at most. Calls arrive when the network likes: what is in flight
    when a stretch begins may arrive within it, so that much of the limit stays unused.
    """
    calls = max(1, round(pace.calls * BURST))
    turns = max(1, (pace.calls - RUNS * pace.at_once) // calls - 1)
    return Spread(calls, timedelta(seconds=pace.seconds / shorten / turns, microseconds=1))


@dataclass
class Window:
    """What headers say is left until when, and what is in flight. Pure."""

    period: timedelta
    """How long a window lasts, or how long a call counts where it rolls."""
    in_flight: int = 0
    """Calls that have left and have no answer yet: an answer may count them already, or not."""
    _left: dict[datetime, int] = field(default_factory=dict)
    """By the moment when the count begins anew: a host may count several windows at once."""
    _rolling: tuple[datetime, int, int] | None = None
    """When an answer came that told what is left and not until when, what it told, and how many calls had left then.

    Of such a window used calls come back one by one.
    """
    _ours: deque[datetime] = field(default_factory=deque)
    """When our calls of the last period left."""
    _begun: int = 0
    """How many calls have left."""
    _silent: list[int] = field(default_factory=list)
    """Answers without such a header that no later call's has counted: how many calls had left when each one came."""
    _sent: int = 0
    """Calls that the next answer may count and the last one did not."""
    _strangers: bool = False
    """Whether more was used up than our own calls explain."""

    def is_told(self, now: datetime) -> bool:
        """Whether it is known from the platform itself what is left."""
        return any(reset > now for reset in self._left) or (
            self._rolling is not None and self._rolling[0] + self.period > now
        )

    def until(self, now: datetime, spare: int = 0) -> datetime | None:
        """When the next call may leave if no answer comes before; None: now.

        `spare` calls are left to others, once the headers have shown that there are some.
        """
        self._left = {reset: left for reset, left in self._left.items() if reset > now}
        taken = self.in_flight + len(self._silent) + (spare if self._strangers else 0)
        ends = [reset for reset, left in self._left.items() if left <= taken]
        if self._rolling and self._rolling[0] + self.period > now:
            told, left, _ = self._rolling
            back = self._back()
            if left + sum(moment <= now for moment in back) <= taken:
                ends.append(next((moment for moment in back if moment > now), told + self.period))
        return max(ends, default=None)

    def begin(self, now: datetime) -> int:
        """A call leaves; its number."""
        self.in_flight += 1
        self._sent += 1
        self._begun += 1
        self._ours.append(now)
        while self._ours[0] + 2 * self.period < now:
            self._ours.popleft()
        return self._begun

    def end(self, call: int, rate: Rate | None, now: datetime) -> None:
        """A call's answer is there, or none will come. Answers overtake each other, so the lower one is believed."""
        self.in_flight -= 1
        if rate is None or rate.left is None:
            self._silent.append(self._begun)
            return
        self._silent = [begun for begun in self._silent if begun >= call]
        if rate.reset is None:
            self._roll(call, rate.left, now)
            return
        before = self._left.get(rate.reset)
        if before is None or rate.left < before:
            self._strangers |= before is not None and before - rate.left > self._sent
            self._left[rate.reset], self._sent = rate.left, self.in_flight

    def _roll(self, call: int, left: int, now: datetime) -> None:
        """Believe an answer that does not say until when."""
        if self._rolling is None or self._rolling[2] < call:
            if self._rolling and left > self._rolling[1] + sum(moment <= now for moment in self._back()):
                # It began anew for all calls at once: those from before will not come back a second time.
                self._ours = deque(sent for sent in self._ours if sent > self._rolling[0])
            self._rolling = now, left, self._begun
        elif left < self._rolling[1]:
            self._rolling = now, left, self._rolling[2]

    def _back(self) -> list[datetime]:
        """When our calls come back that were used up when a rolling window was told last."""
        told = self._rolling[0] if self._rolling else LONG_AGO
        return [sent + self.period for sent in self._ours if sent + self.period > told]


class Gate:
    """One limit of one host, in one run: which calls it has let through, and why it lets none through any more."""

    def __init__(self, pace: Pace, shorten: float = 1.0, take: Take | None = None) -> None:
        """`take` gives the turns of a sliding limit, where other runs take some too."""
        self._pace = pace
        self.places = asyncio.Semaphore(pace.at_once)
        """Held from before the wait for a call until its answer."""
        self._changed = asyncio.Event()
        self._window = Window(timedelta(seconds=pace.seconds / shorten))
        self._spread = spread(pace, shorten)
        self._take = take if take and pace.kind == "sliding" else self._next
        self._turn, self._made = LONG_AGO, 0
        self.not_before = LONG_AGO
        """What an answer asked for: no call before this moment."""
        self.failure: PlatformFailed | None = None
        """Why no more calls go through."""

    def until(self, now: datetime) -> datetime | None:
        """When a call may pass, as far as is known; None: now. What passes is told to `enter` at once."""
        told = self._window.until(now, self._pace.at_once)
        if self.not_before > now or told:
            return max(self.not_before, told or LONG_AGO)
        if not self._counts(now):
            return None
        if self._made >= self._spread.calls or self._turn + self._spread.every <= now:
            self._turn, self._made = self._take(self._spread, now), 0
        return self._turn if self._turn > now else None

    def _next(self, spread: Spread, now: datetime) -> datetime:
        """A turn of nobody's but ours."""
        return spread.turn(self._turn, now)

    def _counts(self, now: datetime) -> bool:
        """Whether it is our own count that leads."""
        return self._pace.kind == "sliding" or not self._window.is_told(now)

    @property
    def waits_for_answers(self) -> bool:
        """Whether an answer may come that lets a call pass earlier."""
        return self._window.in_flight > 0

    async def changed(self, wait: timedelta) -> None:
        """Until an answer came, or so much time has passed."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait.total_seconds()):
                await self._changed.wait()

    def enter(self, now: datetime) -> int:
        """Let a call pass that need not wait; its number."""
        self._made += self._counts(now)
        return self._window.begin(now)

    def leave(self, call: int, rate: Rate | None, now: datetime) -> None:
        """Take down the end of a call at a moment, and what its answer says of the limit."""
        self._window.end(call, rate, now)
        self._changed.set()
