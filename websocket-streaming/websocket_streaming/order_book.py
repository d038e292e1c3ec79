"""An exact order book: levels are kept as the texts that the exchange wrote, all prices of a side in one form.

REST gives the best levels only (1,000 a side). Beyond the worst of them unknown levels may lie, so changes out there
are left out: what is held is the whole truth between its borders.
"""

from bisect import insort
from decimal import Decimal
from functools import lru_cache
from heapq import nlargest, nsmallest
from typing import Annotated

import msgspec
import orjson

from websocket_streaming.ticks import Depth, Levels, Snapshot

PLACES = 10  # decimals that a price may have (the exchange has 8)
MOST = 1e18  # a quantity; above it is no number that anybody means
EVERYTHING = 1 << 200  # a border beyond every price
MAX_LEVELS = 2000  # a side; then the worst quarter goes, and the border moves
SHALLOW = 100  # a side that is cut and holds fewer: the price went to its border, time for another snapshot
NEAR, MANY_NEAR = 64, 256  # prices kept in order: so many after a look at all; at so many the far ones are let go
NOWHERE = {True: "~" * 40, False: ""}  # an edge that no price is better than, and none as long as: bids, asks
SAMPLE = 64  # prices that tell about where the `NEAR` best ones end

Number = float | orjson.Fragment

# Reads a whole update's quantities: 0.06 µs each, Python's `float` takes 0.19. Refuses what is no amount, and zeros.
_amounts = msgspec.json.Decoder(list[Annotated[float, msgspec.Meta(gt=0, lt=MOST)]]).decode
_DIGITS_AS_0 = bytes.maketrans(b"123456789", b"0" * 9)


class BadLevel(ValueError):
    """A level that is no price and quantity. The book can't be trusted any more; take another snapshot."""


