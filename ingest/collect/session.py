"""One run of a collector: its clock, client, producer, ledger and counts, and the notice at its end."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ingest.collect.call import Call
from ingest.collect.client import Client, Exchange
from ingest.collect.grants import announce
from ingest.collect.members import MemberKey
from ingest.collect.outcome import Outcome, PlatformFailed
from ingest.collect.platform import Account, Platform
from ingest.collect.quota import Ledger
from ingest.collect.transport import Clock
from ingest.collect.turns import Turns
from ingest.events import CONTRACT, AccountObserved, BatchPublished, DeadLetter, Message, event_id, instant
from ingest.land.store import Store
from ingest.publish import Publisher
from ingest.settings import Settings

Item = TypeVar("Item")
Progress = Callable[[str], None] | None
Then = Callable[[Account], Awaitable[None]]
"""What is done with an account that was found."""
WORKERS = 16
"""Accounts in hand at once; each host's own limit is its pace."""
CHUNK = 500
"""Accounts that are resolved together, and that may wait to be read: memory does not grow with the watch list."""


@dataclass
class Session:
    """What the parts of one run share."""

    settings: Settings
    platform: Platform
    run_id: str
    clock: Clock
    client: Client
    publisher: Publisher
    ledger: Ledger | None
    progress: Progress
    expected_accounts: int = 0
    expected_posts: int = 0
    resolved: set[str] = field(default_factory=set)
    """Accounts that the watch list led to."""
    unresolved: list[str] = field(default_factory=list)
    """What of the watch list leads to nobody."""
    gone: set[str] = field(default_factory=set)
    """Accounts that the platform says are gone."""
    observed: set[str] = field(default_factory=set)
    """Accounts of which something was published."""
    skipped_accounts: int = 0
    """Those that were to be read and were not, as the budget or the platform ended."""
    skipped_posts: int | None = None
    """Posts that were due and were not read; None where none are read."""

    def publish(self, messages: Iterable[Message]) -> None:
        """Hand messages on to Kafka at once: nothing is kept until the end of the run."""
        self.publisher.publish(self._noted(messages))

    def _noted(self, messages: Iterable[Message]) -> Iterator[Message]:
        for message in messages:
            if isinstance(message, AccountObserved):
                self.observed.add(message.account_id)
            yield message

    def say(self, text: str) -> None:
        """Tell the person at the keyboard."""
        if self.progress:
            self.progress(f"{self.platform.name}: {text}")

    async def resolve(self, watched: Sequence[str], then: Then) -> None:
        """Find the watched accounts, publish their profiles, and hand each on as soon as it is known.

        Tombstones of those known to be gone are published too. What the platform does not know is noted as unresolved.
        """
        for start in range(0, len(watched), CHUNK):
            await self._find(watched[start : start + CHUNK], then)

    async def _find(self, watched: Sequence[str], then: Then) -> None:
        wanted = {self.platform.normalise(one) or one: one for one in watched}
        missing = dict(wanted)
        accounts: list[Account] = []
        refusals: set[str] = set()
        closed: set[str] = set()

        async def ask(call: Call) -> None:
            try:
                exchanges = await self._resolve(call)
            except PlatformFailed:
                closed.add(call.host)
                raise
            for exchange in exchanges:
                if exchange.verdict.outcome is Outcome.REFUSED:
                    refusals.add(exchange.verdict.message)
                self.publish(exchange.reading.accounts)
                self.gone.update(event.account_id for event in exchange.reading.accounts if event.state == "gone")
                for account in exchange.reading.found:
                    names = account.names & wanted.keys()
                    for name in names:
                        missing.pop(name, None)
                    if not names or account.account_id in self.resolved:
                        continue
                    self.resolved.add(account.account_id)
                    if self.platform.details:
                        accounts.append(account)
                    else:
                        await then(account)

        await each(self.platform.resolve(list(wanted)), self.spared(ask))
        for message in sorted(refusals):
            self.say(message)
        for name, one in missing.items():
            if any(call.host in closed for call in self.platform.resolve([name])):
                self.skipped_accounts += 1  # whether it leads to anybody is not known
            else:
                self.unresolved.append(one)
        if self.platform.details:
            for account in await self._detail(accounts, self.platform.details(accounts)):
                await then(account)

    async def _detail(self, accounts: list[Account], calls: list[Call]) -> list[Account]:
        """Publish what further calls say of accounts; the accounts, with what they say of the followers."""
        followers: dict[str, int | None] = {account.account_id: account.followers for account in accounts}

        async def ask(call: Call) -> None:
            reading = (await self.client.ask(call)).reading
            self.expected_posts += len(reading.posts)
            self.publish([*reading.accounts, *reading.posts])
            counted = (event for event in reading.accounts if event.followers is not None)
            followers.update((event.account_id, event.followers) for event in counted)

        await each(calls, self.spared(ask))
        return [dataclasses.replace(account, followers=followers[account.account_id]) for account in accounts]

    async def _resolve(self, call: Call) -> list[Exchange]:
        """The exchange that finds the call's accounts, by another way where the platform offers one."""
        exchange = await self.client.ask(call)
        if exchange.verdict.outcome is Outcome.OK:
            return [exchange]
        for other in self.platform.instead(call, exchange.verdict):
            lead = await self.client.ask(other)
            following = self.platform.next_page(other, lead.answer) if lead.verdict.outcome is Outcome.OK else None
            if following:
                return [await self.client.ask(following)]
        return [exchange]

    def spared(self, act: Callable[[Item], Awaitable[None]]) -> Callable[[Item], Awaitable[None]]:
        """The act, with the platform's failures kept for the end: one item's failure never stops the others.

        A host that is closed fails every further item at once, so the run still ends soon.
        """

        async def spared(item: Item) -> None:
            with contextlib.suppress(PlatformFailed):  # the client keeps it, by host
                await act(item)

        return spared

    def notice(self, at: datetime) -> BatchPublished:
        """What the run did, for whoever waits for it."""
        published = self.publisher.published
        return BatchPublished(
            event_id=event_id(BatchPublished, self.platform.name, (), "", self.run_id),
            contract=CONTRACT,
            platform=self.platform.name,  # type: ignore[arg-type]  # the registry's names are the contract's
            run_id=self.run_id,
            observed_at=instant(at),
            finished_at=instant(self.clock.now()),
            collector=self.platform.collector,
            expected_accounts=self.expected_accounts,
            expected_posts=self.expected_posts,
            observed_accounts=len(self.observed),
            skipped_accounts=self.skipped_accounts,
            skipped_posts=self.skipped_posts,
            posts=published["posts"],
            accounts=published["accounts"],
            followers=published["followers"],
            dead_letters=published["dead_letters"],
            outcomes=[f"{outcome}:{count}" for outcome, count in sorted(self.client.outcomes.items())],
            unresolved=self.unresolved or None,
            quota_units=self.ledger.spent if self.ledger else None,
            quota_left=self.ledger.left if self.ledger else None,
        )


