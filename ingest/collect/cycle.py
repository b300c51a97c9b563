"""One collect cycle: profiles, new posts, posts that are due again, and tombstones of those that are missing."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from datetime import datetime

from ingest.collect import ladder
from ingest.collect.call import Call
from ingest.collect.known import PIECE, KnownPosts
from ingest.collect.ladder import HORIZON, Known
from ingest.collect.observe import Observation
from ingest.collect.outcome import Outcome, PlatformFailed
from ingest.collect.platform import Account, Reading
from ingest.collect.session import CHUNK, Session, each, pipe
from ingest.events import PostObserved, moment

PAGES = 400
"""Pages of one account's listing, at most: no platform has more, and a cursor that runs in circles ends."""
FIRST_SIGHT = 2
"""Pages that an account seen for the first time may need besides, or what their posts need."""
SPARE = 1.25
"""By what an estimate is too high rather than too low."""
GOLDEN = 0.6180339887
"""Its multiples fall evenly between 0 and 1."""


class Cycle:
    """One run's way through the watch list."""

    def __init__(self, session: Session, known: KnownPosts, now: datetime, *, is_whole: bool) -> None:
        """`now` is the moment that decides what is due; `is_whole` says that no part of the watch list was left out."""
        self._session = session
        self._known = known
        self._now = now
        self._is_whole = is_whole
        self._unfinished: set[str] = set()
        """Accounts of which the first listing broke off: no post of theirs is known before it was read to its end."""
        self._wanted: dict[str, str] = {}
        """Posts to look up, account_id by post_id: those of several accounts go into one call."""
        self._recounted: set[str] = set()
        """Of these, those of which the counters are enough."""
        self._unread: set[str] = set()
        """Posts that are to be read and were not yet."""
        self._is_rationed = False
        """Whether the budget may not hold the whole cycle."""

    async def run(self, watched: Sequence[str]) -> None:
        """Collect all watched accounts, each as soon as it is found."""
        session = self._session
        session.expected_accounts = len(watched)
        if session.ledger:
            self._is_rationed = session.ledger.reserve(0, session.clock.now()) < self._needs(watched)
        if self._is_rationed:
            session.say("the budget may not hold the whole cycle: what was never read, and fresh posts, come first")
            await self._ration(self._turned(watched))
        else:
            await pipe(functools.partial(session.resolve, watched), session.spared(self._collect))
        if self._is_whole and session.unresolved:
            await self._look_for(sorted(set(self._known.accounts) - session.gone - session.resolved))
        for account_id in sorted(session.gone):
            due = {post.post_id for post in ladder.due(self._known.of(account_id), self._now)}
            session.expected_posts += len(due)
            self._unread |= due
            await self._want(account_id, due)
        await self._look_up(self._wanted)
        if self._is_whole and session.skipped_accounts:
            for account_id in set(self._known.accounts) - session.resolved - session.gone:
                self._unread.update(post.post_id for post in ladder.due(self._known.of(account_id), self._now))
        session.skipped_posts = len(self._unread)
        found, posts = len(session.resolved), session.publisher.published["posts"]
        session.say(
            f"{found} of {len(watched)} accounts, {posts} posts published"
            + (f", not found: {', '.join(session.unresolved[:10])}" if session.unresolved else "")
        )

    async def _ration(self, watched: Sequence[str]) -> None:
        """Collect accounts in the order in which they are read when not all can be.

        Their listings take half of what is left, then posts are looked up before further accounts are listed.
        """
        accounts: list[Account] = []

        async def keep(account: Account) -> None:
            accounts.append(account)

        await self._session.resolve(watched, keep)
        accounts.sort(key=lambda account: ladder.urgency(self._known.of(account.account_id), self._now))
        session, start = self._session, 0
        while session.ledger and start < len(accounts):
            left = session.ledger.reserve(0, session.clock.now())
            count = max(1, min(CHUNK, left // (2 * max(1, self._page(accounts[0])))))
            await each(accounts[start : start + count], session.spared(self._collect))
            wanted, self._wanted, start = self._wanted, {}, start + count
            await self._look_up(wanted)

    def _page(self, account: Account) -> int:
        """Units that a short page of a listing costs at most."""
        platform = self._session.platform
        return platform.price(platform.listing(account, True), None) if account.listing else 0

    def _needs(self, watched: Sequence[str]) -> float:
        """Units that the cycle may need, with something to spare for what nobody knows before: new posts."""
        platform = self._session.platform
        names = [name for one in watched if (name := platform.normalise(one))]
        unseen = max(0, len(names) - len(self._known.accounts))
        pages = len(names) + FIRST_SIGHT * unseen
        page = self._page(Account(names[0], frozenset(names[:1]), "https://localhost", names[0]))
        units = page * pages
        for start in range(0, len(names), CHUNK):
            units += self._price(platform.resolve(names[start : start + CHUNK]))
        if not platform.relists:
            due = (post for one in self._known.accounts for post in ladder.due(self._known.of(one), self._now))
            while some := {post.post_id: post.account_id for post in itertools.islice(due, PIECE)}:
                units += self._price(self._lookups(some))
        return SPARE * units

    def _price(self, calls: Sequence[Call]) -> int:
        """The most that calls may cost."""
        return sum(self._session.platform.price(call, None) for call in calls)

    def _lookups(self, wanted: dict[str, str]) -> list[Call]:
        """Calls that look up posts, account_id by post_id."""
        platform = self._session.platform
        return platform.lookup_of(wanted) if platform.lookup_of else platform.lookup(list(wanted))

    def _turned(self, watched: Sequence[str]) -> Sequence[str]:
        """The watch list from another place each hour: where the budget ends before all are found, nobody starves."""
        hours = int(self._now.timestamp()) // 3600
        first = int(hours * GOLDEN % 1 * len(watched))
        return [*watched[first:], *watched[:first]]

    async def _collect(self, account: Account) -> None:
        """One account: its listing, then its due posts that the listing did not show."""
        known = {post.post_id: post for post in self._known.of(account.account_id)}
        wanted = {post.post_id for post in ladder.due(known.values(), self._now)}
        self._session.expected_posts += len(wanted)
        self._unread |= wanted
        shown: set[str] = set()
        if account.listing:
            try:
                wanted, shown = await self._list(account, known, wanted)
            except PlatformFailed:
                self._session.skipped_accounts += 1
                raise
        if self._session.platform.recount:
            due = (known[post] for post in wanted if post in known)
            self._recounted.update(post.post_id for post in due if ladder.needs_counters_alone(post, self._now))
        await self._want(account.account_id, wanted)
        if self._session.client.granted(account.account_id):
            await self._insights(account, sorted(wanted | shown))

    async def _insights(self, account: Account, posts: Sequence[str]) -> None:
        """Publish what only the account's grant lets us read, of it and of its posts that this run reads."""
        session = self._session
        for first in session.platform.consented(account, posts, self._now):
            call: Call | None = first
            for _ in range(PAGES):
                if call is None:
                    break
                exchange = await session.client.ask(call)
                session.publish([*exchange.reading.accounts, *exchange.reading.posts])
                if exchange.verdict.outcome is Outcome.REFUSED:
                    session.say(exchange.verdict.message or f"{account.account_id}: {exchange.verdict.reason}")
                following = session.platform.next_page(call, exchange.answer)
                call = following if exchange.verdict.outcome is Outcome.OK else None

    async def _list(
        self, account: Account, known: dict[str, Known], wanted: set[str]
    ) -> tuple[set[str], set[str]]:  # fmt: skip
        """Publish what is due and what is new on the listing's pages; due posts not shown whole, and those shown."""
        session = self._session
        back_to = ladder.list_back_to(known.values(), self._now)
        unasked = frozenset(post.post_id for post in known.values() if post.state != "gone") - wanted
        listing = session.platform.listing(account, bool(known))
        first = dataclasses.replace(listing, unasked=unasked, since=self._now - HORIZON)
        call: Call | None = first
        done: set[str] = set()
        asked: set[tuple[str, bytes]] = set()
        passed = False
        try:
            for _ in range(PAGES):
                if call is None:
                    break
                asked.add((call.url, call.body))
                exchange = await session.client.ask(call)
                if exchange.verdict.outcome is not Outcome.OK:
                    break  # no public posts, or nothing readable; what is due is looked up
                reading = exchange.reading
                new = {
                    post.post_id
                    for post in reading.listed
                    if post.post_id not in done and self._is_new(known.get(post.post_id), post.published_at)
                }
                session.expected_posts += len(new - wanted)
                wanted |= new
                self._unread |= new
                shown = [event for event in reading.posts if event.post_id in wanted]
                self._publish(shown)
                done.update(event.post_id for event in shown)
                wanted -= done
                older = session.platform.relists and self._any_older(wanted, known, reading.reached)
                if reading.reached and reading.reached < back_to and not older:
                    passed = True
                    break
                call = session.platform.next_page(call, exchange.answer)
                passed = call is None
                if call and (call.url, call.body) in asked:
                    break  # a cursor that runs in circles
        finally:
            if not passed and not known:
                # Known posts would end the next run's listing before it came to what this one did not reach.
                self._unfinished.add(account.account_id)
                self._known.forget(account.account_id)
        if session.platform.relists:
            if passed:
                self._publish(self._missing(first, wanted))
            return set(), done
        return wanted, done

    @staticmethod
    def _any_older(wanted: set[str], known: dict[str, Known], reached: datetime | None) -> bool:
        """Whether some wanted post can only be on later pages than the one that goes back to a moment."""
        return reached is None or any(known[post].published_at <= reached for post in wanted if post in known)

    def _missing(self, call: Call, posts: set[str]) -> list[PostObserved]:
        """Tombstones of posts that a listing went past without showing them, where there is no other way to look."""
        session = self._session
        observation = Observation(session.platform, call, session.clock.now(), session.run_id, None)
        for post_id in sorted(posts):
            observation.post(call.account_id, post_id, state="gone", state_reason="not_listed")
        return observation.reading.posts

    def _is_new(self, known: Known | None, published_at: datetime | None) -> bool:
        """Whether a listed post is to be read because nobody has: never seen, or back after it was gone."""
        if known and known.state != "gone":
            return False
        return published_at is None or ladder.is_due(published_at, None, self._now)

    async def _want(self, account_id: str, posts: set[str]) -> None:
        """Note posts to look up, and look up as many as fill whole calls."""
        self._wanted.update(dict.fromkeys(sorted(posts), account_id))
        if len(self._wanted) >= CHUNK:
            wanted, self._wanted = self._wanted, {}
            await self._look_up(wanted)

    async def _look_up(self, wanted: dict[str, str]) -> None:
        """Read posts by id and publish them; the missing ones become tombstones."""
        session = self._session

        async def ask(call: Call) -> None:
            exchange = await session.client.ask(dataclasses.replace(call, owners=wanted))
            others = session.platform.instead(call, exchange.verdict)
            if not others:
                self._publish(exchange.reading.posts)
                return
            for other in others:
                single = await session.client.ask(dataclasses.replace(other, owners=wanted))
                self._publish(single.reading.posts)

        if self._is_rationed:
            wanted = self._by_urgency(wanted)
        platform, recounted = session.platform, self._recounted & wanted.keys()
        self._recounted -= recounted
        calls = platform.recount(sorted(recounted)) if platform.recount else []
        whole = {post: account for post, account in wanted.items() if post not in recounted}
        calls += self._lookups(whole)
        await each(calls, session.spared(ask))

    def _by_urgency(self, wanted: dict[str, str]) -> dict[str, str]:
        """Posts to look up, in the order in which they are read when not all can be."""
        known = {post.post_id: post for account in set(wanted.values()) for post in self._known.of(account)}
        alone = {post: [known[post]] if post in known else [] for post in wanted}
        return {post: wanted[post] for post in sorted(wanted, key=lambda post: ladder.urgency(alone[post], self._now))}

    def _publish(self, posts: Sequence[PostObserved]) -> None:
        """Publish posts, and note those that are there. A missing one stays due until the facts say that it is gone."""
        self._session.publish(posts)
        self._unread.difference_update(post.post_id for post in posts)
        self._known.see(
            Known(post.post_id, post.account_id, moment(post.published_at), moment(post.observed_at), post.state)
            for post in posts
            if post.state != "gone" and post.published_at and post.account_id not in self._unfinished
        )

    async def _look_for(self, accounts: list[str]) -> None:
        """Accounts with known posts that no line of the watch list led to, when some line led nowhere.

        One that is gone gets its tombstone. One that is there was renamed or taken off the watch list: nothing of it
        is read.
        """
        session = self._session

        async def ask(call: Call) -> None:
            reading: Reading = (await session.client.ask(call)).reading
            gone = [event for event in reading.accounts if event.state == "gone"]
            session.publish(gone)
            session.gone.update(event.account_id for event in gone)
            for account in reading.found:
                session.say(
                    f"{account.account_id} is there, but no line of the watch list leads to it; was it renamed?"
                )

        await each(session.platform.resolve(accounts), session.spared(ask))
