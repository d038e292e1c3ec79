"""An exact order book: prices are ordered as scaled integers and leave as the exchange wrote them.

REST gives the best levels only (1,000 a side). Beyond the worst of them unknown levels may lie, so changes out there
are left out: what is held is the whole truth between its borders.
"""

from bisect import bisect_left, insort
from decimal import Decimal
from functools import lru_cache

import orjson

from websocket_streaming.ticks import Depth, Levels, Snapshot

PLACES = 16  # decimals that a price may have
MAX_LEVELS = 2000  # a side; then the worst quarter goes, and the border moves
SHALLOW = 100  # a side that is cut and holds fewer: the price went to its border, time for another snapshot

Number = float | orjson.Fragment


class BadLevel(ValueError):
    """A level that is no price and quantity. The book can't be trusted any more; take another snapshot."""


class Side:
    """One side. Keys rise towards the best level (asks negated), so that most changes are near the list's end."""

    __slots__ = ("_border", "_keys", "_levels", "_sign")

    def __init__(self, sign: int, levels: Levels, is_cut: bool) -> None:
        """`sign` is 1 for bids, -1 for asks; `is_cut` says that there may be more levels than these."""
        self._sign = sign
        self._border: int | None = None
        self._levels: dict[int, tuple[str, str]] = {}
        self._keys: list[int] = []
        self.apply(levels)
        if is_cut and self._keys:
            self._border = self._keys[0]

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def is_shallow(self) -> bool:
        """Whether the border is near."""
        return self._border is not None and len(self._keys) < SHALLOW

    @property
    def best_key(self) -> int | None:
        """The best level's price, scaled and signed."""
        return self._keys[-1] if self._keys else None

    def best(self, count: int) -> Levels:
        """Up to `count` levels, best first."""
        return [self._levels[key] for key in reversed(self._keys[-count:])] if count > 0 else []

    def apply(self, levels: Levels) -> Levels:
        """Set quantities, 0 deletes; returns what that changed, levels that left for want of room included.

        Deleting an unknown level is normal (binance-spot-api-docs, "How to manage a local order book").
        Raises BadLevel.
        """
        held, keys, border, sign = self._levels, self._keys, self._border, self._sign
        changed = []
        for level in levels:
            price, quantity = level
            key = sign * scaled(price)
            if border is not None and key < border:
                continue
            if _is_zero(quantity):
                if held.pop(key, None) is not None:
                    del keys[bisect_left(keys, key)]
                    changed.append(level)
                continue
            if key not in held:
                insort(keys, key)
            held[key] = level
            changed.append(level)
        return changed + self._shorten() if len(keys) > MAX_LEVELS else changed

    def _shorten(self) -> Levels:
        worst, self._keys = self._keys[: MAX_LEVELS // 4], self._keys[MAX_LEVELS // 4 :]
        self._border = self._keys[0]
        return [(self._levels.pop(key)[0], "0") for key in worst]


class OrderBook:
    """Bids and asks of one symbol as of an update id."""

    def __init__(self, snapshot: Snapshot, limit: int) -> None:
        """`limit` is how many levels a side were asked for: as many means that there may be more. Raises BadLevel."""
        self.update_id = snapshot.last_id
        self.bids = Side(1, snapshot.bids, len(snapshot.bids) >= limit)
        self.asks = Side(-1, snapshot.asks, len(snapshot.asks) >= limit)

    def apply(self, depth: Depth) -> tuple[Levels, Levels]:
        """Take one update; returns what changed in bids and asks. Raises BadLevel. Their order is the caller's."""
        bids, asks = self.bids.apply(depth.bids), self.asks.apply(depth.asks)
        self.update_id = depth.last_id
        return bids, asks

    @property
    def is_crossed(self) -> bool:
        """Whether somebody bids as much as is asked: never true of a real book."""
        bid, ask = self.bids.best_key, self.asks.best_key
        return bid is not None and ask is not None and bid >= -ask

    @property
    def is_shallow(self) -> bool:
        """Whether a side's border is near."""
        return self.bids.is_shallow or self.asks.is_shallow


@lru_cache(maxsize=65_536)  # prices come again and again: 0.05 µs instead of 0.6
def scaled(price: str) -> int:
    """A decimal text as an integer of 1e-16, exactly. Raises BadLevel."""
    whole, _, part = price.partition(".")
    digits = whole + part
    if not (digits.isascii() and digits.isdecimal() and whole and len(part) <= PLACES and len(whole) <= 20):
        raise BadLevel(f"not a price: {price[:40]!r}")
    return int(digits + "0" * (PLACES - len(part)))


@lru_cache(maxsize=65_536)
def number(text: str) -> Number:
    """A decimal text as a JSON number of the very same value: a float where its shortest form says the same, else
    the text itself (over 15 digits)."""
    value = float(text)
    return value if Decimal(repr(value)) == Decimal(text) else orjson.Fragment(str(Decimal(text)))


def _is_zero(quantity: str) -> bool:
    try:
        value = float(quantity)
    except ValueError:
        raise BadLevel(f"not a quantity: {quantity[:40]!r}") from None
    if not 0 <= value < 1e18:
        raise BadLevel(f"not a quantity: {quantity[:40]!r}")
    return value == 0
