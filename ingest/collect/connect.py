"""Walks a creator through a grant: consent in a browser, a code sent back to this machine, tokens kept for the runs."""

import asyncio
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from urllib.parse import parse_qs, urlsplit

from ingest.collect import oauth
from ingest.collect.call import Call, Endpoint
from ingest.collect.consent import require, token_call
from ingest.collect.grants import Grant, Grants, announce
from ingest.collect.interpret import scrub
from ingest.collect.oauth import OAuth, TokenRequest, Tokens
from ingest.collect.outcome import Outcome, Refused, Unavailable, Verdict
from ingest.collect.platform import Platform
from ingest.collect.platforms import REGISTRY
from ingest.collect.platforms import platform as registered
from ingest.collect.transport import Clock, Live, connect
from ingest.errors import DependencyFailed, Misconfigured
from ingest.publish import Publisher
from ingest.settings import Settings

Say = Callable[[str], None]
LINE_LIMIT = 16 * 1024
TOKEN = Endpoint("grant_token", "/", method="POST")


@dataclass(frozen=True)
class Way:
    """How the creator's answer comes back."""

    port: int = 0
    """On 127.0.0.1; 0: any that is free."""
    redirect: str = ""
    """The address registered with the app, where the platform takes none on this machine; the answer is pasted."""
    seconds: float = 300.0
    browse: Callable[[str], object] | None = None
    """Opens an address in a browser; None: a person does."""
    ask: Callable[[], str] = lambda: input("The address that the browser ended at: ")
    """Asks for a pasted address."""


def grant(
    settings: Settings, name: str, *, now: datetime, way: Way, account: str | None = None, say: Say = lambda _: None
) -> Grant:
    """Have a creator consent, and keep the grant; one of the same account before it is replaced.

    `account` is the platform's own id of the account that must be the one granted; None: whichever it is.

    Raises Misconfigured where nobody can grant anything, the app's id or secret is missing, or a redirect address is;
    Refused when consent is denied or the answer is not to our question or for another account; DependencyFailed when
    no answer comes in time or the platform fails.
    """
    platform, client = _client(settings, name)
    if not client.loopback and not way.redirect:
        raise Misconfigured(
            f"{name} sends browsers only to an https address that is registered with the app, never to this machine. "
            "Pass that address with --redirect, and paste where the browser ends"
        )
    kept = asyncio.run(Walk(settings, platform, client, Clock(now)).grant(account, way, say))
    _tell(settings, platform, say)
    return kept


