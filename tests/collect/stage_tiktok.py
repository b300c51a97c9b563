"""An approval for the Research API, as one would record it; and grants of creators, which the Display API needs."""

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.sandbox.wire import Request
from ingest.collect.grants import Grant
from ingest.collect.platforms import REGISTRY
from tests.collect.stage import NOW, Stage, sandbox

REDIRECT = "https://assay.example/back"
APP = {"client_key": "sandbox", "redirect_uri": REDIRECT}
APPROVAL = "approval 2026-17 of the sandbox"


def prepare(stage: Stage) -> None:
    """Record the approval."""
    stage.settings = stage.settings.model_copy(update={"tiktok_research_eligibility": APPROVAL})


def grant(open_id: str, scopes: tuple[str, ...] = ()) -> Grant:
    """What a creator's consent gives."""
    oauth, known = sandbox().surfaces["tiktok"].oauth, REGISTRY["tiktok"].oauth
    assert known
    asked = APP | {"response_type": "code", "scope": ",".join(scopes or known.scopes), "sandbox_account": open_id}
    page = oauth.authorize(Request("GET", "/v2/auth/authorize/", urlencode(asked), {}, "", NOW.timestamp()))
    code = parse_qs(urlsplit(dict(page.headers)["location"]).query)["code"][0]
    form = APP | {"client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    body = urlencode(form).encode()
    found = oauth.token(Request("POST", "/v2/oauth/token/", "", {}, "", NOW.timestamp(), body)).body
    return Grant(
        platform="tiktok",
        account_id=found["open_id"],
        consent_id=f"consent of {open_id}",
        scopes=scopes or known.scopes,
        access_token=found["access_token"],
        refresh_token=found["refresh_token"],
        expires_at=NOW + timedelta(seconds=found["expires_in"]),
        refresh_expires_at=NOW + timedelta(seconds=found["refresh_expires_in"]),
        granted_at=NOW,
        changed_at=NOW,
    )
