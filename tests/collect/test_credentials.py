"""Tokens of the app: minted once, renewed in time, never shown; and what a wrong one ends."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from ingest.collect import client as client_module
from ingest.collect.call import Call, Endpoint
from ingest.collect.client import Client
from ingest.collect.oauth import AppToken
from ingest.collect.outcome import OK, TOKEN_EXPIRED, Answer, Outcome, Refused, Unavailable, Verdict, by_status
from ingest.collect.platform import Pace, Platform
from ingest.settings import load

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
THINGS = Endpoint("things", "/things")
CALL = THINGS.call("https://api.example")
SECRET = "s3cr3t-of-the-app"


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.at = START

    def now(self):
        return self.at


class Wire:
    """A platform that mints tokens and takes only the newest."""

    def __init__(self):
        self.minted, self.carried, self.lives = 0, [], 3600
        self.token_answer = None

    async def send(self, call, credential):
        await asyncio.sleep(0)
        if call.url.endswith("/token"):
            if self.token_answer:
                return self.token_answer
            form = parse_qs(call.body.decode())
            assert (form["client_id"], form["client_secret"]) == (["app"], [SECRET])
            assert form["grant_type"] == ["client_credentials"]
            assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
            self.minted += 1
            return answer(200, {"access_token": f"token{self.minted}", "expires_in": self.lives})
        self.carried.append(credential)
        if credential.get("Authorization") != f"Bearer token{self.minted}":
            return answer(401, {"message": "old"})
        return answer(200, {"ok": 1})

    async def close(self):
        pass


def answer(status, body):
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())


def classify(call, found, now):
    if found.status == 401:
        return Verdict(Outcome.REFUSED, TOKEN_EXPIRED, message="old", of_credential=True)
    return OK if found.status == 200 else by_status(found, now, "")


PLATFORM = Platform(
    name="twitch",
    collector="twitch/1",
    authorisation="app",
    endpoints=(THINGS,),
    pace=Pace(100_000, 1, 8),
    app=AppToken(
        token_url="https://id.example/token",
        id_setting="twitch_client_id",
        secret_setting="twitch_client_secret",
        id_header="Client-Id",
    ),
    normalise=str,
    resolve=lambda _: [],
    listing=lambda _, __: CALL,
    lookup=lambda _: [],
    audience=lambda _, __: [],
    classify=classify,
    parse=lambda _, __, ___: None,
    next_page=lambda _, __: None,
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wire(monkeypatch):
    wire = Wire()
    monkeypatch.setattr(client_module, "connect", lambda *_: wire)
    monkeypatch.setattr(client_module, "BACKOFF_SECONDS", 0.0)
    return wire


@pytest.fixture
def client(wire, clock):
    settings = load(
        _env_file=None, source="live", twitch_client_id="app", twitch_client_secret=SecretStr(SECRET)
    )  # fmt: skip
    return Client(settings, PLATFORM, clock, "run", ledger=None, key=None, bury=lambda _: None)


def ask(client, times=1):
    async def all_of_them():
        return await asyncio.gather(*(client.ask(CALL) for _ in range(times)))

    return asyncio.run(all_of_them())


def test_many_calls_at_once_share_one_token_of_the_app(client, wire):
    assert all(exchange.verdict is OK for exchange in ask(client, 20))
    assert wire.minted == 1
    assert wire.carried[0] == {"Authorization": "Bearer token1", "Client-Id": "app"}
    assert client.outcomes == {"ok": 21}, "the minting counts as an answer like any other"


def test_a_token_is_minted_anew_before_it_expires(client, wire, clock):
    ask(client)
    clock.at += timedelta(seconds=wire.lives - 301)
    ask(client)
    assert wire.minted == 1
    clock.at += timedelta(seconds=2)
    ask(client)
    assert wire.minted == 2


def test_a_refused_token_is_minted_anew_once_for_all_calls(client, wire):
    ask(client)
    wire.minted = 7  # the platform forgot the first token
    assert all(exchange.verdict is OK for exchange in ask(client, 10))
    assert wire.minted == 8


def test_a_fresh_token_that_is_refused_too_ends_the_calls(client, wire):
    ask(client)
    wire.send = refuse_things(wire)
    with pytest.raises(Refused, match=r"api\.example refused things \(token_expired\)"):
        ask(client)
    assert wire.minted == 2


def refuse_things(wire):
    honest = wire.send

    async def send(call, credential):
        return await honest(call, credential if call.url.endswith("/token") else {})

    return send


def test_a_wrong_secret_is_refused_with_the_settings_to_check_and_never_shown(client, wire):
    wire.token_answer = answer(400, {"error": "invalid_client", "error_description": f"no {SECRET}"})
    with pytest.raises(Refused, match="ASSAY_TWITCH_CLIENT_ID and ASSAY_TWITCH_CLIENT_SECRET") as fault:
        ask(client)
    assert SECRET not in str(fault.value)
    with pytest.raises(Refused):
        ask(client)
    assert client.outcomes == {"refused": 1}, "the first refusal is enough"
    assert client.failures()[1], "nothing more can be read"


def test_a_missing_secret_is_refused_before_anything_is_asked(wire, clock):
    client = Client(
        load(_env_file=None, source="live"), PLATFORM, clock, "r", ledger=None, key=None, bury=lambda _: None
    )
    with pytest.raises(Refused, match="set ASSAY_TWITCH_CLIENT_ID and ASSAY_TWITCH_CLIENT_SECRET"):
        ask(client)
    assert not client.outcomes


def test_a_token_endpoint_that_is_down_is_tried_again_and_then_unavailable(client, wire):
    wire.token_answer = answer(503, {})
    with pytest.raises(Unavailable, match=r"id\.example did not answer app_token"):
        ask(client)
    assert client.outcomes == {"unavailable": 5}
    assert client.failures()[1]


@pytest.mark.parametrize("body", [b"<html>", b"", b"{}", b'{"access_token": 5}', b"[1]"])
def test_an_answer_without_a_token_is_some_proxys_and_no_refusal(client, wire, body):
    wire.token_answer = Answer(200, {}, body)
    with pytest.raises(Unavailable):
        ask(client)


def test_the_sandbox_takes_its_own_word_and_a_live_platform_does_not():
    assert load(_env_file=None).credential("twitch_client_secret") == "sandbox"
    assert not load(_env_file=None, source="live").credential("twitch_client_secret")


def test_a_call_shows_neither_headers_nor_body():
    call = Call(None, "https://x.example/?token=abc", "POST", body=b"abc", headers={"Authorization": "abc"})
    assert "abc" not in repr(call)
