"""The grant of a channel's owner: with it subscribers are listed and reports read."""

import itertools
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.sandbox.wire import Request
from ingest import watchlist
from ingest.collect.grants import Grant, Grants
from ingest.collect.platforms import REGISTRY
from tests.collect.stage import NOW, Stage, accounts, sandbox

APP = {"client_id": "sandbox", "redirect_uri": "http://127.0.0.1:1/"}


def prepare(stage: Stage) -> None:
    """Let the owner of the first watched channel that is there consent, and no other."""
    watched = {one.account for one in watchlist.read(stage.settings.watchlist_path)}
    there = (row for row in accounts("youtube") if row["account"] in watched and not row["deleted"])
    for row in itertools.islice(there, 1):
        Grants(stage.settings).put(grant(row["account_id"]))


def grant(account_id: str, scopes: tuple[str, ...] = ()) -> Grant:
    """What the owner's consent gives."""
    oauth, known = sandbox().surfaces["youtube"].owner.oauth, REGISTRY["youtube"].oauth
    assert known
    asked = APP | {"response_type": "code", "scope": " ".join(scopes or known.scopes), "access_type": "offline"}
    query = urlencode(asked | {"sandbox_account": account_id})
    page = oauth.authorize(Request("GET", "/o/oauth2/v2/auth", query, {}, "", NOW.timestamp()))
    code = parse_qs(urlsplit(dict(page.headers)["location"]).query)["code"][0]
    form = APP | {"client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    body = urlencode(form).encode()
    found = oauth.token(Request("POST", "/token", "", {}, "", NOW.timestamp(), body)).body
    return Grant(
        platform="youtube",
        account_id=account_id,
        consent_id=f"consent of {account_id}",
        scopes=scopes or known.scopes,
        access_token=found["access_token"],
        refresh_token=found["refresh_token"],
        expires_at=NOW + timedelta(seconds=found["expires_in"]),
        refresh_expires_at=None,
        granted_at=NOW,
        changed_at=NOW,
    )
