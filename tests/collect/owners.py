"""Owners of the sandbox's accounts: they consent at its pages, which the registry names, and a grant comes of it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.sandbox.wire import Request
from ingest import watchlist
from ingest.collect.grants import Grant, Grants
from ingest.collect.oauth import challenge
from ingest.collect.platforms import REGISTRY
from tests.collect.stage import NOW, Stage, accounts, sandbox

REDIRECT = "https://assay.example/back"
VERIFIER = "v" * 50


def consent(stage: Stage, most: int | None = None) -> None:
    """Let the owners of the watched accounts that are there consent: each of them, or the first `most`."""
    watched = {one.account for one in watchlist.read(stage.settings.watchlist_path)}
    there = [row for row in accounts(stage.platform) if row["account"] in watched and not row["deleted"]]
    for row in there[:most]:
        Grants(stage.settings).put(grant(stage.platform, row["account_id"]))


def grant(platform: str, account_id: str, scopes: tuple[str, ...] = ()) -> Grant:
    """What the owner's consent gives; to all that the collector asks for, unless `scopes` says less."""
    known = REGISTRY[platform].oauth
    assert known
    app = {known.id_name: "sandbox", "redirect_uri": REDIRECT}
    scope = known.scope_separator.join(scopes or known.scopes)
    query = {**app, **known.asked, "response_type": "code", "scope": scope, "sandbox_account": account_id}
    form = app | {known.secret_name: "sandbox", "grant_type": "authorization_code"}
    if known.pkce:
        query |= {"code_challenge": challenge(VERIFIER), "code_challenge_method": "S256"}
        form |= {"code_verifier": VERIFIER}
    back = dict(_asked(platform, known.authorize_url, "GET", query).headers)["location"]
    form["code"] = parse_qs(urlsplit(back).query)["code"][0]
    found = _asked(platform, known.token_url, "POST", form).body
    if longer := known.extension:
        form = {"grant_type": longer.grant_type, longer.parameter: found["access_token"], known.secret_name: "sandbox"}
        found = _asked(platform, longer.url, longer.method, form).body
    refresh_seconds = found.get("refresh_expires_in")
    return Grant(
        platform=platform,
        account_id=account_id,
        consent_id=f"consent of {account_id}",
        scopes=scopes or known.scopes,
        access_token=found["access_token"],
        refresh_token=found.get("refresh_token"),
        expires_at=NOW + timedelta(seconds=found["expires_in"]),
        refresh_expires_at=None if refresh_seconds is None else NOW + timedelta(seconds=refresh_seconds),
        granted_at=NOW,
        changed_at=NOW,
    )


def _asked(platform: str, url: str, method: str, fields: Mapping[str, str]) -> Any:
    """The sandbox's answer to a browser or to a call of a token endpoint."""
    surface, path, text = sandbox().surfaces[platform], urlsplit(url).path, urlencode(fields)
    query, body = (text, b"") if method == "GET" else ("", text.encode())
    return surface.answer(surface.endpoint(path), Request(method, path, query, {}, "", NOW.timestamp(), body))
