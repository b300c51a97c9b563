"""OAuth as a piece that a surface configures: an authorize page that consents at once, tokens, rotation, revocation.

Tokens say for themselves whose they are and until when, on the clock that requests bring along, so that they outlive
the sandbox; only what is used up or revoked is remembered. A surface holds one `OAuth`, sends it the calls of its token
endpoints, and asks `holder` who a token belongs to:

    self.oauth = OAuth(Rules(scopes=frozenset({"read"}), rotates=True), owner=lambda: world.accounts[0].local_id)

The authorize page takes two parameters of its own: `sandbox_account` (who consents; else the owner) and
`sandbox_deny=1` (who does not).
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from infra.sandbox.wire import HTML, Answer, Headers, Request, seal, unseal

CLIENT = "sandbox"
"""The id and the secret of the one app that every platform of the sandbox knows."""
Failed = Callable[[str, str], Answer]


def standard_failure(code: str, description: str) -> Answer:
    """RFC 6749's words for a refusal."""
    status = 401 if code == "invalid_client" else 400
    return Answer(status, {"error": code, "error_description": description})


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What one platform does its own way."""

    scopes: frozenset[str] = frozenset()
    """The scopes that there are."""
    separator: str = " "
    id_name: str = "client_id"
    secret_name: str = "client_secret"  # noqa: S105  # a parameter's name
    pkce: bool = False
    """Whether a code must be asked for with a challenge."""
    rotates: bool = False
    """Whether a renewal gives a new refresh token and ends the old one."""
    offline: Callable[[Request, frozenset[str]], bool] = lambda _, __: True
    """Whether consent asked for like this comes with a refresh token."""
    exchanges: Mapping[str, str] = field(default_factory=dict)
    """Grant types that give a long-lived access token for another, and the parameter that carries that one."""
    long_seconds: int = 60 * 86_400
    """How long such a token lives."""
    access_seconds: int = 3600
    refresh_seconds: int | None = None
    code_seconds: int = 600
    prefix: str = ""
    """How access tokens begin."""
    shape: Callable[[dict[str, object], str], object] = lambda found, _: found
    """The body of an answer that gives tokens, of the standard's fields and the account's id (empty for the app)."""
    failure: Failed = standard_failure
    """The answer for one of the standard's error codes."""


@dataclass(frozen=True)
class Holder:
    """Whom a token is for."""

    kind: Literal["app", "user"]
    account_id: str
    scopes: frozenset[str]


