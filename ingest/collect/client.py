"""Asks a platform, politely and until it is known what the answer means: pacing, waiting, trying again, giving up.

What to do follows from the outcome alone (`outcome.py`). Hosts are apart: one Mastodon server that is closed, too busy
or down ends the calls to it and to no other.
"""

import asyncio
import functools
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

from ingest.collect.call import Call
from ingest.collect.credentials import Credentials
from ingest.collect.interpret import dead_letter, interpret, scrub
from ingest.collect.members import MemberKey
from ingest.collect.outcome import (
    UNKNOWN_PARAMETER,
    Answer,
    Exhausted,
    Outcome,
    PlatformFailed,
    Refused,
    Throttled,
    Unavailable,
    Verdict,
)
from ingest.collect.pace import Gate
from ingest.collect.platform import Platform, Reading
from ingest.collect.quota import Ledger
from ingest.collect.transport import Clock, connect
from ingest.collect.turns import Turns
from ingest.events import DeadLetter, instant
from ingest.settings import Settings

PATIENCE = timedelta(seconds=60)
"""How long a call waits for a known moment; beyond it the task ends and says when to come back."""
TRIES = 5
"""How often a call is made that meets transient faults or haste, before it is given up."""
BACKOFF_SECONDS = 0.5
BACKOFF_LIMIT_SECONDS = 30.0
FAULTS_OF_HOST = 3
"""Calls given up one after another until the host itself counts as down."""

# Its lines hold whole addresses, and those of audience calls name members.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Exchange:
    """One call, its answer, what that means and says.

    The outcome is ok, gone, malformed, a refusal of this call, or exhausted where it has a budget of its own.
    """

    call: Call
    answer: Answer
    verdict: Verdict
    reading: Reading


@dataclass
class Host:
    """What is known of one host in this run."""

    gates: dict[str, Gate] = field(default_factory=dict)
    """Its limits; by endpoint, where each has one of its own."""
    failure: PlatformFailed | None = None
    """Why no more calls go there."""
    given_up: list[PlatformFailed] = field(default_factory=list)
    """Calls given up since the last answer."""
    answered: bool = False
    spent: dict[str, Verdict] = field(default_factory=dict)
    """Endpoints whose own budget is spent, and what was said of it."""

    @property
    def failures(self) -> list[PlatformFailed]:
        """Why it was given up, or which of its limits were."""
        if self.failure:
            return [self.failure]
        return [gate.failure for gate in self.gates.values() if gate.failure]

    @property
    def is_closed(self) -> bool:
        """Whether no call goes there any more, or none was ever answered."""
        closed = bool(self.gates) and all(gate.failure for gate in self.gates.values())
        return closed or self.failure is not None or bool(self.given_up and not self.answered)