class Side:
    """One side: quantities by price, and the best prices in order.

    All prices are in the side's own form: so many decimals, no leading zeros. So one price is one key, and of two that
    are equally long the text tells which is higher: nothing is converted. The exchange writes them so. What comes
    otherwise is rewritten, which is slower (`_rewrite`).

    In order are only the prices from `_edge` on. Among them may be some that have gone; they leave once on top.

    Recorded updates of 36 levels, best read each time: 25 µs with scaled integers as keys, a `float` a quantity and a
    heap of all prices; 15 with this. Slower than this loop: `dict.update` and set operations on whole updates (19), the
    best looked for among all prices when it goes (24), a list of those near sorted when it goes (16.5).
    """

    __slots__ = (
        "_best", "_border", "_edge", "_fence", "_form", "_held", "_is_bids", "_near", "_places", "_zero", "best_key",
    )  # fmt: skip

    def __init__(self, sign: int, levels: Levels, is_cut: bool) -> None:
        """`sign` is -1 for bids, 1 for asks; `is_cut`: there may be more levels than these. Raises BadLevel."""
        self._is_bids = sign < 0
        self._held: dict[str, str] = {}
        price, quantity = levels[0] if levels else ("", "")
        self._places = _places(price)
        self._form = _form(price)  # of prices as long as the best, b",00000.00"
        self._zero = "0." + "0" * _places(quantity) if "." in quantity else "0"  # how 0 is written here
        self._near: list[str] = []  # rising; all as long as the best
        self._edge = NOWHERE[self._is_bids]
        self._best: str | None = None
        self.best_key: int | None = None  # the best level's price, scaled; negative for bids
        self._border = EVERYTHING
        self._fence: str | None = None  # the border as a text, where prices of the form can be beyond it
        self.apply(levels)
        if is_cut and self._held:
            self._set_border(self._in_order()[-1])

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_shallow(self) -> bool:
        """Whether the border is near."""
        return self._border < EVERYTHING and len(self._held) < SHALLOW

    @property
    def is_exhausted(self) -> bool:
        """Whether the price has jumped past the border: nothing is left of what was known, and there is more."""
        return self._border < EVERYTHING and not self._held

    def best(self, count: int) -> Levels:
        """Up to `count` levels, best first."""
        held, best = self._held, self._best
        if count == 1:
            return [] if best is None else [(best, held[best])]
        return [(price, held[price]) for price in (nlargest if self._is_bids else nsmallest)(count, held, key=scaled)]

    def apply(self, levels: Levels) -> Levels:
        """Set quantities, 0 deletes; returns what that changed, levels that left for want of room included.

        Deleting an unknown level is normal (binance-spot-api-docs, "How to manage a local order book").
        Raises BadLevel.
        """
        held, zero = self._held, self._zero
        new: list[str] = []
        unknown: list[str] = []
        given: list[str] = []
        changed: Levels = []
        # As little as possible for each level. What has to be checked is gathered, and checked as one text.
        for level in levels:
            price, quantity = level
            if quantity == zero:
                if held.pop(price, None) is None:
                    unknown.append(price)
                else:
                    changed.append(level)
            else:
                if price not in held:
                    new.append(price)
                held[price] = quantity
                given.append(quantity)
                changed.append(level)
        strange = new + unknown if unknown else new
        texts = "," + ",".join(strange) if strange else ""
        try:
            is_usual = (
                # Prices, and such that no other text means the same price …
                texts.encode().translate(_DIGITS_AS_0) == self._form * len(strange)
                and (",0" not in texts or self._form[2:3] in b".")
                # … and amounts over zero.
                and len(_amounts(f"[{','.join(given)}]")) == len(given)
            )
        except ValueError:  # msgspec's, too
            is_usual = False
        if not is_usual:
            changed = self._rewrite(levels, new, unknown)
        if self._fence is not None and (outside := self._leave_out(new, self._fence)):
            changed = [level for level in changed if level[0] not in outside]
        near, edge = self._near, self._edge
        if self._is_bids:
            for price in new:
                if price > edge:
                    insort(near, price)
            while near and near[-1] not in held:
                near.pop()
            if len(near) > MANY_NEAR:
                del near[:-NEAR]
                self._edge = near[0]
            best = near[-1] if near else self._look_at_all()
        else:
            for price in new:
                if price < edge:
                    insort(near, price)
            while near and near[0] not in held:
                del near[0]
            if len(near) > MANY_NEAR:
                del near[NEAR:]
                self._edge = near[-1]
            best = near[0] if near else self._look_at_all()
        if best is not self._best:
            self._best, self.best_key = best, None if best is None else self._key(best)
        return changed + self._shorten() if len(held) > MAX_LEVELS else changed

    # -- the order

    def _look_at_all(self) -> str | None:
        """Bring about `NEAR` of the best prices in order; the best of all."""
        held, is_bids = self._held, self._is_bids
        if not held:
            return None
        length = len(self._edge)
        prices = list(held)
        sample = [price for price in prices[:: len(prices) // SAMPLE or 1] if len(price) == length]
        if not sample:
            length = max(map(len, held)) if is_bids else min(map(len, held))  # longer is higher
            prices = sample = [price for price in held if len(price) == length]
        sample.sort(reverse=is_bids)
        edge = sample[min(len(sample) * NEAR // len(prices), len(sample) - 1)]
        if is_bids:
            near = sorted([price for price in prices if price >= edge and len(price) == length])
        else:
            near = sorted([price for price in prices if price <= edge and len(price) == length])
        self._near, self._edge, self._form = near, edge, _form(edge)
        self._set_fence()
        return near[-1 if is_bids else 0]

    def _in_order(self) -> list[str]:
        """All prices, the best first."""
        return sorted(self._held, key=scaled, reverse=self._is_bids)

    def _key(self, price: str) -> int:
        return -scaled(price) if self._is_bids else scaled(price)

    # -- how far it reaches

    def _set_border(self, price: str) -> None:
        self._border = self._key(price)
        self._set_fence()

    def _set_fence(self) -> None:
        if self._border < EVERYTHING:
            border = _written(abs(self._border), self._places)
            self._fence = border if len(border) == len(self._edge) else None

    def _leave_out(self, new: list[str], fence: str) -> set[str]:
        """Drop the `new` prices beyond the border; which they were."""
        if self._is_bids:
            outside = {price for price in new if price < fence}
        else:
            outside = {price for price in new if price > fence}
        for price in outside:
            self._held.pop(price, None)
        return outside

    def _shorten(self) -> Levels:
        prices = self._in_order()
        self._set_border(prices[-MAX_LEVELS // 4 - 1])
        gone = prices[-MAX_LEVELS // 4 :]
        for price in gone:
            del self._held[price]
        return [(price, "0") for price in gone]

    # -- numbers in another form

    def _rewrite(self, levels: Levels, new: list[str], unknown: list[str]) -> Levels:
        """Take by their values what the loop took by its texts: puts right what is held and `new`; what has changed.

        Raises BadLevel.
        """
        held, strange = self._held, {*new, *unknown}
        for price in new:
            held.pop(price, None)
        new.clear()
        self._widen(strange)
        rewritten = [(_written(scaled(price), self._places), quantity) for price, quantity in levels]
        if len(dict(rewritten)) < len(levels):  # which one was last can't be told any more
            raise BadLevel("a price twice in one update, and numbers in an unusual form")
        changed = []
        for (price, quantity), level in zip(levels, rewritten, strict=True):
            is_known, amount = price not in strange, _amount(quantity)
            if not amount:
                self._zero = quantity  # the next ones are known by it
                is_known = held.pop(level[0], None) is not None or is_known
            elif not is_known:
                if self._key(level[0]) > self._border:
                    continue
                if level[0] not in held:
                    new.append(level[0])
                held[level[0]] = quantity
            if amount or is_known:
                changed.append(level)
        self._keep_to_length(new)
        return changed

    def _widen(self, prices: set[str]) -> None:
        """Give all prices held as many decimals as these need."""
        places = max([self._places, *map(_decimals, prices)])
        if places > self._places:
            self._places = places
            levels = [(_written(scaled(price), places), quantity) for price, quantity in self._held.items()]
            self._held.clear()
            self._held.update(levels)
            self._near.clear()
            self._edge = NOWHERE[self._is_bids]

    def _keep_to_length(self, new: list[str]) -> None:
        """Leave in `new` what compares with the prices in order; what is better than all of them ends that order."""
        length = len(self._edge)
        if any(len(price) > length if self._is_bids else len(price) < length for price in new):
            self._near.clear()
            self._edge = NOWHERE[self._is_bids]
        new[:] = [price for price in new if self._near and len(price) == length]


class OrderBook:
    """Bids and asks of one symbol as of an update id."""

    def __init__(self, snapshot: Snapshot, limit: int) -> None:
        """`limit` is how many levels a side were asked for: as many means that there may be more. Raises BadLevel."""
        self.update_id = snapshot.last_id
        self.bids = Side(-1, snapshot.bids, len(snapshot.bids) >= limit)
        self.asks = Side(1, snapshot.asks, len(snapshot.asks) >= limit)

    def apply(self, depth: Depth) -> tuple[Levels, Levels]:
        """Take one update; returns what changed in bids and asks. Raises BadLevel. Their order is the caller's."""
        bids, asks = self.bids.apply(depth.bids), self.asks.apply(depth.asks)
        self.update_id = depth.last_id
        return bids, asks

    @property
    def is_crossed(self) -> bool:
        """Whether somebody bids as much as is asked: never true of a real book."""
        bid, ask = self.bids.best_key, self.asks.best_key
        return bid is not None and ask is not None and -bid >= ask

    @property
    def is_sound(self) -> bool:
        """Whether it may be shown: not crossed, and no side lost beyond what is known."""
        if self.bids.best_key is None or self.asks.best_key is None:
            return not (self.bids.is_exhausted or self.asks.is_exhausted)
        return not self.is_crossed

    @property
    def is_shallow(self) -> bool:
        """Whether a side's border is near."""
        return self.bids.is_shallow or self.asks.is_shallow


@lru_cache(maxsize=65_536)  # prices come again and again
def scaled(price: str) -> int:
    """A decimal text as an integer of 1e-10, exactly. Raises BadLevel."""
    whole, _, part = price.partition(".")
    digits = whole + part
    if not (digits.isascii() and digits.isdecimal() and whole and len(part) <= PLACES and len(whole) <= 20):
        raise BadLevel(f"not a price: {price[:40]!r}")
    return int(digits + "0" * (PLACES - len(part)))


@lru_cache(maxsize=65_536)
def _written(key: int, places: int) -> str:
    """The text of a scaled price that needs no more decimals."""
    whole, part = divmod(key, 10**PLACES)
    return f"{whole}.{f'{part:0{PLACES}d}'[:places]}" if places else str(whole)


def _decimals(price: str) -> int:
    """How many a price needs. Raises BadLevel."""
    return len(f"{scaled(price) % 10**PLACES:0{PLACES}d}".rstrip("0"))


def _places(text: str) -> int:
    return len(text.partition(".")[2])


def _form(price: str) -> bytes:
    return b"," + price.encode(errors="replace").translate(_DIGITS_AS_0)


@lru_cache(maxsize=65_536)
def number(text: str) -> Number:
    """A decimal text as a JSON number of the very same value: a float where its shortest form says the same, else
    the text itself (over 15 digits)."""
    value = float(text)
    return value if Decimal(repr(value)) == Decimal(text) else orjson.Fragment(str(Decimal(text)))


def _amount(quantity: str) -> float:
    try:
        amount = float(quantity)
    except ValueError:
        amount = -1.0
    if not 0.0 <= amount < MOST:
        raise BadLevel(f"not a quantity: {quantity[:40]!r}")
    return amount
