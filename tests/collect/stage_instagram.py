"""Grants of the watched accounts' owners: without them nobody reads insights, nor who comments."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.sandbox.wire import Request
from ingest import watchlist
from ingest.collect.grants import Grant, Grants
from ingest.collect.platforms import REGISTRY
from tests.collect.stage import NOW, Stage, accounts, sandbox

APP = {"client_id": "sandbox", "redirect_uri": "https://assay.example/back"}


def prepare(stage: Stage) -> None:
    """Let the owner of every watched account that is there consent."""
    watched = {one.account for one in watchlist.read(stage.settings.watchlist_path)}
    for row in accounts("instagram"):
        if row["account"] in watched and not row["deleted"]:
            Grants(stage.settings).put(grant(row["account_id"]))


def asked(path: str, method: str = "GET", at: datetime = NOW, **fields: str) -> Any:
    """The sandbox's answer to a call of its token endpoints."""
    query = urlencode(fields)
    sent = ("", query.encode()) if method == "POST" else (query, b"")
    request = Request(method, path, sent[0], {}, "", at.timestamp(), sent[1])
    surface = sandbox().surfaces["instagram"]
    return surface.answer(surface.endpoint(path), request)


def grant(account_id: str) -> Grant:
    """What the owner's consent gives: a code, for it a token of an hour, for that one of sixty days."""
    scopes = REGISTRY["instagram"].oauth.scopes
    query = {"response_type": "code", "scope": ",".join(scopes), "sandbox_account": account_id}
    page = asked("/oauth/authorize", **APP, **query)
    code = parse_qs(urlsplit(dict(page.headers)["location"]).query)["code"][0]
    form = APP | {"client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    short = asked("/oauth/access_token", "POST", **form).body
    assert short["user_id"] == account_id
    exchange = {"grant_type": "ig_exchange_token", "client_secret": "sandbox", "access_token": short["access_token"]}
    found = asked("/access_token", **exchange).body
    return Grant(
        platform="instagram",
        account_id=account_id,
        consent_id=f"consent of {account_id}",
        scopes=scopes,
        access_token=found["access_token"],
        refresh_token=None,
        expires_at=NOW + timedelta(seconds=found["expires_in"]),
        refresh_expires_at=None,
        granted_at=NOW,
        changed_at=NOW,
    )
