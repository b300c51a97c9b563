"""OAuth 2.0 as the platforms spell it: what differs as data, and the requests and answers of token endpoints. Pure."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlencode

from ingest import __version__
from ingest.collect.outcome import CONSENT_WITHDRAWN, OK, Answer, Outcome, Verdict, by_status, retry_after
from ingest.collect.values import Unreadable, count, lenient, text
from ingest.settings import Settings

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class AppClient:
    """Our app as a platform's token endpoint knows it."""

    token_url: str
    id_setting: str
    """The field of Settings that holds the app's id."""
    secret_setting: str
    sent: Literal["body", "basic"] = "body"
    """How id and secret are sent: among the form's fields, or by HTTP Basic."""
    id_name: str = "client_id"
    secret_name: str = "client_secret"  # noqa: S105  # a parameter's name
    header: str = "Authorization"
    """The header that carries a token."""
    scheme: str = "Bearer"
    """The word before the token; empty where there is none."""
    id_header: str | None = None
    """The header that carries the app's id with every call, where one does."""
    agent: str = ""
    """How the User-Agent begins with every call, where the platform wants one of its own form."""

    def identity(self, settings: Settings) -> tuple[str, str]:
        """The app's id and secret; either is empty when it is not set."""
        return settings.credential(self.id_setting), settings.credential(self.secret_setting)

    def headers(self, settings: Settings, token: str) -> dict[str, str]:
        """What a call carries under a token."""
        carried = {self.header: f"{self.scheme} {token}".strip()}
        carried |= {self.id_header: self.identity(settings)[0]} if self.id_header else {}
        return carried | self.named(settings)

    def named(self, settings: Settings) -> dict[str, str]:
        """Who we are, as the platform wants it: `python:assay:0.1 (by /u/name)`; nothing where it does not care."""
        by = f" (by {settings.contact})" if settings.contact else ""
        return {"User-Agent": f"{self.agent}:{__version__}{by}"} if self.agent else {}

    @property
    def variables(self) -> str:
        """The settings of id and secret, for a person."""
        return f"ASSAY_{self.id_setting.upper()} and ASSAY_{self.secret_setting.upper()}"


@dataclass(frozen=True, kw_only=True)
class AppToken(AppClient):
    """How a token of the app itself is minted: the client-credentials grant."""

    form: Mapping[str, str] = field(default_factory=dict)
    """Further fields that the platform wants, such as a scope."""
    needs: str = ""
    """The setting that records why we may have such a token; while it is empty, nothing is asked under one."""


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """How one token is given for another, where it is not the standard's way."""

    grant_type: str = "refresh_token"
    parameter: str = "refresh_token"
    """The name under which the old token is sent; `access_token` where an access token renews itself."""
    url: str = ""
    """Empty: the token URL."""
    method: Literal["POST", "GET"] = "POST"
    identified: bool = True
    """Whether the app's id and secret go along."""


@dataclass(frozen=True, kw_only=True)
class OAuth(AppClient):
    """How a creator grants us access: the authorization-code grant, and the renewal of what it gives."""

    authorize_url: str
    scopes: tuple[str, ...]
    scope_separator: str = " "
    pkce: bool = True
    asked: Mapping[str, str] = field(default_factory=dict)
    """Further parameters of the authorize URL, such as `access_type=offline`."""
    loopback: str = "127.0.0.1"
    """What the platform lets this machine be called by when it sends the browser back to it (`localhost`, where an
    address of numbers is refused). Empty where it only takes https: then the address is pasted by hand."""
    whoami: str = ""
    """The address that tells, under a new grant, whose it is; empty where the token endpoint's answer does."""
    whoami_cost: int = 0
    """Units of the platform's budget that asking it costs."""
    account: tuple[str | int, ...]
    """Where in that answer the account's id is: keys and positions."""
    extension: Renewal | None = None
    """The exchange of a short-lived token for a long-lived one, right after the code's."""
    renewal: Renewal = Renewal()
    rotates: bool = False
    """Whether a renewal gives a new refresh token and ends the old one."""
    withdrawn: frozenset[str] = frozenset({"invalid_grant"})
    """Codes and messages, in lower case, by which a renewal says that the grant is no more."""
    access_seconds: int | None = 3600
    """How long an access token lives where the answer does not say; None: until it is refused."""
    lead_seconds: int = 300
    """How long before its end an access token is renewed."""
    revoke_url: str = ""
    """Where a grant is given back; empty where the creator can only do it at the platform."""
    revoke_parameter: str = "token"