class Client:
    """Asks one platform during one run; a context manager."""

    def __init__(
        self,
        settings: Settings,
        platform: Platform,
        clock: Clock,
        run_id: str,
        *,
        ledger: Ledger | None,
        key: MemberKey | None,
        bury: Callable[[DeadLetter], None],
        turns: Turns | None = None,
    ) -> None:
        """`ledger` counts units, `key` hashes members, `bury` takes the dead letters, `turns` are shared with others.

        Raises Refused without a credential.
        """
        self._credentials = Credentials(settings, platform, clock, self.ask)
        self._wire = connect(settings, clock)
        self._settings, self._platform, self._clock, self._run_id = settings, platform, clock, run_id
        self._ledger, self._key, self._bury, self._turns = ledger, key, bury, turns
        self._hosts: dict[str, Host] = {}
        self._dialect = 0
        self.outcomes: Counter[str] = Counter()
        """Answers by outcome, those that were asked for again included."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._credentials.settle()
        await self._wire.close()

    def failures(self) -> tuple[list[PlatformFailed], bool]:
        """Why hosts were given up, and whether every host that was asked is among them."""
        hosts = self._hosts.values()
        failed = [host.failures or ([] if host.answered else host.given_up[:1]) for host in hosts]
        return [why for whys in failed for why in whys], bool(hosts) and all(host.is_closed for host in hosts)

    def granted(self, account_id: str) -> bool:
        """Whether calls may be made under an account's grant."""
        return self._credentials.granted(account_id)

    async def ask(self, call: Call) -> Exchange:
        """The answer to a call, after as many tries as its outcomes allow.

        Raises Refused (of the app's credential), Exhausted, Throttled or Unavailable; the first three, and Unavailable
        when it repeats, end all calls to the host. What ends with one creator's grant ends no other's call: that is an
        exchange with a refusal, without an answer where there was no grant to ask by.
        """
        call = self._platform.address(self._settings, call)
        host = self._hosts.setdefault(call.host, Host())
        gate = self._gate(host, call)
        renewed = False
        for number in range(1, TRIES + 1):
            spoken = self._dialect
            call = self._platform.dialects[spoken](call)
            carried = await self._carried(host, call)
            if isinstance(carried, Verdict):
                return Exchange(call, Answer(0, {}, b"", call.url), carried, Reading())
            async with gate.places:
                passed = await self._wait_for(host, gate)
                exchange = await self._try(host, gate, passed, call, carried)
            verdict = exchange.verdict
            if verdict.outcome in {Outcome.OK, Outcome.GONE, Outcome.MALFORMED, Outcome.REFUSED}:
                host.answered, host.given_up = True, []
                if self._reword(verdict, spoken) or (not renewed and self._credentials.refused(call, verdict, carried)):
                    renewed = renewed or verdict.reason != UNKNOWN_PARAMETER
                    continue
                if verdict.outcome is Outcome.REFUSED and verdict.of_credential and not call.grant:
                    self._close(host, Refused(self._words("refused", call, verdict)))
                return exchange
            if verdict.outcome is Outcome.EXHAUSTED:
                if call.endpoint and call.endpoint.apart:
                    host.spent[call.endpoint.name] = verdict
                    return exchange
                if self._ledger:
                    self._ledger.mark_spent()
                self._close(host, Exhausted(self._words("spent its budget for", call, verdict), verdict.retry_at))
            if verdict.retry_at and verdict.outcome is Outcome.THROTTLED:
                gate.not_before = max(gate.not_before, verdict.retry_at)
            elif number < TRIES:
                await asyncio.sleep(self._backoff(number, verdict))
        if verdict.outcome is Outcome.THROTTLED:
            self._close(gate, Throttled(self._words("throttled", call, verdict), verdict.retry_at))
        failure = Unavailable(self._words("did not answer", call, verdict), verdict.retry_at)
        host.given_up.append(failure)
        if len(host.given_up) >= FAULTS_OF_HOST:
            host.failure = failure
        raise failure

    def _reword(self, verdict: Verdict, spoken: int) -> bool:
        """Whether a call that was refused as it was written can be written otherwise, as all are from now on."""
        if verdict.reason != UNKNOWN_PARAMETER or spoken + 1 >= len(self._platform.dialects):
            return False
        self._dialect = max(self._dialect, spoken + 1)  # another call may have found out meanwhile
        return True

    def _close(self, way: Host | Gate, failure: PlatformFailed) -> None:
        way.failure = failure
        raise failure

    def _gate(self, host: Host, call: Call) -> Gate:
        """The limit that a call counts against."""
        pace = self._platform.pace
        name = call.endpoint.name if pace.per_endpoint and call.endpoint else ""
        if name not in host.gates:
            take = functools.partial(self._turns.take, f"{call.host} {name}".strip()) if self._turns else None
            host.gates[name] = Gate(pace, self._settings.shorten, take)
        return host.gates[name]

    async def _carried(self, host: Host, call: Call) -> Mapping[str, str] | Verdict:
        """The headers that authorise a call, or what is known to come of it without asking.

        What keeps us from getting any counts against the host that wants them.
        """
        if call.endpoint and call.endpoint.name in host.spent:
            return host.spent[call.endpoint.name]
        try:
            return await self._credentials.headers(call)
        except PlatformFailed as failure:
            host.given_up.append(failure)
            raise

    async def _wait_for(self, host: Host, gate: Gate) -> int:
        """Until the host may be asked: by what its answers said, then by the stated limit. The call's number."""
        while True:
            if failure := host.failure or gate.failure:
                raise type(failure)(str(failure), failure.retry_at)  # each call its own traceback
            until = gate.until(self._clock.now())
            if until is None:
                return gate.enter(self._clock.now())
            wait = until - self._clock.now()
            if wait > PATIENCE and not gate.waits_for_answers:
                message = f"{self._platform.name} asks us to wait until {instant(until)}. Run again then"
                self._close(gate, Throttled(message, until))
            await gate.changed(wait)

    async def _try(
        self, host: Host, gate: Gate, passed: int, call: Call, carried: Mapping[str, str]
    ) -> Exchange:  # fmt: skip
        """One request, whose gate was entered, and what came of it."""
        cost, asked_at = self._platform.price(call, None), self._clock.now()
        rate = None
        try:
            if self._ledger and cost:
                self._ledger.spend(cost, asked_at)
            answer = await self._wire.send(call, carried)
            rate = self._platform.rate(answer)
        except Exhausted as failure:
            self._close(host, failure)
        finally:
            gate.leave(passed, rate, self._clock.now())
        at = self._clock.now()
        if self._ledger and (saved := cost - self._platform.price(call, answer)):
            self._ledger.refund(saved, asked_at)
        if verdict := self._credentials.classify(call, answer, at):
            self.outcomes[verdict.outcome] += 1
            return Exchange(call, answer, verdict, Reading())
        verdict, reading = interpret(
            self._platform,
            call,
            answer,
            at=at,
            run_id=self._run_id,
            key=self._key,
            consent_id=self._credentials.consent_id(call),
        )
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome is Outcome.MALFORMED:
            secrets = self._credentials.secrets
            self._bury(dead_letter(self._platform, call, answer, verdict, at=at, run_id=self._run_id, secrets=secrets))
        return Exchange(call, answer, verdict, reading)

    def _backoff(self, number: int, verdict: Verdict) -> float:
        """Seconds until the next try: what the platform asks for, else longer each time, with full jitter."""
        if verdict.retry_at and (asked := verdict.retry_at - self._clock.now()) <= PATIENCE:
            return max(0.0, asked.total_seconds())
        longest: float = min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2 ** (number - 1))
        return random.uniform(0, longest)  # noqa: S311  # jitter, not a secret

    def _words(self, what: str, call: Call, verdict: Verdict) -> str:
        """The failure for a person. Of an audience's endpoint nothing that the platform said: it may name members."""
        endpoint = call.endpoint.name if call.endpoint else call.path
        private = call.endpoint is not None and call.endpoint.audience and verdict.outcome is not Outcome.REFUSED
        said = "" if private else verdict.message
        until = f" until {instant(verdict.retry_at)}" if verdict.retry_at else ""
        written = f"{call.host} {what} {endpoint} ({verdict.reason}){until}. {said}".strip()
        return scrub(written, self._credentials.secrets)
