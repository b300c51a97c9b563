"""The world: its accounts, and who is found by which name, at any moment. Pure: it keeps nothing but what it is."""

from infra.sandbox import growth
from infra.sandbox.cast import CREATOR, DAY, EPOCH, MEMBER, Account, Codecs, everyone

_SUSPENSION_PERIOD = 28 * DAY


class World:
    """The world of one seed; `fakes` multiplies the share of fakes in every audience."""

    def __init__(self, seed: int = 7, fakes: float = 1.0) -> None:
        self.seed, self.fakes = seed, fakes
        self.codecs = Codecs(seed)
        self.accounts = everyone(self.codecs)
        self.by_handle = {(a.platform, a.host, a.handle): a for a in self.accounts}
        self.by_account_id = {(a.platform, a.account_id): a for a in self.accounts}
        self.of_platform = {
            p: [a for a in self.accounts if a.platform == p] for p in ("youtube", "bluesky", "mastodon")
        }

    def find(self, platform: str, text: str) -> tuple[Account, int | None] | None:
        """The account of an id, with the member's index where the id names a member of its audience."""
        found = self.codecs.read(platform, text)
        if found is None:
            return None
        kind, number, index = found
        if number >= len(self.accounts) or self.accounts[number].platform != platform:
            return None
        if kind == CREATOR:
            return self.accounts[number], None
        return (self.accounts[number], index) if kind == MEMBER else None

    def followers(self, account: Account, t: float) -> int:
        """The exact number of followers; none while the account is away."""
        return growth.followers(account, t, self.fakes)


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
