"""Samples of audiences: who follows an account, or comments on its posts, as features without identity."""

import functools
import itertools
from collections.abc import Sequence

import msgspec

from ingest.collect.call import Call
from ingest.collect.cycle import PAGES
from ingest.collect.outcome import Outcome, PlatformFailed
from ingest.collect.platform import Account, Features, Member
from ingest.collect.session import Session, each, pipe

COMPLETE_SHARE = 0.9
"""A list that ended counts as complete when it held this share of the followers counted; lists leave some out."""


class Sampling:
    """One run's samples."""

    def __init__(self, session: Session, size: int) -> None:
        """`size` is how many members an account's sample has at most."""
        self._session = session
        self._size = size

    async def run(self, watched: Sequence[str]) -> None:
        """Sample the audiences of all watched accounts."""
        session = self._session
        session.expected_accounts = len(watched)
        await pipe(functools.partial(session.resolve, watched), session.spared(self._sample_or_count))
        audiences, members = len(session.resolved), session.publisher.published["followers"]
        session.say(f"{audiences} audiences, {members} members published")

    async def _sample_or_count(self, account: Account) -> None:
        try:
            await self._sample(account)
        except PlatformFailed:
            self._session.skipped_accounts += 1
            raise

    async def _sample(self, account: Account) -> None:
        """One account's sample; where it is drawn from posts, one of followers too, if a grant opens their list."""
        if not account.listing:
            return
        platform = self._session.platform
        if not platform.audience_posts:
            await self._publish(account, *await self._along(platform.audience(account, [])))
            return
        pages = platform.audience(account, await self._recent_posts(account))
        await self._publish(account, await self._across(pages), ended=False)
        if self._session.client.granted(account.account_id) and (owned := platform.granted_audience(account)):
            await self._publish(account, *await self._along(owned))

    async def _publish(self, account: Account, members: Sequence[Member], ended: bool) -> None:
        """Publish a sample when it is whole: only then is known how it was drawn. `ended`: the list has no more."""
        is_counted = account.followers is not None
        complete = ended and is_counted and len(members) >= COMPLETE_SHARE * (account.followers or 0)
        profiles = await self._profiles([member.native_id for member in members])
        self._session.publish(
            msgspec.structs.replace(
                member.seen,
                sample="complete" if complete else "newest",
                position=position,
                **{name: value for name, value in profiles.get(member.native_id, {}).items() if value is not None},
            )
            for position, member in enumerate(members, start=1)
        )

    async def _recent_posts(self, account: Account) -> list[str]:
        """The account's newest posts, as many as a sample is drawn from."""
        exchange = await self._session.client.ask(self._session.platform.listing(account, True))
        return [post.post_id for post in exchange.reading.listed][: self._session.platform.audience_posts]

    async def _along(self, pages: Sequence[Call]) -> tuple[list[Member], bool]:
        """Members along a list, page after page, and whether the list ended before the sample was full."""
        members: dict[str, Member] = {}
        for first in pages:
            call: Call | None = first
            asked: set[tuple[str, bytes]] = set()
            for _ in range(max(PAGES, self._size)):
                if call is None or (call.url, call.body) in asked:
                    break
                asked.add((call.url, call.body))
                wanted = self._size - len(members)
                exchange = await self._session.client.ask(self._session.platform.at_most(call, wanted))
                if exchange.verdict.outcome is not Outcome.OK:
                    return list(members.values()), False
                for member in exchange.reading.members:
                    members.setdefault(member.seen.member_id, member)
                call = self._session.platform.next_page(call, exchange.answer)
                if len(members) >= self._size:
                    return list(members.values())[: self._size], call is None and len(members) <= self._size
            if call is not None:
                return list(members.values()), False  # a cursor that runs in circles
        return list(members.values()), True

    async def _across(self, pages: Sequence[Call]) -> list[Member]:
        """Members from several lists in turn, so that no single post fills the sample; each member once."""
        lists = [(await self._session.client.ask(call)).reading.members for call in pages]
        members: dict[str, Member] = {}
        for member in itertools.chain.from_iterable(itertools.zip_longest(*lists)):
            if member is not None and len(members) < self._size:
                members.setdefault(member.seen.member_id, member)
        return list(members.values())

    async def _profiles(self, native_ids: list[str]) -> dict[str, Features]:
        """Members' features from their profiles, where the lists give no counts."""
        found: dict[str, Features] = {}

        async def ask(call: Call) -> None:
            found.update((await self._session.client.ask(call)).reading.profiles)

        await each(self._session.platform.profiles(native_ids), ask, at_once=4)
        return found
