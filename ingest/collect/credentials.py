"""What authorises each request of a run: static keys, tokens of the app, creators' grants.

Tokens of the app are minted when first needed, kept for the process, and minted anew before they expire or when one is
refused. One mint at a time, through the run's own client: token endpoints are paced, retried and counted like others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from ingest.collect import oauth
from ingest.collect.oauth import AppClient, AppToken, TokenRequest, Tokens
from ingest.collect.outcome import NO_GRANT, TOKEN_EXPIRED, Answer, Outcome, Refused, Verdict
from ingest.collect.platform import Call, Endpoint, Platform
from ingest.collect.transport import Clock
from ingest.settings import Settings

LEAD = timedelta(minutes=5)
"""How long before its end a token is renewed; a tenth of its life where that is shorter."""
APP_TOKEN = Endpoint("app_token", "/", method="POST")
GRANT_TOKEN = Endpoint("grant_token", "/", method="POST")


class Asked(Protocol):
    """What came of a call: an exchange of the client."""

    @property
    def answer(self) -> Answer:
        """The answer."""

    @property
    def verdict(self) -> Verdict:
        """What it means."""


class Credentials:
    """The credentials of one run. `secrets` holds every secret that may be in a request or an answer, to be hidden."""

    def __init__(
        self, settings: Settings, platform: Platform, clock: Clock, ask: Callable[[Call], Awaitable[Asked]]
    ) -> None:
        """`ask` is the client's. Raises Refused when a static credential is missing."""
        self._settings, self._platform, self._clock, self._ask = settings, platform, clock, ask
        self._static = platform.authorise(settings)
        self.secrets = {part for header in self._static.values() for part in (header, header.rpartition(" ")[2])}
        for client in (platform.app, platform.oauth):
            if client and (secret := client.identity(settings)[1]):
                self.secrets.add(secret)
        self._minting = asyncio.Lock()
        self._app_token: str | None = None
        self._fresh_until: datetime | None = None

    async def headers(self, call: Call) -> Mapping[str, str] | Verdict:
        """The headers that authorise a call, or the refusal of a call whose grant is not there.

        Raises Refused when the app's id or secret is missing or wrong, Unavailable or Throttled when the token endpoint
        gives none.
        """
        if call.endpoint in (APP_TOKEN, GRANT_TOKEN):
            return {}
        if call.grant is not None:
            return Verdict(Outcome.REFUSED, NO_GRANT, message=f"Run `assay connect {self._platform.name}`.")
        app = self._platform.app
        return self._static | app.headers(self._settings, await self._of_app(app)) if app else self._static

    def classify(self, call: Call, answer: Answer, now: datetime) -> Verdict | None:
        """What a token endpoint's answer means; None for an answer of the platform itself."""
        if call.endpoint == APP_TOKEN and self._platform.app:
            return oauth.classify(self._platform.app, answer, now)
        if call.endpoint == GRANT_TOKEN and self._platform.oauth:
            return oauth.classify(self._platform.oauth, answer, now)
        return None

    def consent_id(self, call: Call) -> str | None:
        """The consent that authorises a call."""
        return None

    def refused(self, call: Call, verdict: Verdict, carried: Mapping[str, str]) -> bool:
        """Note what a verdict says of the token that the call carried; whether to ask again with a fresh one."""
        app = self._platform.app
        if verdict.reason != TOKEN_EXPIRED or call.grant is not None or app is None:
            return False
        if self._app_token and carried.get(app.header) == app.headers(self._settings, self._app_token)[app.header]:
            self._app_token = None  # else another call has renewed it meanwhile
        return True

    async def _of_app(self, app: AppToken) -> str:
        """A token of the app that lives a while yet."""
        async with self._minting:
            now = self._clock.now()
            if self._app_token is None or (self._fresh_until and now >= self._fresh_until):
                self._require(app)
                found = await self._tokens(APP_TOKEN, oauth.mint(app, self._settings), None)
                self._app_token, self._fresh_until = found.access, fresh_until(found, self._clock.now())
            return self._app_token

    def _require(self, client: AppClient) -> None:
        """Raises Refused when the app's id or secret is not set."""
        if not all(client.identity(self._settings)):
            raise Refused(
                f"{self._platform.name} needs an app of yours and its id or secret is missing. Register one on the "
                f"platform's developer pages and set {client.variables}"
            )

    async def _tokens(self, endpoint: Endpoint, request: TokenRequest, lives: int | None) -> Tokens:
        """Ask a token endpoint; its tokens are secrets from now on."""
        call = Call(endpoint, request.url, request.method, body=request.body, headers=request.headers)
        asked = await self._ask(call)
        found = oauth.tokens(asked.answer, self._clock.now(), lives)
        self.secrets |= {token for token in (found.access, found.refresh) if token}
        return found


def fresh_until(found: Tokens, now: datetime) -> datetime | None:
    """The moment from which a token is to be renewed; None where it has no end."""
    if found.expires_at is None:
        return None
    return found.expires_at - min(LEAD, (found.expires_at - now) / 10)
