"""A made-up platform with grants: its token endpoints are the sandbox's, its API says whose a token is."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from infra.sandbox.oauth import Holder, OAuth, Rules
from infra.sandbox.wire import Request
from ingest.collect.call import Endpoint
from ingest.collect.oauth import OAuth as Client
from ingest.collect.outcome import OK, TOKEN_EXPIRED, Answer, Outcome, Verdict, by_status
from ingest.collect.platform import Pace, Platform

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
BASE = "https://api.example"
SCOPES = ("insights", "offline")
INSIGHTS = Endpoint("insights", "/insights", consent=True)


class Clock:
    """A clock that the test moves."""

    def __init__(self, at=START):
        self.at = at

    def now(self):
        return self.at


class Network:
    """The platform behind a wire of the collector's: `lose` names answers that never arrive."""

    def __init__(self, clock, **rules):
        self.clock = clock
        self.oauth = OAuth(Rules(scopes=frozenset(SCOPES), **rules), owner=lambda: "ann")
        self.asked, self.seen_by = [], []
        self.lose = 0
        self.before_token = None

    async def send(self, call, credential):
        """Answer one call."""
        await asyncio.sleep(0)
        path = call.path
        self.asked.append(path)
        headers = {name.lower(): value for name, value in {**credential, **call.headers}.items()}
        parts = call.url.partition("?")
        request = Request(call.method, path, parts[2], headers, "", self.clock.now().timestamp(), call.body)
        if path in ("/token", "/revoke"):
            if path == "/token" and self.before_token:
                await self.before_token()
            answered = (self.oauth.token if path == "/token" else self.oauth.revoke)(request)
            if path == "/token" and self.lose:
                self.lose -= 1
                return Answer(0, {"fault": "ReadError"}, b"", call.url)
            return self._answer(answered.status, answered.body, call)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        holder = self.oauth.holder(token, self.clock.now().timestamp())
        if not isinstance(holder, Holder):
            return self._answer(401, {"error": "token"}, call)
        if path == "/me":
            return self._answer(200, {"data": {"id": holder.account_id}}, call)
        if "insights" not in holder.scopes:
            return self._answer(403, {"error": "scope"}, call)
        self.seen_by.append(holder.account_id)
        return self._answer(200, {"id": holder.account_id, "watch": 7}, call)

    def _answer(self, status, body, call):
        return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode(), call.url)

    async def close(self):
        """Nothing is open."""

    def authorize(self, url, **more):
        """Where the browser is sent back to from an authorize address."""
        path, _, query = url.partition("?")
        query += "".join(f"&{name}={value}" for name, value in more.items())
        request = Request("GET", path, query, {}, "", self.clock.now().timestamp())
        answer = self.oauth.authorize(request)
        assert answer.status == 302, answer
        return dict(answer.headers)["location"]


def classify(call, answer, now):
    """The platform's own words: 401 is an old token, 403 a missing scope."""
    if answer.status == 401:
        return Verdict(Outcome.REFUSED, TOKEN_EXPIRED, message="old", of_credential=True)
    if answer.status == 403:
        return Verdict(Outcome.REFUSED, "scope", message="connect anew with all scopes", of_credential=True)
    return OK if answer.status == 200 else by_status(answer, now, "")


def parse(call, answer, observe):
    """One post of the account."""
    observe.post(answer.document["id"], "p1", state="visible", watch_seconds=float(answer.document["watch"]))


CLIENT = Client(
    token_url=f"{BASE}/token",
    id_setting="x_client_id",
    secret_setting="x_client_secret",
    authorize_url="https://www.example/authorize",
    scopes=SCOPES,
    whoami=f"{BASE}/me",
    account=("data", "id"),
    revoke_url=f"{BASE}/revoke",
)
PLATFORM = Platform(
    name="x",
    collector="x/1",
    authorisation="app",
    endpoints=(INSIGHTS,),
    pace=Pace(100_000, 1, 8),
    oauth=CLIENT,
    normalise=str,
    resolve=lambda _: [],
    listing=lambda _, __: None,
    lookup=lambda _: [],
    audience=lambda _, __: [],
    classify=classify,
    parse=parse,
    next_page=lambda _, __: None,
)


def platform(**changes):
    """The platform with other rules."""
    return replace(PLATFORM, oauth=replace(CLIENT, **changes))


def call(account="ann"):
    """A call in the name of an account."""
    return INSIGHTS.call(BASE, account_id=account, grant=account)


HOUR = timedelta(hours=1)