@dataclass(frozen=True)
class TokenRequest:
    """One request to a token endpoint."""

    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Tokens:
    """What a token endpoint gave."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: tuple[str, ...]
    document: Mapping[str, Any] = field(repr=False)


def request(
    client: AppClient, settings: Settings, form: Mapping[str, str], *, url: str = "", method: str = "POST"
) -> TokenRequest:
    """A request with the app's id and secret as the platform wants them."""
    app_id, secret = client.identity(settings)
    headers = client.named(settings)
    if client.sent == "basic":
        pair = base64.b64encode(f"{quote(app_id, safe='')}:{quote(secret, safe='')}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
        form = {**form, client.id_name: app_id} if form.get("grant_type") != "client_credentials" else form
    else:
        form = {**form, client.id_name: app_id, client.secret_name: secret}
    return _sent(url or client.token_url, method, headers, form)


def _sent(url: str, method: str, headers: Mapping[str, str], form: Mapping[str, str]) -> TokenRequest:
    if method == "GET":
        return TokenRequest(f"{url}?{urlencode(form)}", method, headers, b"")
    return TokenRequest(url, method, {**headers, "Content-Type": FORM}, urlencode(form).encode())


def mint(app: AppToken, settings: Settings) -> TokenRequest:
    """The request for a token of the app."""
    return request(app, settings, {"grant_type": "client_credentials", **app.form})


def renew(oauth: OAuth, settings: Settings, how: Renewal, token: str) -> TokenRequest:
    """The request that gives a token for another."""
    form = {"grant_type": how.grant_type, how.parameter: token}
    if not how.identified:
        return _sent(how.url or oauth.token_url, how.method, {}, form)
    return request(oauth, settings, form, url=how.url, method=how.method)


def exchange(oauth: OAuth, settings: Settings, *, code: str, redirect: str, verifier: str | None) -> TokenRequest:
    """The request that gives tokens for a code."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
    return request(oauth, settings, form | ({"code_verifier": verifier} if verifier else {}))


def authorize(oauth: OAuth, settings: Settings, *, redirect: str, state: str, verifier: str | None) -> str:
    """The address where the creator consents."""
    asked = {
        "response_type": "code",
        oauth.id_name: oauth.identity(settings)[0],
        "redirect_uri": redirect,
        "scope": oauth.scope_separator.join(oauth.scopes),
        "state": state,
        **oauth.asked,
    }
    if verifier:
        asked |= {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
    return f"{oauth.authorize_url}?{urlencode(asked)}"


def challenge(verifier: str) -> str:
    """What PKCE (RFC 7636, S256) shows of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def classify(client: AppClient, answer: Answer, now: datetime) -> Verdict:
    """What a token endpoint's answer means. Total: never raises.

    An error may come with status 200. A grant that is no more is refused with `consent_withdrawn`; everything else that
    is refused is the app's fault, or a request's of ours.
    """
    said = _said(answer)
    found = _found(answer)
    advice = f"Check {client.variables} against the app's page at the platform, and run again."
    if answer.status == 200 and text(found.get("access_token")):
        return OK
    if answer.status in {0, 408, 425, 429} or answer.status >= 500:
        return by_status(answer, now, advice)
    if isinstance(client, OAuth) and not client.withdrawn.isdisjoint(word.lower() for word in said):
        return Verdict(Outcome.REFUSED, CONSENT_WITHDRAWN, message="The consent is no more: connect the account anew.")
    if answer.status < 400 and not said:
        return Verdict(Outcome.UNAVAILABLE, "html" if answer.is_html else "no_token")  # some proxy's; no dead letter
    reason = said[0] if said else f"http_{answer.status}"
    if reason in {"slow_down", "temporarily_unavailable", "server_error"}:
        return Verdict(Outcome.UNAVAILABLE, reason, retry_after(answer, now))
    return Verdict(Outcome.REFUSED, reason, message=advice, of_credential=True)


def _found(answer: Answer) -> Mapping[str, Any]:
    """The fields of the tokens, which some platforms wrap in `data`."""
    fields = answer.fields
    return fields if "access_token" in fields else lenient(fields.get("data"))


def _said(answer: Answer) -> list[str]:
    """The codes and words of an error, the code first."""
    fields = answer.fields
    error = fields.get("error")
    inner = lenient(error)
    parts = [error, inner.get("code"), inner.get("type"), inner.get("message"), fields.get("message"),
             fields.get("error_description"), fields.get("code")]  # fmt: skip
    return [str(part) for part in parts if isinstance(part, str | int) and part not in ("", 0)]


def tokens(answer: Answer, now: datetime, access_seconds: int | None = 3600) -> Tokens:
    """The tokens of an answer that `classify` found good. Raises Unreadable when there is none after all."""
    found = _found(answer)
    access = text(found.get("access_token"))
    if not access:
        raise Unreadable("no_token")
    lives, refresh_lives = (_lifetime(found.get(name)) for name in ("expires_in", "refresh_expires_in"))
    lives = access_seconds if lives is None else lives
    granted = found.get("scope")
    return Tokens(
        access=access,
        refresh=text(found.get("refresh_token")),
        expires_at=None if lives is None else now + timedelta(seconds=lives),
        refresh_expires_at=None if refresh_lives is None else now + timedelta(seconds=refresh_lives),
        scopes=tuple(granted) if isinstance(granted, list) else tuple((text(granted) or "").replace(",", " ").split()),
        document=found,
    )


def _lifetime(value: Any) -> int | None:
    """Seconds; None where nothing usable is said."""
    try:
        seconds = count(value)
    except Unreadable:
        return None
    return min(seconds, 10 * 365 * 86400) if seconds else None


def granted_account(oauth: OAuth, found: Any) -> str | None:
    """The id of the account that a grant is for; None where the answer does not hold it."""
    for step in oauth.account:
        if isinstance(found, dict) and isinstance(step, str):
            found = found.get(step)
        elif isinstance(found, list) and isinstance(step, int) and step < len(found):
            found = found[step]
        else:
            return None
    return str(found) if isinstance(found, str | int) and found else None
