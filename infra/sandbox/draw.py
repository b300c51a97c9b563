"""Random draws that depend on nothing but their key, and ids that can be read back.

Every value of the world is drawn from a 64-bit key and an index, never from a generator's state: that is what lets a
request for one post at one moment be answered without playing the world up to it.
"""

import base64
from functools import cache, lru_cache
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SALTS = (np.arange(1, 65, dtype=np.uint64) * np.uint64(0xD6E8FEB86659FD93)).astype(np.uint64)
_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 4096) for i in range(4096)])

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]


@lru_cache(maxsize=65536)
def key(*parts: object) -> int:
    """A 64-bit key of any printable parts."""
    return int.from_bytes(blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


def mix(value: int) -> int:
    """One 64-bit word from another (the finaliser of splitmix64)."""
    value = (value + _GOLDEN) & MASK
    value = ((value ^ (value >> 30)) * _FIRST) & MASK
    value = ((value ^ (value >> 27)) * _SECOND) & MASK
    return value ^ (value >> 31)


def uniform(value: int) -> float:
    """A number in [0, 1) from a word."""
    return (mix(value) >> 11) * 2.0**-53


def words(stream: int, index: NDArray[np.int64], count: int) -> Words:
    """`count` (at most 64) independent words for each index: shape (len(index), count)."""
    state = (index.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(stream))[:, None] + _SALTS[None, :count]
    state = (state ^ (state >> np.uint64(30))) * np.uint64(_FIRST)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(_SECOND)
    state ^= state >> np.uint64(31)
    # A second round: neighbouring indices differ by a constant, which one round lets through in the low columns.
    state = (state ^ (state >> np.uint64(30))) * np.uint64(_FIRST)
    return state ^ (state >> np.uint64(29))


def uniforms(stream: int, index: NDArray[np.int64], count: int) -> Floats:
    """`count` independent numbers in [0, 1) for each index."""
    return (words(stream, index, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(share: Floats) -> Floats:
    """Standard normal deviates from numbers in [0, 1)."""
    return _QUANTILES[(share * 4096).astype(np.int64)]


def lognormal(share: Floats, median: float, sigma: float) -> Floats:
    """Log-normal values from numbers in [0, 1)."""
    return median * np.exp(sigma * normal(share))


class Codec:
    """Ids that look random and name (kind, account, index), with check bits so that made-up ids name nothing."""

    def __init__(self, seed: int, bits: int, name: str, index_bits: int = 26) -> None:
        self.bits, self.mask, self.half = bits, (1 << bits) - 1, bits // 2
        self.index_bits, self.check_bits = index_bits, bits - index_bits - 16
        self.pad = key(seed, name, "pad") & self.mask
        self.odd = (key(seed, name, "odd") | 1) & self.mask
        self.inverse = pow(self.odd, -1, 1 << bits)

    def encode(self, kind: int, account: int, index: int) -> int:
        """A number of `bits` bits (an even number). kind < 4, account < 16384, index < 2**index_bits."""
        payload = (kind << self.index_bits + 14) | (account << self.index_bits) | index
        value = (payload << self.check_bits) | (mix(payload ^ self.pad) & ((1 << self.check_bits) - 1))
        value = ((value ^ self.pad) * self.odd) & self.mask
        value ^= value >> self.half
        return (value * self.odd) & self.mask

    def decode(self, value: int) -> tuple[int, int, int] | None:
        """(kind, account, index), or None where the check bits are not right."""
        if not 0 <= value <= self.mask:
            return None
        value = (value * self.inverse) & self.mask
        value ^= value >> self.half
        value = ((value * self.inverse) & self.mask) ^ self.pad
        payload, check = value >> self.check_bits, value & ((1 << self.check_bits) - 1)
        if mix(payload ^ self.pad) & ((1 << self.check_bits) - 1) != check:
            return None
        account = payload >> self.index_bits
        return account >> 14, account & 0x3FFF, payload & ((1 << self.index_bits) - 1)


def base64url(value: int, size: int) -> str:
    """`size` bytes of a number, in URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


def from_base64url(text: str, size: int) -> int | None:
    """The number behind `base64url`, or None where the text is not one."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return (
        int.from_bytes(data, "big")
        if len(data) == size and base64url(int.from_bytes(data, "big"), size) == text
        else None
    )


@cache
def _pairs(alphabet: str) -> list[str]:
    return [first + second for first in alphabet for second in alphabet]


def base32(value: int, length: int, alphabet: str) -> str:
    """A number in `length` digits of an alphabet of 32 letters."""
    pairs = _pairs(alphabet)
    shifts = range(10 * ((length - 1) // 2), -1, -10)
    return "".join([pairs[(value >> shift) & 1023] for shift in shifts])[-length:]


def from_base32(text: str, alphabet: str) -> int | None:
    """The number behind `base32`, or None where a letter is not of the alphabet."""
    value = 0
    for letter in text:
        digit = alphabet.find(letter)
        if digit < 0:
            return None
        value = (value << 5) | digit
    return value


_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(value: int) -> str:
    """A number in digits and lower-case letters."""
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"


def from_base36(text: str) -> int | None:
    """The number behind `base36`, or None where a letter is not of the alphabet."""
    return int(text, 36) if text and len(text) < 14 and all(letter in _BASE36 for letter in text) else None