def run_session(
    settings: Settings,
    platform: Platform,
    work: Callable[[Session], Awaitable[None]],
    *,
    store: Store,
    now: datetime,
    run_id: str,
    key: MemberKey | None,
    progress: Progress,
) -> BatchPublished:
    """Do the work, publish the notice, and return it.

    When the platform lets us read nothing more, what was read is published first, and the notice too; then raises
    Refused, Exhausted, Throttled or Unavailable. Raises DependencyFailed when Kafka or the store fails.
    """
    clock = Clock(now)
    units = platform.daily_units(settings)

    async def run(publisher: Publisher) -> BatchPublished:
        # An app that mints its tokens is known by its id, whatever token it has.
        mints = platform.app
        credential = mints.identity(settings)[0] if mints else "\n".join(platform.authorise(settings).values())
        ledger = None
        if units is not None:
            monthly = platform.monthly_units(settings)
            ledger = Ledger(store, platform.name, credential, units, platform.budget_zone, monthly=monthly)

        def bury(letter: DeadLetter) -> None:
            publisher.publish([letter])

        async with AsyncExitStack() as stack:
            turns = Turns(store, platform.name, credential)
            client = Client(settings, platform, clock, run_id, ledger=ledger, key=key, bury=bury, turns=turns)
            await stack.enter_async_context(client)
            session = Session(settings, platform, run_id, clock, client, publisher, ledger, progress)
            if ledger:
                stack.callback(ledger.settle)
            await work(session)
        publisher.flush()
        await announce(settings, platform, publisher)
        notice = session.notice(now)
        publisher.publish([notice])
        publisher.flush()
        failures, every_host = client.failures()
        if failures and every_host:
            raise failures[0]
        for failure in failures:
            session.say(f"went on without this: {failure}")
        return notice

    with Publisher(settings) as publisher:
        return asyncio.run(run(publisher))


async def each(items: Iterable[Item], act: Callable[[Item], Awaitable[None]], at_once: int = WORKERS) -> None:
    """Act on every item, some at once. The first exception ends all and is raised."""
    remaining = iter(items)

    async def work() -> None:
        for item in remaining:
            await act(item)

    await _together(work() for _ in range(at_once))


async def pipe(source: Callable[[Then], Awaitable[None]], act: Then) -> None:
    """Act on accounts, some at once, while the source goes on to hand them over.

    The first exception ends all and is raised.
    """
    waiting: asyncio.Queue[Account | None] = asyncio.Queue(CHUNK)

    async def give() -> None:
        await source(waiting.put)
        for _ in range(WORKERS):
            await waiting.put(None)

    async def take() -> None:
        while (account := await waiting.get()) is not None:
            await act(account)

    await _together([give(), *(take() for _ in range(WORKERS))])


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all at the same time. The first exception ends all and is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
