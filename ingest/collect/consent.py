"""Calls in the name of creators: their grants in one run, renewed under their lock before they expire.

What a renewal gives is on the disk before it is used, and that a renewal has begun is on the disk before it is asked
for. So a crash in between is known afterwards: where the platform's refresh tokens rotate, the old one may be used up,
and its refusal is then a loss of ours, not the creator's withdrawal.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from msgspec.structs import replace

from ingest.collect import oauth
from ingest.collect.call import Call, Endpoint
from ingest.collect.grants import Grant, Grants
from ingest.collect.oauth import AppClient, OAuth, TokenRequest
from ingest.collect.outcome import (
    CONSENT_WITHDRAWN,
    NO_GRANT,
    TOKEN_EXPIRED,
    Answer,
    Outcome,
    Refused,
    Throttled,
    Verdict,
)
from ingest.collect.platform import Platform
from ingest.collect.transport import Clock
from ingest.settings import Settings

GRANT_TOKEN = Endpoint("grant_token", "/", method="POST")
UNSENT = {"ConnectError", "ConnectTimeout"}
"""Faults by which a request never left."""


class Asked(Protocol):
    """What came of a call: an exchange of the client."""

    @property
    def answer(self) -> Answer:
        """The answer."""

    @property
    def verdict(self) -> Verdict:
        """What it means."""


Ask = Callable[[Call], Awaitable[Asked]]


@dataclass
class Held:
    """One grant in this process."""

    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    grant: Grant | None = None
    is_proved: bool = False
    """The platform has said that the token is the account's."""


