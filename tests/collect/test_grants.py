"""Creators' grants: walked through, kept, renewed, rotated, withdrawn, lost; never under a wrong id, never shown."""

import asyncio
import dataclasses
import os
import stat
import threading
import urllib.request
from datetime import timedelta

import pytest
from granting import BASE, HOUR, START, Clock, Network, call, platform
from msgspec.structs import replace
from pydantic import SecretStr

from infra.sandbox.wire import Answer as SandboxAnswer
from ingest.collect import client as client_module
from ingest.collect import connect as connect_module
from ingest.collect.client import Client
from ingest.collect.connect import Walk, Way
from ingest.collect.grants import Grants
from ingest.collect.oauth import Renewal, classify
from ingest.collect.outcome import OK, Answer, Refused, Unavailable
from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import load

GOOGLE = {}
X = {"rotates": True}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settings(tmp_path):
    return load(_env_file=None, var_dir=tmp_path)


@pytest.fixture
def network(monkeypatch, clock, request):
    """The platform, with the rules that the test's `rules` mark names."""
    mark = request.node.get_closest_marker("rules")
    network = Network(clock, **(mark.kwargs if mark else {}))
    monkeypatch.setattr(client_module, "connect", lambda *_: network)
    monkeypatch.setattr(connect_module, "connect", lambda *_: network)
    monkeypatch.setattr(client_module, "BACKOFF_SECONDS", 0.0)
    return network


def walk(settings, network, chosen, *, account=None, say=lambda _: None, **more):
    """Consent by pasting, as the sandbox's authorize page answers."""
    shown = []
    way = Way(redirect="https://app.example/back", ask=lambda: network.authorize(shown[-1], **more))

    def show(text):
        shown.append(text.partition("\n")[2] or text)
        say(text)

    return asyncio.run(Walk(settings, chosen, chosen.oauth, network.clock).grant(account, way, show))


def client_of(settings, chosen, clock):
    return Client(settings, chosen, clock, "run", ledger=None, key=None, bury=lambda _: None)


def ask(settings, chosen, clock, *calls):
    """The exchanges of one run."""

    async def run():
        async with client_of(settings, chosen, clock) as client:
            return await asyncio.gather(*(client.ask(one) for one in calls or (call(),)))

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("rules", [GOOGLE, X], ids=["google", "x"])


@BOTH
def test_a_walk_keeps_a_grant_that_runs_then_read_under(settings, network, clock, rules):
    network.oauth.rules = type(network.oauth.rules)(
        **{**vars(network.oauth.rules), "pkce": True, **rules}
    )  # fmt: skip
    kept = walk(settings, network, platform(**rules))
    assert (kept.account_id, kept.scopes, kept.state) == ("ann", ("insights", "offline"), "active")
    exchange, *_ = ask(settings, platform(**rules), clock)
    event = exchange.reading.posts[0]
    assert (event.account_id, event.authorisation, event.consent_id) == ("ann", "consent", kept.consent_id)


def test_the_listener_takes_the_browser_s_answer_and_nothing_else(settings, network):
    chosen = platform()

    def browser(url):
        def visit():
            address = network.authorize(url)
            base = address.partition("?")[0]
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"{base}favicon.ico", timeout=5)
            with urllib.request.urlopen(address, timeout=5) as page:
                assert b"close this page" in page.read()

        threading.Thread(target=visit).start()

    way = Way(seconds=10, browse=browser)
    kept = asyncio.run(Walk(settings, chosen, chosen.oauth, network.clock).grant(None, way, lambda _: None))
    assert Grants(settings).get("x", "ann") == kept


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sandbox_deny": "1"}, "consent was denied"),
        ({"state": "forged"}, "wrong state"),
        ({"scope": "other"}, "the platform refused the question"),
        ({"code_challenge": "forged"}, "gave no tokens|consent is no more"),
    ],
)
def test_a_walk_that_goes_wrong_keeps_nothing_and_says_why(settings, network, more, words):
    with pytest.raises(Refused, match=words):
        walk(settings, network, platform(), **more)
    assert not Grants(settings).all()


