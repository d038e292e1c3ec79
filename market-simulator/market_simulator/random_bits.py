"""Random bits as a pure function of (key, counter), the same on every machine and with every numpy.

SplitMix64's finaliser over a counter (Steele, Lea, Flood 2014): integer arithmetic modulo 2^64 and nothing else, so the
bytes depend neither on a generator's stream nor on a math library. For the same reason what is built on it uses
+ - × / alone, which IEEE 754 rounds alike everywhere; exp, log and pairwise float sums differ between processors.
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Floats = NDArray[np.float64]

_MASK = 2**64 - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SQRT_3 = 1.7320508075688772


def key(*parts: object) -> int:
    """A 64-bit key for a purpose, for example key(seed, "BNBUSDT", "volume")."""
    return int.from_bytes(blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


def word(one_key: int, counter: int) -> int:
    """64 random bits."""
    bits = (one_key + counter * _GOLDEN) & _MASK
    bits = ((bits ^ (bits >> 30)) * _FIRST) & _MASK
    bits = ((bits ^ (bits >> 27)) * _SECOND) & _MASK
    return bits ^ (bits >> 31)


def words(one_key: int, counters: NDArray[np.int64]) -> Words:
    """`word` for each counter."""
    bits = counters.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(one_key)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_FIRST)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_SECOND)
    return bits ^ (bits >> np.uint64(31))


def fraction(one_word: int) -> float:
    """A number in [0, 1)."""
    return (one_word >> 11) / 2**53


def fractions(many: Words) -> Floats:
    """Numbers in [0, 1)."""
    return (many >> np.uint64(11)).astype(np.float64) / 2.0**53


def normal(one_word: int) -> float:
    """About normal, mean 0, variance 1, within ±3.47: the sum of four uniform 16-bit numbers."""
    total = sum(one_word >> shift & 0xFFFF for shift in (0, 16, 32, 48))
    return (total - 131_070) / 65_536 * _SQRT_3


def normals(many: Words) -> Floats:
    """`normal` for each word."""
    low = np.uint64(0xFFFF)
    total = sum((many >> np.uint64(shift) & low).astype(np.int64) for shift in (0, 16, 32, 48))
    return np.asarray((total - 131_070) / 65_536.0 * _SQRT_3, dtype=np.float64)


def drift(one_key: int, at_ms: int, period_ms: int) -> float:
    """A number in [-1, 1) that wanders: random at each multiple of `period_ms`, straight between them."""
    number, rest = divmod(at_ms, period_ms)
    one_key ^= period_ms
    before, after = fraction(word(one_key, number)), fraction(word(one_key, number + 1))
    return 2 * (before + (after - before) * rest / period_ms) - 1
