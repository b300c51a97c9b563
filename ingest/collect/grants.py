"""Creators' grants, kept encrypted: one file each, replaced whole, read and renewed by several processes at once.

The files lie under `var/secrets/grants` (or `ASSAY_GRANTS_DIR`), encrypted with a key that lies beside them, made once
(or `ASSAY_GRANTS_KEY`). Whoever renews a grant holds its lock, which ends with the process.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from msgspec.structs import replace

from ingest.collect.platform import Platform
from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import CONTRACT, ConsentChanged, event_id, instant
from ingest.publish import Publisher
from ingest.settings import Settings
from ingest.stack import secret

KEY = "grants_key"
POLL_SECONDS = 0.05
"""How often somebody who waits for a grant's lock looks again."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a creator granted. Its repr shows no token."""

    platform: str
    account_id: str
    consent_id: str
    scopes: tuple[str, ...]
    access_token: str
    refresh_token: str | None
    expires_at: datetime | None
    """When the access token ends; None: when it is refused."""
    refresh_expires_at: datetime | None
    granted_at: datetime
    state: Literal["active", "withdrawn", "lost"] = "active"
    """`lost`: renewed, and the answer never came: the creator must connect anew, though nothing was withdrawn."""
    changed_at: datetime
    """When it came to be in that state."""
    renewing_since: datetime | None = None
    """A renewal was begun then whose answer is not written down: a refresh token that rotates may be used up."""
    announced: bool = False
    """Retention has been told of the state."""

    def __repr__(self) -> str:
        return f"Grant({self.platform}, {self.account_id}, {self.state}, {self.consent_id})"

    def ended(self, state: Literal["withdrawn", "lost"], at: datetime) -> "Grant":
        """The grant that is no more, without its tokens."""
        return replace(
            self,
            state=state,
            changed_at=at,
            access_token="",
            refresh_token=None,
            renewing_since=None,
            announced=False,
        )

    @property
    def ends_at(self) -> datetime | None:
        """When it ends unless it is renewed before."""
        return self.refresh_expires_at if self.refresh_token else self.expires_at

    def row(self) -> dict[str, object]:
        """What may be shown of it."""
        return {
            "platform": self.platform,
            "account": self.account_id,
            "state": self.state,
            "scopes": " ".join(self.scopes),
            "granted": instant(self.granted_at),
            "ends": instant(self.ends_at) if self.ends_at and self.state == "active" else None,
            "consent_id": self.consent_id,
        }

    @property
    def secrets(self) -> set[str]:
        """Its tokens."""
        return {token for token in (self.access_token, self.refresh_token) if token}


class Grants:
    """The store of all grants."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = settings.grants_dir or settings.var_dir / "secrets" / "grants"

    @cached_property
    def _fernet(self) -> Fernet:
        """The encryption. Raises Misconfigured when the key is none."""
        key = self._settings.grants_key.get_secret_value().strip()
        try:
            return Fernet(key or secret.make_once(self._settings, KEY, secret.fernet_key()))
        except ValueError:
            origin = "ASSAY_GRANTS_KEY" if key else str(secret.path(self._settings, KEY))
            raise Misconfigured(
                f"{origin} is no key: it takes 32 bytes in URL-safe base64, as "
                '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"` makes them'
            ) from None

    def get(self, platform: str, account_id: str) -> Grant | None:
        """The grant of an account. Raises Misconfigured when its file cannot be read or is another's."""
        path = self._path(platform, account_id)
        grant = self._read(path)
        if grant and (grant.platform, grant.account_id) != (platform, account_id):
            raise Misconfigured(f"{path} holds the grant of another account. Delete it and connect the account anew")
        return grant

    def all(self, platform: str | None = None) -> list[Grant]:
        """All grants, or those of a platform, by platform and account."""
        found = [self._read(path) for path in sorted(self._directory.glob(f"{platform or '*'}/*.grant"))]
        return sorted((grant for grant in found if grant), key=lambda grant: (grant.platform, grant.account_id))

    def put(self, grant: Grant) -> None:
        """Keep a grant, in place of the one before: when this returns it is on the disk, whole."""
        path = self._path(grant.platform, grant.account_id)
        sealed = self._fernet.encrypt(msgspec.json.encode(grant))
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            number, beside = tempfile.mkstemp(dir=path.parent, prefix=path.stem)  # only its owner may read it
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(sealed)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise DependencyFailed(f"{path}: the grant cannot be kept ({error.strerror or error})") from error

    @contextlib.asynccontextmanager
    async def locked(self, platform: str, account_id: str) -> AsyncIterator[None]:
        """Hold a grant's lock, waiting for whoever has it: another task, process or machine on the same directory."""
        path = self._path(platform, account_id).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(number)

    def _path(self, platform: str, account_id: str) -> Path:
        """Account ids may hold anything, so a digest of theirs is the name."""
        return self._directory / platform / f"{hashlib.sha256(account_id.encode()).hexdigest()[:32]}.grant"

    def _read(self, path: Path) -> Grant | None:
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Misconfigured(f"{path}: the grant cannot be read ({error.strerror or error})") from error
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed), type=Grant)
        except (InvalidToken, msgspec.DecodeError):
            raise Misconfigured(
                f"{path}: the grant cannot be read under this key. Bring back the key that it was written under "
                f"(ASSAY_GRANTS_KEY or {secret.path(self._settings, KEY)}), or delete it and connect the account anew"
            ) from None


def consent_changed(grant: Grant, collector: str) -> ConsentChanged:
    """The event that tells retention of a grant's state: the same for the same state, however often it is told."""
    state: Literal["granted", "withdrawn", "lost"] = "granted" if grant.state == "active" else grant.state
    run_id = f"consent/{grant.consent_id}/{state}"
    return ConsentChanged(
        event_id=event_id(ConsentChanged, grant.platform, (grant.account_id, grant.consent_id), "", run_id),
        contract=CONTRACT,
        platform=grant.platform,  # type: ignore[arg-type]  # the registry's names are the contract's
        account_id=grant.account_id,
        consent_id=grant.consent_id,
        state=state,
        scopes=list(grant.scopes) or None,
        observed_at=instant(grant.changed_at),
        granted_at=instant(grant.granted_at),
        run_id=run_id,
        collector=collector,
    )


async def announce(settings: Settings, platform: Platform, publisher: Publisher) -> None:
    """Tell retention of every grant of a platform whose state it does not know; a crash on the way tells it again."""
    grants = Grants(settings)
    untold = [grant for grant in grants.all(platform.name) if not grant.announced] if platform.oauth else []
    publisher.publish(consent_changed(grant, platform.collector) for grant in untold)
    publisher.flush()
    for told in untold:
        async with grants.locked(told.platform, told.account_id):
            now = grants.get(told.platform, told.account_id)
            if now and (now.consent_id, now.state) == (told.consent_id, told.state):
                grants.put(replace(now, announced=True))