@dataclass(frozen=True)
class Walk:
    """One way through a platform's pages."""

    settings: Settings
    platform: Platform
    client: OAuth
    clock: Clock

    async def grant(self, account: str | None, way: Way, say: Say) -> Grant:
        """The whole way: consent, code, tokens, whose they are, kept."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(64) if self.client.pkce else None

        def show(redirect: str) -> None:
            url = oauth.authorize(self.client, self.settings, redirect=redirect, state=state, verifier=verifier)
            if self.settings.source == "sandbox":
                parts = urlsplit(url)
                url = f"{self.settings.sandbox}{parts.path}?{parts.query}"
            say(f"Open this address and consent as the account to be granted:\n{url}")
            if way.browse:
                way.browse(url)

        if way.redirect:
            redirect = way.redirect
            show(redirect)
            try:
                query = urlsplit(way.ask().strip()).query
            except (EOFError, ValueError):
                raise Refused("no address was pasted; nothing was kept. Run again") from None
        else:
            query, redirect = await _listen(self.client.loopback, way, show)
        code = _code(query, state)
        request = oauth.exchange(self.client, self.settings, code=code, redirect=redirect, verifier=verifier)
        wire = connect(self.settings, self.clock)
        try:
            kept = await self._granted(wire, request)
        finally:
            await wire.close()
        if account and kept.account_id != account:
            raise Refused(
                f"the consent is of {kept.account_id}, not of {account}; nothing was kept. Sign in as {account}"
            )
        grants = Grants(self.settings)
        async with grants.locked(kept.platform, kept.account_id):
            grants.put(kept)
        if missing := sorted(set(self.client.scopes) - set(kept.scopes)):
            say(f"Not granted: {', '.join(missing)}. What needs it is not read")
        if kept.refresh_token is None and self.client.renewal.parameter == "refresh_token":
            say(f"{kept.platform} gave no refresh token: the grant ends with its first token")
        return kept

    async def _granted(self, wire: Live, request: TokenRequest) -> Grant:
        """The grant that a code is exchanged for."""
        first = found = await self._tokens(wire, request)
        if self.client.extension:
            request = oauth.renew(self.client, self.settings, self.client.extension, found.access)
            found = await self._tokens(wire, request)
        said = {**first.document, **found.document}
        now = self.clock.now()
        return Grant(
            platform=self.platform.name,
            account_id=await self._whose(wire, found.access, said),
            consent_id=str(uuid.uuid4()),
            scopes=found.scopes or first.scopes or self.client.scopes,
            access_token=found.access,
            refresh_token=found.refresh or first.refresh,
            expires_at=found.expires_at,
            refresh_expires_at=found.refresh_expires_at or first.refresh_expires_at,
            granted_at=now,
            changed_at=now,
        )

    async def _tokens(self, wire: Live, request: TokenRequest) -> Tokens:
        answer = await wire.send(token_call(TOKEN, request), {})
        verdict = oauth.classify(self.client, answer, self.clock.now())
        if verdict.outcome is not Outcome.OK:
            raise self._failure("gave no tokens", verdict)
        return oauth.tokens(answer, self.clock.now(), self.client.access_seconds)

    async def _whose(self, wire: Live, token: str, said: object) -> str:
        """The id of the account that consented."""
        if self.client.whoami:
            call = Call(None, self.client.whoami)
            answer = await wire.send(call, self.client.headers(self.settings, token))
            verdict = self.platform.classify(call, answer, self.clock.now())
            if verdict.outcome is not Outcome.OK:
                raise self._failure("does not say whose the grant is", verdict)
            said = answer.fields
        account_id = oauth.granted_account(self.client, said)
        if account_id is None:
            raise Refused(f"the one who consented has no account of {self.platform.name} to read; nothing was kept")
        return account_id

    async def revoke(self, account_id: str) -> tuple[Grant, bool]:
        """Give a grant back: the grant as it is now, and whether the platform was told."""
        grants = Grants(self.settings)
        async with grants.locked(self.platform.name, account_id):
            found = grants.get(self.platform.name, account_id)
            if found is None:
                known = ", ".join(one.account_id for one in grants.all(self.platform.name)) or "none"
                raise Misconfigured(f"there is no grant of {account_id!r} at {self.platform.name}; there are: {known}")
            told = bool(self.client.revoke_url and found.secrets)
            if told:
                await self._give_back(found)
            if found.state != "withdrawn":
                found = found.ended("withdrawn", self.clock.now())
                grants.put(found)
            return found, told

    async def _give_back(self, found: Grant) -> None:
        """Tell the platform; a token that it does not know any more is as good."""
        form = {self.client.revoke_parameter: found.refresh_token or found.access_token}
        wire = connect(self.settings, self.clock)
        try:
            request = oauth.request(self.client, self.settings, form, url=self.client.revoke_url)
            answer = await wire.send(token_call(TOKEN, request), {})
        finally:
            await wire.close()
        verdict = oauth.classify(self.client, answer, self.clock.now())
        if answer.status not in {200, 204, 400} or verdict.reason == "invalid_client":
            raise self._failure("did not take the grant back, and nothing was changed", verdict)

    def _failure(self, what: str, verdict: Verdict) -> DependencyFailed:
        kind = Refused if verdict.outcome is Outcome.REFUSED else Unavailable
        words = f"{self.platform.name} {what} ({verdict.reason}). {verdict.message}".strip()
        return kind(scrub(words, [self.client.identity(self.settings)[1]]), verdict.retry_at)


def revoke(
    settings: Settings, name: str, account_id: str, *, now: datetime, say: Say = lambda _: None
) -> tuple[Grant, bool]:
    """Give a grant back: at the platform where it takes it, then here. The grant as it is now, and whether it took it.

    Raises Misconfigured when there is no such grant, PlatformFailed when the platform does not take it: then nothing
    has changed.
    """
    platform, client = _client(settings, name)
    found = asyncio.run(Walk(settings, platform, client, Clock(now)).revoke(account_id))
    _tell(settings, platform, say)
    return found


def _tell(settings: Settings, platform: Platform, say: Say) -> None:
    """Tell retention at once, where Kafka can be reached."""
    try:
        with Publisher(settings) as publisher:
            asyncio.run(announce(settings, platform, publisher))
    except DependencyFailed as failure:
        say(f"Retention is told with the next run, because now it cannot be: {failure}")


def _client(settings: Settings, name: str) -> tuple[Platform, OAuth]:
    """The platform, and how its creators grant access. Raises Misconfigured where they cannot."""
    platform = registered(name)
    if platform.oauth is None:
        those = ", ".join(one for one, other in REGISTRY.items() if other.oauth) or "none"
        raise Misconfigured(f"creators grant nothing at {name}: what is read there is public. Platforms with: {those}")
    try:
        require(platform.oauth, settings, name)
    except Refused as missing:
        raise Misconfigured(str(missing)) from None
    return platform, platform.oauth


async def _listen(host: str, way: Way, show: Callable[[str], None]) -> tuple[str, str]:
    """Wait on this machine for the browser: the query that it brings back, and the address that it was sent to."""
    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await asyncio.wait_for(reader.readline(), 10)).decode("latin-1").split(" ")
            query = urlsplit(line[1]).query if len(line) == 3 and line[0] == "GET" else ""
            is_ours = not {"code", "error"}.isdisjoint(parse_qs(query))
            text = "Thank you. You can close this page and go back to the terminal." if is_ours else "Nothing is here."
            page = f"<!DOCTYPE html><title>assay</title><p>{escape(text)}</p>".encode()
            head = f"HTTP/1.1 {'200 OK' if is_ours else '404 Not Found'}\r\nContent-Type: text/html; charset=utf-8\r\n"
            writer.write(f"{head}Content-Length: {len(page)}\r\nConnection: close\r\n\r\n".encode() + page)
            await writer.drain()
            if is_ours and not came.done():
                came.set_result(query)
        except (ValueError, OSError, TimeoutError):
            pass  # some other program knocked; the browser is still to come
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, "127.0.0.1", way.port, limit=LINE_LIMIT)
    except OSError as error:
        raise Misconfigured(
            f"port {way.port} cannot be listened on ({error.strerror}). Choose another --port"
        ) from None
    async with server:
        redirect = f"http://{host}:{server.sockets[0].getsockname()[1]}/"
        show(redirect)
        try:
            return await asyncio.wait_for(came, way.seconds), redirect
        except TimeoutError:
            raise DependencyFailed(
                f"nobody came back from the platform within {way.seconds:.0f} seconds; nothing was kept. Run again"
            ) from None


def _code(query: str, state: str) -> str:
    """The code of the answer. Raises Refused for any other answer than a yes to our question."""
    found = {name: values[0] for name, values in parse_qs(query).items()}
    if not secrets.compare_digest(found.get("state", "").encode(), state.encode()):
        raise Refused(
            "the browser brought back the answer to another question (wrong state); nothing was kept. Run again"
        )
    if error := found.get("error"):
        said = f"{error}: {found['error_description']}" if "error_description" in found else error
        why = "consent was denied" if error == "access_denied" else "the platform refused the question"
        raise Refused(f"{why} ({said[:200]}); nothing was kept")
    if not found.get("code"):
        raise Refused("the address holds no code; nothing was kept. Paste the whole address that the browser ended at")
    return found["code"]