def test_nobody_coming_back_ends_the_walk(settings, network):
    chosen = platform()
    with pytest.raises(DependencyFailed, match="nobody came back"):
        asyncio.run(Walk(settings, chosen, chosen.oauth, network.clock).grant(None, Way(seconds=0.1), lambda _: None))


def test_consent_of_another_account_than_asked_for_keeps_nothing(settings, network):
    with pytest.raises(Refused, match="the consent is of bob, not of ann"):
        walk(settings, network, platform(), account="ann", sandbox_account="bob")
    assert not Grants(settings).all()


def test_what_was_not_granted_is_said(settings, network):
    said = []
    walk(settings, network, platform(), say=said.append, scope="offline")
    assert any("Not granted: insights" in text for text in said)


@BOTH
def test_a_token_is_renewed_before_it_expires_and_kept_before_it_is_used(settings, network, clock, rules):
    chosen = chosen_by(network, rules)
    first = walk(settings, network, chosen)
    clock.at += HOUR - (HOUR / 20)
    assert all(exchange.verdict is OK for exchange in ask(settings, chosen, clock, *[call()] * 8))
    assert network.asked.count("/token") == 2, "one for the code, one renewal for eight calls"
    now = Grants(settings).get("x", "ann")
    assert now.access_token != first.access_token
    assert (now.refresh_token != first.refresh_token) == bool(rules)
    assert (now.consent_id, now.renewing_since) == (first.consent_id, None)


def chosen_by(network, rules):
    """The platform under rules, on both sides."""
    network.oauth.rules = type(network.oauth.rules)(**{**vars(network.oauth.rules), **rules})
    return platform(**rules)


@BOTH
def test_two_workers_at_once_renew_only_once(settings, network, clock, rules):
    chosen = chosen_by(network, rules)
    walk(settings, network, chosen)
    clock.at += HOUR
    network.asked.clear()

    async def run():
        async with client_of(settings, chosen, clock) as one, client_of(settings, chosen, clock) as other:
            return await asyncio.gather(one.ask(call()), other.ask(call()))

    assert all(exchange.verdict is OK for exchange in asyncio.run(run()))
    assert network.asked.count("/token") == 1


def test_a_token_that_is_refused_early_is_renewed_once(settings, network, clock):
    walk(settings, network, platform())
    grants = Grants(settings)
    grants.put(replace(grants.get("x", "ann"), access_token="nonsense"))
    exchange, *_ = ask(settings, platform(), clock)
    assert exchange.verdict is OK
    assert network.asked.count("/token") == 2


@BOTH
def test_a_withdrawn_grant_is_noted_its_tokens_forgotten_and_nothing_asked_again(settings, network, clock, rules):
    chosen = chosen_by(network, rules)
    kept = walk(settings, network, chosen)
    network.oauth.withdraw("ann")
    clock.at += HOUR
    exchange, *_ = ask(settings, chosen, clock)
    assert (exchange.verdict.reason, exchange.verdict.of_credential) == ("no_grant", False)
    assert "the creator withdrew it. Run `assay connect x`" in exchange.verdict.message
    now = Grants(settings).get("x", "ann")
    assert (now.state, now.changed_at, now.announced, now.consent_id) == (
        "withdrawn", clock.at, False, kept.consent_id)  # fmt: skip
    assert not now.secrets
    network.asked.clear()
    ask(settings, chosen, clock)
    assert network.asked == []


def test_one_creator_s_withdrawal_leaves_the_others_going(settings, network, clock):
    for name in ("ann", "bob"):
        walk(settings, network, platform(), sandbox_account=name)
    network.oauth.withdraw("ann")
    clock.at += HOUR
    ann, bob = ask(settings, platform(), clock, call("ann"), call("bob"))
    assert (ann.verdict.reason, bob.verdict) == ("no_grant", OK)


def test_a_wrong_scope_is_that_grant_s_refusal_and_closes_nothing(settings, network, clock):
    walk(settings, network, platform(), scope="offline")
    walk(settings, network, platform(), sandbox_account="bob")
    ann, bob = ask(settings, platform(), clock, call("ann"), call("bob"))
    assert (ann.verdict.reason, bob.verdict) == ("scope", OK)
    assert Grants(settings).get("x", "ann").state == "active"


