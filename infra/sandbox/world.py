"""The world: its accounts, and who is found by which name, at any moment. Pure: it keeps nothing but what it is."""

from collections.abc import Mapping

from infra.sandbox import growth, posts
from infra.sandbox.cast import DAY, EPOCH, PLATFORMS, RENAMED, Account, everyone
from infra.sandbox.ids import CREATOR, MEMBER, Ids
from infra.sandbox.posts import Post
from infra.sandbox.traits import TRAITS

_SUSPENSION_PERIOD = 28 * DAY


class World:
    """The world of one seed; `fakes` multiplies the share of fakes in every audience.

    `more` is how many accounts there are on platforms beside the usual ones, for measuring: nobody watches them.
    """

    def __init__(self, seed: int = 7, fakes: float = 1.0, more: Mapping[str, int] | None = None) -> None:
        self.seed, self.fakes = seed, fakes
        self.ids = {name: Ids(seed, row.accounts, row.posts) for name, row in TRAITS.items()}
        self.accounts = everyone(self.ids, more or {})
        self.by_handle = {(a.platform, a.host, a.handle): a for a in self.accounts}
        self.by_account_id = {(a.platform, a.account_id): a for a in self.accounts}
        self.of_platform = {p: [a for a in self.accounts if a.platform == p] for p in PLATFORMS}
        self._former = {(a.platform, a.former_handle): a for a in self.accounts if a.former_handle}

    def find(self, platform: str, text: str) -> tuple[Account, int | None] | None:
        """The account of an id, with the member's index where the id names a member of its audience."""
        found = self.ids[platform].read_account(text)
        if found is None:
            return None
        kind, number, index = found
        if number >= len(self.accounts) or self.accounts[number].platform != platform:
            return None
        if kind == CREATOR:
            return self.accounts[number], None
        return (self.accounts[number], index) if kind == MEMBER else None

    def handled(self, platform: str, handle: str, t: float) -> Account | None:
        """The account that answers to a handle (in lower case, without @) at t, on a platform of one host."""
        account = self.by_handle.get((platform, "", handle))
        if t < RENAMED:
            return self._former.get((platform, handle)) or (account if account and not account.former_handle else None)
        return account

    def post_id(self, post: Post) -> str:
        """The id of a post, where the platform's row says how they are written."""
        return self.ids[post.account.platform].post(post.account.number, post.index, post.published_at)

    def post(self, platform: str, text: str, t: float) -> Post | None:
        """The post of an id if it is up at t, whatever has become of its account."""
        found = self.ids[platform].read_post(text)
        if found is None or found[0] >= len(self.accounts) or self.accounts[found[0]].platform != platform:
            return None
        number, index, moment = found
        account = self.accounts[number]
        if index is not None:
            post = posts.find(account, index, self.fakes)
        else:
            post = posts.published_at(account, moment or 0.0, self.fakes)
        return post if post and post.is_up(t) else None

    def followers(self, account: Account, t: float) -> int:
        """The exact number of followers; none while the account is away."""
        return growth.followers(account, t, self.fakes)


GONE = frozenset({"terminated", "deactivated", "deleted", "banned", "suspended", "shadow_banned"})
"""Flags of accounts that are away for good."""


def is_away(account: Account, t: float) -> bool:
    """Whether the platform serves nothing of the account at t: gone for good, or suspended for a while."""
    return bool(account.flags & GONE) or suspended_since(account, t) is not None


def suspended_since(account: Account, t: float) -> float | None:
    """Since when the account is suspended at t, or None.

    Two accounts take turns of 14 days, so that at any moment one was suspended within the last two weeks.
    """
    if "suspended_first" in account.flags:
        shift = 0.0
    elif "suspended_second" in account.flags:
        shift = _SUSPENSION_PERIOD / 2
    else:
        return None
    phase = (t - EPOCH + shift) % _SUSPENSION_PERIOD
    return t - phase if phase < _SUSPENSION_PERIOD / 2 else None
