"""Turns of a sliding limit that several runs of one credential take one after another, from an object in the lake.

No answer tells such runs of each other. Each takes a turn (`pace.Spread`) by compare-and-swap before it makes calls, so
that all of them together stay within the limit; one that dies lets at most one turn lapse.
"""

import hashlib
from datetime import UTC, datetime

from ingest.collect.pace import LONG_AGO, Spread
from ingest.collect.quota import swap
from ingest.errors import Misconfigured
from ingest.land.store import Store


class Turns:
    """The turns of one credential's limits at one platform."""

    def __init__(self, store: Store, platform: str, credential: str) -> None:
        self._store, self._platform, self._credential = store, platform, credential

    def take(self, limit: str, spread: Spread, now: datetime) -> datetime:
        """When the turn begins that is ours from now on. `limit` names what is limited: a host, or its endpoint.

        Raises DependencyFailed when the store does not answer, Misconfigured when the object is none of ours.
        """
        named = hashlib.sha256(f"{self._credential}\n{limit}".encode()).hexdigest()[:16]
        key = f"state/pace/{self._platform}/{named}"
        begins = now

        def next_turn(body: bytes | None) -> bytes:
            nonlocal begins
            try:
                taken = LONG_AGO if body is None else datetime.fromisoformat(body.decode()).astimezone(UTC)
            except ValueError:
                raise Misconfigured(
                    f"{key} holds no moment. Look at it, and delete it if nobody knows better"
                ) from None
            # Runs are given their moment: one that stands in another year has nothing to do with this one.
            is_ours = abs(taken - now) < FAR * spread.every
            begins = spread.turn(taken if is_ours else LONG_AGO, now)
            return begins.isoformat().encode()  # to the microsecond: what is cut off adds up

        swap(self._store, key, next_turn)
        return begins


FAR = 1000
"""Turns ahead of now that no number of runs has taken."""