def test_a_swapped_token_reads_nothing_under_the_wrong_id(settings, network, clock):
    for name in ("ann", "bob"):
        walk(settings, network, platform(), sandbox_account=name)
    grants = Grants(settings)
    bob = grants.get("x", "bob")
    ann = replace(grants.get("x", "ann"), access_token=bob.access_token, refresh_token=bob.refresh_token)
    grants.put(ann)
    exchange, *_ = ask(settings, platform(), clock)
    assert (exchange.verdict.reason, exchange.reading.posts, network.seen_by) == ("other_account", [], [])


def test_a_swapped_file_is_refused(settings, network, tmp_path):
    for name in ("ann", "bob"):
        walk(settings, network, platform(), sandbox_account=name)
    one, other = sorted((tmp_path / "secrets" / "grants" / "x").glob("*.grant"))
    other.write_bytes(one.read_bytes())
    with pytest.raises(Misconfigured, match="grant of another account"):
        [Grants(settings).get("x", name) for name in ("ann", "bob")]


def test_a_crash_between_renewal_and_save_loses_nothing_where_refresh_tokens_stay(settings, network, clock):
    walk(settings, network, platform())
    crash(settings, network, clock, platform())
    exchange, *_ = ask(settings, platform(), clock)
    assert exchange.verdict is OK


def test_after_such_a_crash_a_token_used_up_is_a_loss_of_ours_and_no_withdrawal(settings, network, clock):
    chosen = chosen_by(network, X)
    walk(settings, network, chosen)
    crash(settings, network, clock, chosen)
    assert Grants(settings).get("x", "ann").renewing_since, "written down before it was asked for"
    exchange, *_ = ask(settings, chosen, clock)
    assert (exchange.verdict.reason, Grants(settings).get("x", "ann").state) == ("no_grant", "lost")


def crash(settings, network, clock, chosen):
    """The process dies after the platform renewed, before anything of it was written."""
    clock.at += HOUR
    put = Grants.put

    def dies(self, grant):
        if grant.renewing_since is None:
            raise KeyboardInterrupt
        put(self, grant)

    Grants.put = dies
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(settings, chosen, clock)
    finally:
        Grants.put = put


def test_an_answer_lost_on_the_way_is_no_withdrawal_either(settings, network, clock):
    chosen = chosen_by(network, X)
    walk(settings, network, chosen)
    clock.at += HOUR
    network.lose = 1
    ask(settings, chosen, clock)
    assert Grants(settings).get("x", "ann").state == "lost"


def test_who_cancels_a_call_does_not_cancel_the_renewal(settings, network, clock):
    chosen = chosen_by(network, X)
    first = walk(settings, network, chosen)
    clock.at += HOUR

    async def run():
        asked = asyncio.Event()

        async def held_up():
            asked.set()
            await asyncio.sleep(0.05)

        network.before_token = held_up
        async with client_of(settings, chosen, clock) as client:
            task = asyncio.create_task(client.ask(call()))
            await asked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    now = Grants(settings).get("x", "ann")
    assert (now.state, now.renewing_since) == ("active", None)
    assert now.refresh_token != first.refresh_token


def test_a_wrong_secret_of_the_app_ends_no_grant(settings, network, clock):
    chosen = chosen_by(network, X)
    walk(settings, network, chosen)
    clock.at += HOUR
    wrong = settings.model_copy(update={"x_client_secret": SecretStr("wrong")})
    with pytest.raises(Refused, match="ASSAY_X_CLIENT_ID and ASSAY_X_CLIENT_SECRET"):
        ask(wrong, chosen, clock)
    grant = Grants(settings).get("x", "ann")
    assert (grant.state, grant.renewing_since) == ("active", None)


def test_a_token_endpoint_that_is_down_ends_no_grant(settings, network, clock):
    walk(settings, network, platform())
    clock.at += HOUR
    network.lose = 99
    with pytest.raises(Unavailable):
        ask(settings, platform(), clock)
    assert Grants(settings).get("x", "ann").state == "active"


