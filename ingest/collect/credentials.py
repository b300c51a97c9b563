"""What authorises each request of a run: static keys, tokens of the app, creators' grants (`consent.py`).

Tokens of the app are minted when first needed, kept for the process, and minted anew before they expire or when one is
refused. One mint at a time, through the run's own client: token endpoints are paced, retried and counted like others.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from ingest.collect import oauth
from ingest.collect.call import Call, Endpoint
from ingest.collect.consent import Ask, Consents, require, token_call
from ingest.collect.oauth import AppToken
from ingest.collect.outcome import NO_GRANT, NOT_ELIGIBLE, TOKEN_EXPIRED, Answer, Outcome, Verdict
from ingest.collect.platform import Platform
from ingest.collect.transport import Clock
from ingest.settings import Settings

LEAD = timedelta(minutes=5)
"""How long before its end a token of the app is renewed; a tenth of its life where that is shorter."""
APP_TOKEN = Endpoint("app_token", "/", method="POST")


class Credentials:
    """The credentials of one run. `secrets` holds every secret that may be in a request or an answer, to be hidden."""

    def __init__(self, settings: Settings, platform: Platform, clock: Clock, ask: Ask) -> None:
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
        self._consents = (
            Consents(settings, platform, platform.oauth, clock, ask, secrets=self.secrets) if platform.oauth else None
        )

    async def headers(self, call: Call) -> Mapping[str, str] | Verdict:
        """The headers that authorise a call, or the refusal of a call whose grant is not there.

        Raises Refused when the app's id or secret is missing or wrong, Unavailable or Throttled when the token endpoint
        gives none.
        """
        if call.endpoint == APP_TOKEN or (self._consents and self._consents.makes(call)):
            return {}
        if call.grant is None:
            app = self._platform.app
            if app and app.needs and not getattr(self._settings, app.needs):
                return _not_eligible(self._platform.name, app)
            return self._static | app.headers(self._settings, await self._of_app(app)) if app else self._static
        if self._consents:
            return await self._consents.headers(call.grant)
        return Verdict(Outcome.REFUSED, NO_GRANT, message=f"Nobody can grant anything at {self._platform.name}.")

    def classify(self, call: Call, answer: Answer, now: datetime) -> Verdict | None:
        """What an answer means that is for us alone: from a token endpoint, or whose a grant is. None for others."""
        if call.endpoint == APP_TOKEN and self._platform.app:
            return oauth.classify(self._platform.app, answer, now)
        return self._consents.classify(call, answer, now) if self._consents and self._consents.makes(call) else None

    def granted(self, account_id: str) -> bool:
        """Whether calls may be made in the name of an account."""
        return self._consents is not None and self._consents.has(account_id)

    def consent_id(self, call: Call) -> str | None:
        """The consent that authorises a call."""
        return self._consents.consent_id(call.grant) if self._consents and call.grant else None

    def refused(self, call: Call, verdict: Verdict, carried: Mapping[str, str]) -> bool:
        """Note what a verdict says of the token that the call carried; whether to ask again with a fresh one."""
        if call.grant is not None:
            return self._consents is not None and self._consents.refused(call.grant, call, verdict, carried)
        app = self._platform.app
        if verdict.reason != TOKEN_EXPIRED or app is None:
            return False
        if self._app_token and carried.get(app.header) == app.headers(self._settings, self._app_token)[app.header]:
            self._app_token = None  # else another call has renewed it meanwhile
        return True

    async def settle(self) -> None:
        """Wait for renewals of grants that are under way."""
        if self._consents:
            await self._consents.settle()

    async def _of_app(self, app: AppToken) -> str:
        """A token of the app that lives a while yet."""
        async with self._minting:
            if self._app_token is None or (self._fresh_until and self._clock.now() >= self._fresh_until):
                require(app, self._settings, self._platform.name)
                asked = await self._ask(token_call(APP_TOKEN, oauth.mint(app, self._settings)))
                now = self._clock.now()
                found = oauth.tokens(asked.answer, now, None)
                self.secrets.add(found.access)
                ends = found.expires_at
                self._app_token, self._fresh_until = found.access, ends and ends - min(LEAD, (ends - now) / 10)
            return self._app_token


def _not_eligible(platform: str, app: AppToken) -> Verdict:
    return Verdict(
        Outcome.REFUSED,
        NOT_ELIGIBLE,
        message=f"{platform} lets only those read others' accounts who are approved for it: record the approval in "
        f"ASSAY_{app.needs.upper()}, or connect the account's owner (`assay connect {platform}`) and watch the id that "
        "`assay grants` shows.",
    )
