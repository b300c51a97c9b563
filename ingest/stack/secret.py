"""Secrets of one installation: made once, one file each under `var/secrets`, mode 600, never overwritten."""

import base64
import os
import secrets
from pathlib import Path

from ingest.settings import Settings

MEMBER_KEY = "member_key"


def path(settings: Settings, name: str) -> Path:
    """Where a secret is kept."""
    return settings.var_dir / "secrets" / name


def make_once(settings: Settings, name: str, value: str) -> str:
    """The kept secret; `value` becomes it if there is none yet."""
    file = path(settings, name)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        # Whole or not at all: written beside and linked, which fails if somebody else was first.
        beside = file.with_name(f"{name}.{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
            new.write(value)
        os.link(beside, file)
    except FileExistsError:
        pass
    finally:
        beside.unlink(missing_ok=True)
    return file.read_text().strip()


def token() -> str:
    """Something that nobody guesses."""
    return secrets.token_urlsafe(24)


def fernet_key() -> str:
    """A key of Airflow's encryption: 32 random bytes, URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