def test_a_call_without_a_grant_says_how_to_get_one_and_asks_nothing(settings, network, clock):
    exchange, *_ = ask(settings, platform(), clock)
    assert exchange.verdict.reason == "no_grant"
    assert "assay connect x" in exchange.verdict.message
    assert network.asked == []


def test_revoking_tells_the_platform_and_forgets_the_tokens(settings, network, clock):
    chosen = platform()
    kept = walk(settings, network, chosen)
    gone, told = asyncio.run(Walk(settings, chosen, chosen.oauth, clock).revoke("ann"))
    assert (gone.state, told, gone.secrets) == ("withdrawn", True, set())
    assert network.oauth.holder(kept.access_token, START.timestamp()) == "revoked"
    with pytest.raises(Misconfigured, match="there are: ann"):
        asyncio.run(Walk(settings, chosen, chosen.oauth, clock).revoke("nobody"))


def test_grants_are_encrypted_and_private_and_never_shown(settings, network, tmp_path):
    kept = walk(settings, network, platform())
    files = [path for path in (tmp_path / "secrets").rglob("*") if path.is_file()]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    sealed = b"".join(path.read_bytes() for path in files)
    shown = repr(kept) + str(kept.row())
    for token in kept.secrets:
        assert token.encode() not in sealed
        assert token not in shown


def test_a_grant_under_another_key_says_what_to_do(settings, network):
    walk(settings, network, platform())
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    with pytest.raises(Misconfigured, match="ASSAY_GRANTS_KEY"):
        Grants(settings.model_copy(update={"grants_key": SecretStr(key)})).all()
    with pytest.raises(Misconfigured, match="ASSAY_GRANTS_KEY is no key"):
        Grants(settings.model_copy(update={"grants_key": SecretStr("short")})).all()


def test_a_full_disk_is_said_and_leaves_the_grant_before(settings, network, monkeypatch):
    kept = walk(settings, network, platform())

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DependencyFailed, match="No space left"):
        Grants(settings).put(replace(kept, access_token="new"))
    assert Grants(settings).get("x", "ann") == kept


def test_a_platform_may_exchange_short_tokens_for_long_ones_that_renew_themselves(settings, network, clock):
    """Instagram's way: no refresh token, GET, and what has expired must be granted anew."""
    network.oauth.rules = dataclasses.replace(
        network.oauth.rules,
        exchanges={"ig_exchange_token": "access_token", "ig_refresh_token": "access_token"},
        offline=lambda *_: False,
    )
    url = f"{BASE}/token"
    chosen = platform(
        extension=Renewal(grant_type="ig_exchange_token", parameter="access_token", url=url, method="GET"),
        renewal=Renewal(
            grant_type="ig_refresh_token", parameter="access_token", url=url, method="GET", identified=False
        ),
        lead_seconds=7 * 86400,
    )
    first = walk(settings, network, chosen)
    assert (first.refresh_token, first.ends_at) == (None, START + timedelta(days=60))
    clock.at += timedelta(days=54)
    assert ask(settings, chosen, clock)[0].verdict is OK
    assert Grants(settings).get("x", "ann").ends_at == clock.at + timedelta(days=60)
    clock.at += timedelta(days=61)
    assert ask(settings, chosen, clock)[0].verdict.reason == "no_grant"


def test_a_platform_may_spell_it_all_otherwise(settings, network, clock):
    """TikTok's way: another name of the id, errors with status 200, the account in the token endpoint's answer."""
    network.oauth.rules = dataclasses.replace(
        network.oauth.rules,
        id_name="client_key",
        separator=",",
        rotates=True,
        refresh_seconds=86400,
        shape=lambda found, account: found | {"open_id": account},
        failure=lambda code, words: SandboxAnswer(200, {"error": code, "error_description": words, "log_id": "1"}),
    )
    chosen = platform(id_name="client_key", scope_separator=",", whoami="", account=("open_id",), rotates=True)
    kept = walk(settings, network, chosen)
    assert (kept.account_id, kept.scopes, kept.ends_at) == ("ann", ("insights", "offline"), START + timedelta(days=1))
    clock.at += HOUR
    assert ask(settings, chosen, clock)[0].verdict is OK
    network.oauth.withdraw("ann")
    clock.at += HOUR
    ask(settings, chosen, clock)
    assert Grants(settings).get("x", "ann").state == "withdrawn"