class Consents:
    """The grants of one platform in one run."""

    def __init__(
        self, settings: Settings, platform: Platform, client: OAuth, clock: Clock, ask: Ask, *, secrets: set[str]
    ) -> None:  # fmt: skip
        """`ask` is the run's client; every token that comes to be known is added to `secrets`.

        Raises Misconfigured when the grants cannot be read.
        """
        self._settings, self._platform, self._client, self._clock = settings, platform, client, clock
        self._ask, self._secrets = ask, secrets
        self._grants = Grants(settings)
        self._whoami = Endpoint("whoami", "/", cost=client.whoami_cost)
        # All at once: a store that cannot be read is said before anything is asked.
        self._held = {grant.account_id: Held(grant=grant) for grant in self._grants.all(platform.name)}
        self._spoiled: set[str] = set()
        """Access tokens that were refused."""
        self._doubtful: set[bytes] = set()
        """Renewals that got no answer, so that the platform may have made them."""
        self._renewals: set[asyncio.Task[Verdict | None]] = set()

    def makes(self, call: Call) -> bool:
        """Whether a call is one of those made here, which bring along what authorises them."""
        return call.endpoint in (GRANT_TOKEN, self._whoami)

    def classify(self, call: Call, answer: Answer, now: datetime) -> Verdict:
        """What the answer to one of these calls means."""
        if call.endpoint == self._whoami:
            return self._platform.classify(dataclasses.replace(call, endpoint=None), answer, now)
        verdict = oauth.classify(self._client, answer, now)
        if verdict.outcome is Outcome.UNAVAILABLE and answer.headers.get("fault") not in UNSENT:
            self._doubtful.add(call.body)
        return verdict

    def has(self, account_id: str) -> bool:
        """Whether calls may be made in the name of an account."""
        held = self._held.get(account_id)
        return held is not None and held.grant is not None and held.grant.state == "active"

    def consent_id(self, account_id: str) -> str | None:
        """The consent that calls in the name of an account are made by."""
        held = self._held.get(account_id)
        return held.grant.consent_id if held and held.grant else None

    def refused(self, account_id: str, call: Call, verdict: Verdict, carried: Mapping[str, str]) -> bool:
        """Note what a verdict says of a grant; whether to ask again under a fresh token of it."""
        held = self._held.get(account_id)
        if held is None or held.grant is None:
            return False
        if verdict.reason == CONSENT_WITHDRAWN and held.grant.state == "active":
            self._end(held, held.grant, "withdrawn")
        if verdict.reason != TOKEN_EXPIRED or call.endpoint == self._whoami:
            return False
        self._spoiled.add(carried[self._client.header].rpartition(" ")[2])
        return True

    async def settle(self) -> None:
        """Wait for renewals that are under way: what they give must be kept, whoever still wants it."""
        await asyncio.gather(*self._renewals, return_exceptions=True)

    async def headers(self, account_id: str) -> Mapping[str, str] | Verdict:
        """The headers of calls in the name of an account, or why there are none.

        Raises Refused when the app's id or secret is missing or wrong, Unavailable or Throttled when the token endpoint
        gives nothing.
        """
        held = self._held.setdefault(account_id, Held())
        async with held.busy:
            held.grant = held.grant or self._grants.get(self._platform.name, account_id)
            for is_last in (False, True):
                if held.grant and not self._is_fresh(held.grant):
                    refusal = await self._uncancelled(self._renew(held, account_id))
                    if refusal:
                        return refusal
                if held.grant is None or held.grant.state != "active":
                    return self._none(account_id)
                self._secrets |= held.grant.secrets
                carried = self._client.headers(self._settings, held.grant.access_token)
                refusal = None if held.is_proved else await self._prove(account_id, carried)
                if refusal is None:
                    held.is_proved = True
                    break
                if refusal.reason != TOKEN_EXPIRED or is_last:
                    return refusal
                self._spoiled.add(held.grant.access_token)
            return carried

    async def _uncancelled(self, renewal: Coroutine[None, None, Verdict | None]) -> Verdict | None:
        """The renewal, in a task of its own: who cancels the call must not cancel what the platform may have done."""
        task = asyncio.create_task(renewal)
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)
        return await asyncio.shield(task)

    def _is_fresh(self, grant: Grant) -> bool:
        """Whether a grant can be used as it is, or not at all."""
        if grant.state != "active":
            return True
        lead = timedelta(seconds=self._client.lead_seconds)
        ends = grant.expires_at is not None and self._clock.now() >= grant.expires_at - lead
        return grant.access_token not in self._spoiled and not ends

    async def _renew(self, held: Held, account_id: str) -> Verdict | None:
        """Put a renewed grant in the place of the held one, unless somebody else has; the verdict when that failed."""
        client = self._client
        async with self._grants.locked(self._platform.name, account_id):
            grant = held.grant = self._grants.get(self._platform.name, account_id)
            if grant is None or self._is_fresh(grant):
                return None
            require(client, self._settings, self._platform.name)
            self._secrets |= grant.secrets
            token = grant.access_token if client.renewal.parameter == "access_token" else grant.refresh_token
            if token is None:
                self._end(held, grant, "lost")
                return None
            in_doubt = grant.renewing_since is not None
            if client.rotates and not in_doubt:
                grant = self._keep(held, replace(grant, renewing_since=self._clock.now()))
            call = token_call(GRANT_TOKEN, oauth.renew(client, self._settings, client.renewal, token))
            try:
                asked = await self._ask(call)
            except (Refused, Throttled):
                if not in_doubt and call.body not in self._doubtful:
                    self._keep(held, replace(grant, renewing_since=None))  # it certainly was not made
                raise
            if asked.verdict.reason == CONSENT_WITHDRAWN:
                lost = client.rotates and (in_doubt or call.body in self._doubtful)
                self._end(held, grant, "lost" if lost else "withdrawn")
                return None
            return self._renewed(held, grant, asked)

    def _renewed(self, held: Held, grant: Grant, asked: Asked) -> Verdict | None:
        """Keep what a renewal gave."""
        if asked.verdict.outcome is not Outcome.OK:
            return asked.verdict
        client = self._client
        found = oauth.tokens(asked.answer, self._clock.now(), client.access_seconds)
        self._secrets |= {token for token in (found.access, found.refresh) if token}
        if not client.whoami and oauth.granted_account(client, found.document) not in (None, grant.account_id):
            return _swapped(grant.account_id)
        held.is_proved = False
        self._keep(
            held,
            replace(
                grant,
                access_token=found.access,
                refresh_token=found.refresh or grant.refresh_token,
                expires_at=found.expires_at,
                refresh_expires_at=found.refresh_expires_at or grant.refresh_expires_at,
                scopes=found.scopes or grant.scopes,
                renewing_since=None,
            ),
        )
        return None

    async def _prove(self, account_id: str, carried: Mapping[str, str]) -> Verdict | None:
        """None when the platform says that a token is the account's: nothing is published under a wrong id."""
        if not self._client.whoami:
            return None  # the token endpoint says so at each renewal, and said so at the grant
        asked = await self._ask(Call(self._whoami, self._client.whoami, grant=account_id, headers=carried))
        if asked.verdict.outcome is not Outcome.OK:
            return asked.verdict
        whose = oauth.granted_account(self._client, asked.answer.fields)
        return None if whose == account_id else _swapped(account_id)

    def _end(self, held: Held, grant: Grant, state: Literal["withdrawn", "lost"]) -> None:
        self._keep(held, grant.ended(state, self._clock.now()))

    def _keep(self, held: Held, grant: Grant) -> Grant:
        self._grants.put(grant)
        held.grant = grant
        return grant

    def _none(self, account_id: str) -> Verdict:
        grant = self._grants.get(self._platform.name, account_id)
        why = {"withdrawn": "the creator withdrew it", "lost": "its renewal was lost", "active": "it is new"}
        return Verdict(
            Outcome.REFUSED,
            NO_GRANT,
            message=f"There is no grant of {account_id}: {why[grant.state] if grant else 'nobody has given one'}. "
            f"Run `assay connect {self._platform.name}`.",
        )


def _swapped(account_id: str) -> Verdict:
    return Verdict(
        Outcome.REFUSED,
        "other_account",
        message=f"The grant kept for {account_id} is another account's. Nothing is read under it; connect it anew.",
    )


def require(client: AppClient, settings: Settings, platform: str) -> None:
    """Raises Refused when the app's id or secret is not set."""
    if not all(client.identity(settings)):
        raise Refused(
            f"{platform} needs an app of yours and its id or secret is missing. Register one on the platform's "
            f"developer pages and set {client.variables}"
        )


def token_call(endpoint: Endpoint, request: TokenRequest) -> Call:
    """A token request as a call of the client."""
    return Call(endpoint, request.url, request.method, body=request.body, headers=request.headers)
