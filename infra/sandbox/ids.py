"""Ids of accounts, members and posts in each platform's own form, and back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.sandbox.draw import Codec, base32, base36, base64url, from_base32, from_base36, from_base64url, mix

CREATOR, MEMBER = 1, 2
"""Kinds of id: an account of the cast, and a member of its audience."""
DID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True)
class Form:
    """How a platform writes ids: a number of `bits` bits as text, and back. Made-up ids name nothing."""

    name: str
    bits: int
    write: Callable[[int], str]
    read: Callable[[str], int | None]
    index_bits: int = 26


@dataclass(frozen=True)
class Stamped:
    """Ids of posts that grow with time: milliseconds since `epoch_ms`, then 22 bits that name the account.

    With `seconds` the whole seconds stand in front of the milliseconds, each in bits of their own.
    """

    epoch_ms: int = 0
    seconds: bool = False

    def write(self, number: int, moment: float) -> str:
        """The id of what an account published at a moment."""
        millis = round(moment * 1000) - self.epoch_ms
        if self.seconds:
            millis = millis // 1000 << 10 | millis % 1000
        place = millis << 22 | number << 8
        return str(place | mix(place) & 0xFF)

    def read(self, text: str) -> tuple[int, float] | None:
        """(account's number, moment), or None where the digits name no post."""
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            return None
        value = int(text)
        if value & 0xFF != mix(value & ~0xFF) & 0xFF:
            return None
        millis = value >> 22
        if self.seconds:
            millis = (millis >> 10) * 1000 + (millis & 1023)
        return (value >> 8) & 0x3FFF, (millis + self.epoch_ms) / 1000


def moment_of(text: str, form: Stamped) -> float:
    """The moment that a growing id stands for, whoever's it is, as cursors by id need it."""
    millis = int(text) >> 22
    if form.seconds:
        millis = (millis >> 10) * 1000 + (millis & 1023)
    return (millis + form.epoch_ms) / 1000


def digits(name: str, bits: int, first: int, **more: int) -> Form:
    """Decimal digits, counted from `first`."""

    def read(text: str) -> int | None:
        return int(text) - first if text.isascii() and text.isdigit() and len(text) < 20 else None

    return Form(name, bits, lambda value: str(first + value), read, **more)


def base36_after(prefix: str, name: str, bits: int) -> Form:
    """A prefix and lower-case letters and digits."""
    return Form(
        name,
        bits,
        lambda value: prefix + base36(value),
        lambda text: from_base36(text.removeprefix(prefix)) if text.startswith(prefix) else None,
    )


def base64_after(prefix: str, name: str, size: int = 16) -> Form:
    """A prefix and URL-safe base64 of `size` bytes, the first eight of which count."""
    padded = size * 8 - 64

    def write(value: int) -> str:
        return prefix + base64url(value << padded | mix(value) & ((1 << padded) - 1), size)

    def read(text: str) -> int | None:
        value = from_base64url(text[len(prefix) :], size) if text.startswith(prefix) else None
        return None if value is None else value >> padded

    return Form(name, 64, write, read)


def _read_did(text: str) -> int | None:
    value = from_base32(text[8:], DID_ALPHABET) if text.startswith("did:plc:") and len(text) == 32 else None
    return None if value is None else value >> 56


DID = Form(
    "accounts",
    64,
    lambda value: "did:plc:" + base32(value << 56 | mix(value) >> 8, 24, DID_ALPHABET),
    _read_did,
)
X_EPOCH = round(datetime(2010, 11, 4, 1, 42, 54, 657_000, tzinfo=UTC).timestamp() * 1000)


class Ids:
    """One platform's ids over a world's seed."""

    def __init__(self, seed: int, accounts: Form, posts: Form | Stamped | None) -> None:
        self.seed, self._accounts, self._posts = seed, accounts, posts
        self._account_codec = Codec(seed, accounts.bits, accounts.name, accounts.index_bits)
        self._post_codec = Codec(seed, posts.bits, posts.name, posts.index_bits) if isinstance(posts, Form) else None

    def account(self, kind: int, number: int, index: int = 0) -> str:
        """The id of an account of the cast, or of the member `index` of its audience."""
        return self._accounts.write(self._account_codec.encode(kind, number, index))

    def read_account(self, text: str) -> tuple[int, int, int] | None:
        """(kind, account's number, member's index) of an id, or None where it names nobody."""
        value = self._accounts.read(text)
        if value is None or value < 0 or self._accounts.write(value) != text:
            return None
        return self._account_codec.decode(value)

    def post(self, number: int, index: int, moment: float) -> str:
        """The id of an account's post."""
        if isinstance(self._posts, Stamped):
            return self._posts.write(number, moment)
        if self._posts is None or self._post_codec is None:
            raise LookupError("this platform's surface writes the ids of its posts itself")
        return self._posts.write(self._post_codec.encode(CREATOR, number, index))

    def read_post(self, text: str) -> tuple[int, int | None, float | None] | None:
        """(account's number, post's index, its moment) of an id, one of the last two None; None for no post."""
        if isinstance(self._posts, Stamped):
            stamped = self._posts.read(text)
            return stamped and (stamped[0], None, stamped[1])
        if self._posts is None or self._post_codec is None:
            return None
        value = self._posts.read(text)
        found = None if value is None or value < 0 else self._post_codec.decode(value)
        return (found[1], found[2], None) if found and self._posts.write(value or 0) == text else None
