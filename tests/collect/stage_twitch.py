"""Grants of the watched channels' owners: without them nobody lists followers."""

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.sandbox.wire import Request
from ingest import watchlist
from ingest.collect.grants import Grant, Grants
from ingest.collect.platforms import REGISTRY
from tests.collect.stage import NOW, Stage, accounts, sandbox

REDIRECT = "https://assay.example/back"
APP = {"client_id": "sandbox", "redirect_uri": REDIRECT}


def prepare(stage: Stage) -> None:
    """Let the owner of every watched channel that is there consent."""
    watched = {one.account for one in watchlist.read(stage.settings.watchlist_path)}
    for row in accounts("twitch"):
        if row["account"] in watched and not row["deleted"]:
            Grants(stage.settings).put(grant(row["account_id"]))


def grant(account_id: str) -> Grant:
    """What the owner's consent gives."""
    oauth = sandbox().surfaces["twitch"].oauth
    scopes = REGISTRY["twitch"].oauth.scopes
    asked = APP | {"response_type": "code", "scope": " ".join(scopes), "sandbox_account": account_id}
    page = oauth.authorize(Request("GET", "/oauth2/authorize", urlencode(asked), {}, "", NOW.timestamp()))
    code = parse_qs(urlsplit(dict(page.headers)["location"]).query)["code"][0]
    form = APP | {"client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    body = urlencode(form).encode()
    found = oauth.token(Request("POST", "/oauth2/token", "", {}, "", NOW.timestamp(), body)).body
    return Grant(
        platform="twitch",
        account_id=account_id,
        consent_id=f"consent of {account_id}",
        scopes=scopes,
        access_token=found["access_token"],
        refresh_token=found["refresh_token"],
        expires_at=NOW + timedelta(seconds=found["expires_in"]),
        refresh_expires_at=None,
        granted_at=NOW,
        changed_at=NOW,
    )
