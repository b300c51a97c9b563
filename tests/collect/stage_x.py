"""What a sample of followers may cost: nothing, unless settings allow it; and grants of accounts' owners."""

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.sandbox.oauth import _challenge
from infra.sandbox.wire import Request
from ingest.collect.grants import Grant
from ingest.collect.platforms import REGISTRY
from tests.collect.stage import NOW, Stage, sandbox

REDIRECT = "https://assay.example/back"


def prepare(stage: Stage) -> None:
    """Let every sample cost eleven dollars, and a day enough for all of them."""
    stage.settings = stage.settings.model_copy(update={"x_audience_units": 1_100, "x_daily_units": 1_000_000})


def grant(account_id: str) -> Grant:
    """What the owner's consent gives."""
    oauth, scopes, verifier = sandbox().surfaces["x"].oauth, REGISTRY["x"].oauth.scopes, "v" * 50
    app = {"client_id": "sandbox", "redirect_uri": REDIRECT}
    query = app | {"response_type": "code", "scope": " ".join(scopes), "sandbox_account": account_id}
    query |= {"code_challenge": _challenge(verifier), "code_challenge_method": "S256"}
    page = oauth.authorize(Request("GET", "/i/oauth2/authorize", urlencode(query), {}, "", NOW.timestamp()))
    code = parse_qs(urlsplit(dict(page.headers)["location"]).query)["code"][0]
    form = app | {"client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    body = urlencode(form | {"code_verifier": verifier}).encode()
    found = oauth.token(Request("POST", "/2/oauth2/token", "", {}, "", NOW.timestamp(), body)).body
    return Grant(
        platform="x",
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