class OAuth:
    """The token endpoints of one platform."""

    def __init__(self, rules: Rules, owner: Callable[[], str]) -> None:
        """`owner` is the account that consents when nobody says which."""
        self.rules, self._owner = rules, owner
        self._used: set[str] = set()
        """Codes, and refresh tokens that were rotated away."""
        self._revoked: set[str] = set()
        """Grants that are no more."""
        self._made = 0

    def authorize(self, request: Request) -> Answer:
        """The page where a creator consents: sends the browser back at once."""
        asked = dict(request.pairs)
        redirect = asked.get("redirect_uri", "")
        if asked.get(self.rules.id_name) != CLIENT or not urlsplit(redirect).hostname:
            return Answer(400, b"<!DOCTYPE html><title>Error 400: invalid_request</title>", content_type=HTML)
        scopes = [scope for scope in asked.get("scope", "").split(self.rules.separator) if scope]
        challenge = asked.get("code_challenge", "")
        if "sandbox_deny" in asked:
            return _back(redirect, asked, error="access_denied")
        if asked.get("response_type") != "code" or (challenge and asked.get("code_challenge_method") != "S256"):
            return _back(redirect, asked, error="invalid_request")
        if self.rules.pkce and not challenge:
            return _back(redirect, asked, error="invalid_request")
        if not scopes or not self.rules.scopes.issuperset(scopes):
            return _back(redirect, asked, error="invalid_scope")
        account = asked.get("sandbox_account") or self._owner()
        offline = int(self.rules.offline(request, frozenset(scopes)))
        number = self._number(request.now)
        ends = round(request.now) + self.rules.code_seconds
        code = seal("code", account, number, ends, offline, " ".join(scopes), challenge, _digest(redirect))
        return _back(redirect, asked, code=code)

    def token(self, request: Request) -> Answer:
        """The token endpoint: authorization_code, refresh_token, client_credentials."""
        form = self._form(request)
        if form.get("grant_type") in self.rules.exchanges:
            return self._of_access(form.get(self.rules.exchanges[form["grant_type"]], ""), request.now)
        if (form.get(self.rules.id_name), form.get(self.rules.secret_name)) != (CLIENT, CLIENT):
            return self.rules.failure("invalid_client", "The OAuth client was not found.")
        match form.get("grant_type"):
            case "authorization_code":
                return self._of_code(form, request.now)
            case "refresh_token":
                return self._of_refresh(form, request.now)
            case "client_credentials":
                ends = round(request.now) + self.rules.access_seconds
                token = self.rules.prefix + seal("app", self._number(request.now), ends)
                found = {"access_token": token, "expires_in": self.rules.access_seconds, "token_type": "bearer"}
                return Answer(200, self.rules.shape(found, ""), NOT_KEPT)
        return self.rules.failure("unsupported_grant_type", "Invalid grant_type.")

    def revoke(self, request: Request) -> Answer:
        """The end of a grant, by either of its tokens; what is none is no error (RFC 7009)."""
        token = self._form(request).get("token") or request.one("token") or ""
        for kind, count in (("user", 5), ("refresh", 5)):
            parts = unseal(token.removeprefix(self.rules.prefix), count)
            if parts and parts[0] == kind:
                self._revoked.add(parts[2])
        return Answer(200, {})

    def withdraw(self, account_id: str) -> None:
        """The creator takes every consent of theirs back, at the platform's own page."""
        self._revoked.add(f"{account_id}!")

    def holder(self, token: str, now: float) -> Holder | Literal["expired", "revoked", "unknown"]:
        """Whom an access token is for at a moment, or why it is for nobody."""
        text = token.removeprefix(self.rules.prefix)
        if (parts := unseal(text, 3)) and parts[0] == "app":
            return "expired" if now >= float(parts[2]) else Holder("app", "", frozenset())
        parts = unseal(text, 5)
        if parts is None or parts[0] != "user":
            return "unknown"
        _, account_id, number, ends, scopes = parts
        if self._is_revoked(account_id, number):
            return "revoked"
        return "expired" if now >= float(ends) else Holder("user", account_id, frozenset(scopes.split()))

    def _of_code(self, form: dict[str, str], now: float) -> Answer:
        code = form.get("code", "")
        parts = unseal(code, 8)
        if parts is None or parts[0] != "code" or code in self._used or now >= float(parts[3]):
            return self.rules.failure("invalid_grant", "Malformed auth code.")
        self._used.add(code)
        _, account_id, number, _, offline, scopes, challenge, redirect = parts
        if redirect != _digest(form.get("redirect_uri", "")):
            return self.rules.failure("redirect_uri_mismatch", "Bad Request")
        verifier = form.get("code_verifier", "")
        if challenge and challenge != _challenge(verifier):
            return self.rules.failure("invalid_grant", "Invalid code verifier.")
        self._revoked.discard(f"{account_id}!")
        refresh = self._refresh(account_id, number, scopes, now) if offline == "1" else None
        return self._tokens(account_id, number, scopes, refresh, now)

    def _of_refresh(self, form: dict[str, str], now: float) -> Answer:
        token = form.get("refresh_token", "")
        parts = unseal(token, 5)
        if parts is None or parts[0] != "refresh" or token in self._used:
            return self.rules.failure("invalid_grant", "Token has been expired or revoked.")
        _, account_id, number, ends, scopes = parts
        if self._is_revoked(account_id, number) or (ends and now >= float(ends)):
            return self.rules.failure("invalid_grant", "Token has been expired or revoked.")
        refresh = None
        if self.rules.rotates:
            self._used.add(token)
            refresh = self._refresh(account_id, number, scopes, now)
        return self._tokens(account_id, number, scopes, refresh, now)

    def _of_access(self, token: str, now: float) -> Answer:
        """A long-lived token for one that is still good."""
        parts = unseal(token.removeprefix(self.rules.prefix), 5)
        if parts is None or not isinstance(self.holder(token, now), Holder):
            return self.rules.failure("invalid_grant", "Error validating access token: it has expired or was revoked.")
        _, account_id, number, _, scopes = parts
        ends = round(now) + self.rules.long_seconds
        found: dict[str, object] = {
            "access_token": self.rules.prefix + seal("user", account_id, number, ends, scopes),
            "expires_in": self.rules.long_seconds,
            "token_type": "bearer",
        }
        return Answer(200, self.rules.shape(found, account_id), NOT_KEPT)

    def _tokens(self, account_id: str, number: str, scopes: str, refresh: str | None, now: float) -> Answer:
        ends = round(now) + self.rules.access_seconds
        found: dict[str, object] = {
            "access_token": self.rules.prefix + seal("user", account_id, number, ends, scopes),
            "expires_in": self.rules.access_seconds,
            "scope": self.rules.separator.join(scopes.split()),
            "token_type": "Bearer",
        }
        if refresh:
            found["refresh_token"] = refresh
            if self.rules.refresh_seconds:
                found["refresh_expires_in"] = self.rules.refresh_seconds
        return Answer(200, self.rules.shape(found, account_id), NOT_KEPT)

    def _refresh(self, account_id: str, number: str, scopes: str, now: float) -> str:
        """A refresh token; each is another, so that rotation can be seen."""
        ends = round(now) + self.rules.refresh_seconds if self.rules.refresh_seconds else ""
        kept = number.partition("~")[0]
        return seal("refresh", account_id, f"{kept}~{self._number(now)}", ends, scopes)

    def _is_revoked(self, account_id: str, number: str) -> bool:
        grant = number.partition("~")[0]
        return f"{account_id}!" in self._revoked or any(grant == one.partition("~")[0] for one in self._revoked)

    def _number(self, now: float) -> str:
        self._made += 1
        return f"{round(now * 1000):x}-{self._made:x}"

    def _form(self, request: Request) -> dict[str, str]:
        """The form's fields, with id and secret from HTTP Basic where they are sent so."""
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)) or dict(request.pairs)
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                app_id, _, secret = base64.b64decode(pair, validate=True).decode().partition(":")
            except ValueError:
                return form
            form |= {self.rules.id_name: unquote(app_id), self.rules.secret_name: unquote(secret)}
        return form


NOT_KEPT: Headers = (("cache-control", "no-store"),)


def _back(redirect: str, asked: dict[str, str], **found: str) -> Answer:
    """The browser, sent back to the app."""
    query = urlencode(found | ({"state": asked["state"]} if "state" in asked else {}))
    return Answer(302, b"", (("location", f"{redirect}{'&' if '?' in redirect else '?'}{query}"),), HTML)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
