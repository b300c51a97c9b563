"""Members of audiences without their identity: keyed hashes instead of ids.

A hash is an HMAC-SHA256 under a secret key, named by the first 8 hex digits of the key's own SHA-256. There is no
default key: without it nobody can go from a hash back to a member, and hashes under different keys never join.
"""

import hashlib
import hmac
import secrets

from ingest.errors import Misconfigured
from ingest.settings import Settings

SEPARATOR = "\x1f"


class MemberKey:
    """The secret under which members are hashed."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.key_id = hashlib.sha256(secret).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"MemberKey({self.key_id})"

    def digest(self, *parts: str) -> str:
        """The keyed hash of the parts, 64 hex digits."""
        return hmac.new(self._secret, SEPARATOR.join(parts).encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def configured(settings: Settings) -> MemberKey | None:
    """The key of the settings or of `var_dir/secrets/member_key`; None when neither is there.

    Raises Misconfigured when the file is there and unreadable or too short to be a secret.
    """
    path = settings.var_dir / "secrets" / "member_key"
    text, origin = settings.member_key.get_secret_value().strip(), "ASSAY_MEMBER_KEY"
    if not text:
        origin = str(path)
        try:
            text = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{path}: the member key cannot be read ({type(error).__name__})") from None
    if len(text) < 8:
        raise Misconfigured(
            f"{origin}: the member key is too short to be a secret; at least 8 characters, 64 are usual"
        )
    return MemberKey(text.encode())


def required(settings: Settings) -> MemberKey:
    """The configured key. Raises Misconfigured with the next step when there is none."""
    key = configured(settings)
    if key is None:
        raise Misconfigured(
            "there is no member key, and members of audiences are only ever published as hashes under one. "
            "`make up` makes one, or set ASSAY_MEMBER_KEY to a secret of your own"
        )
    return key


def throwaway() -> MemberKey:
    """A key that nobody keeps: hashes under it join with nothing."""
    return MemberKey(secrets.token_hex(32).encode())