def test_a_swapped_refresh_token_is_seen_in_the_token_endpoint_s_answer(settings, network, clock):
    network.oauth.rules = dataclasses.replace(
        network.oauth.rules, shape=lambda found, account: found | {"open_id": account}
    )
    chosen = platform(whoami="", account=("open_id",))
    for name in ("ann", "bob"):
        walk(settings, network, chosen, sandbox_account=name)
    grants = Grants(settings)
    grants.put(replace(grants.get("x", "ann"), refresh_token=grants.get("x", "bob").refresh_token))
    clock.at += HOUR
    exchange, *_ = ask(settings, chosen, clock)
    assert (exchange.verdict.reason, network.seen_by) == ("other_account", [])


def test_id_and_secret_may_go_by_http_basic(settings, network, clock):
    """X's way."""
    chosen = platform(sent="basic", rotates=True)
    network.oauth.rules = dataclasses.replace(network.oauth.rules, rotates=True)
    walk(settings, network, chosen)
    clock.at += HOUR
    assert ask(settings, chosen, clock)[0].verdict is OK


@pytest.mark.parametrize(
    ("client", "status", "body", "reason"),
    [
        ({}, 400, b'{"error": "invalid_grant"}', "consent_withdrawn"),
        ({}, 401, b'{"error": "invalid_client"}', "invalid_client"),
        ({"withdrawn": frozenset({"invalid refresh token"})}, 400,
         b'{"status": 400, "message": "Invalid refresh token"}', "consent_withdrawn"),
        ({"withdrawn": frozenset({"value passed for the token was invalid."})}, 400,
         b'{"error": "invalid_request", "error_description": "Value passed for the token was invalid."}',
         "consent_withdrawn"),
        ({"withdrawn": frozenset({"190"})}, 400,
         b'{"error": {"code": 190, "message": "x", "type": "OAuthException"}}', "consent_withdrawn"),
        ({}, 401, b'{"message": "Unauthorized", "error": 401}', "401"),
        ({}, 429, b"<html>", "http_429"),
        ({}, 500, b'{"error": "invalid_grant"}', "http_500"),
    ],
)  # fmt: skip
def test_only_the_platform_s_own_words_withdraw_a_consent(client, status, body, reason):
    found = classify(platform(**client).oauth, Answer(status, {}, body), START)
    assert found.reason == reason


def test_retention_is_told_later_when_kafka_is_away(settings, network, monkeypatch):
    kept = walk(settings, network, platform())
    said = []

    def away(_):
        raise DependencyFailed("Kafka is away")

    monkeypatch.setattr(connect_module, "Publisher", away)
    connect_module._tell(settings, platform(), said.append)
    assert said == ["Retention is told with the next run, because now it cannot be: Kafka is away"]
    assert Grants(settings).get("x", "ann") == kept
    assert not kept.announced


def test_a_run_under_another_key_ends_before_anything_is_asked(settings, network, clock):
    walk(settings, network, platform())
    network.asked.clear()
    key = SecretStr("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    with pytest.raises(Misconfigured, match="Bring back the key"):
        ask(settings.model_copy(update={"grants_key": key}), platform(), clock)
    assert network.asked == []


def test_a_pasted_nothing_keeps_nothing(settings, network):
    chosen = platform(loopback="")

    def closed():
        raise EOFError

    with pytest.raises(Refused, match="no address was pasted"):
        asyncio.run(
            Walk(settings, chosen, chosen.oauth, network.clock).grant(
                None, Way(redirect="https://app.example/", ask=closed), lambda _: None
            )
        )


def test_where_this_machine_is_refused_an_address_is_asked_for(settings, monkeypatch):
    monkeypatch.setitem(connect_module.REGISTRY, "x", platform(loopback=""))
    with pytest.raises(Misconfigured, match="Pass that address with --redirect"):
        connect_module.grant(settings, "x", now=START, way=Way())
