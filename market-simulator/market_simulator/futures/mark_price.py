"""Mark and index price of a perpetual, from its own trades and the spot market's.

The index has one constituent, as each of the exchange's has several: the last price of the same symbol on the simulated
spot market. The premium is the middle one (mean of the two) of (futures - index) / index at the ends of the last eight
whole hours, and holds for an hour; the mark price is the index raised by it. So a wick on futures alone doesn't move
the mark price, a move of spot does, bars follow exactly from spot's bars, and the premium at a funding time is that of
its eight hours. The middle, not the mean: just after a recorded seam the two last prices belong to different laps.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from market_simulator.futures.market import PriceKind
from market_simulator.klines.intervals import open_time
from market_simulator.market import UNIT, Kline, SymbolMarket

HOUR_MS = 3_600_000
PREMIUM_HOURS = 8
_ALL = 10**6  # more bars than any range has


class Hour(NamedTuple):
    """Prices at the end of an hour and the premium that holds from there on."""

    futures: int
    spot: int
    premium: int


def marked(index: int, premium: int) -> int:
    """The mark price for an index price."""
    return index + index * premium // UNIT


class MarkPrices:
    """Of one symbol; `spot` is its index."""

    def __init__(self, futures: SymbolMarket, spot: SymbolMarket) -> None:
        self._futures, self._spot = futures, spot

    def index(self, at_ms: int) -> int:
        """The last spot price at an instant; 0 before there was any."""
        last = self._spot.trades(at_ms, limit=1)
        return last[0].price if last else 0

    def premium(self, at_ms: int) -> int:
        """In force at an instant, in units of 1e-8."""
        end_ms = at_ms - at_ms % HOUR_MS
        return self.hours(end_ms, end_ms)[0].premium

    def mark(self, at_ms: int) -> int:
        """The mark price at an instant."""
        return marked(self.index(at_ms), self.premium(at_ms))

    def hours(self, first_end_ms: int, last_end_ms: int) -> list[Hour]:
        """The hours that end at these times and those between."""
        start_ms = first_end_ms - PREMIUM_HOURS * HOUR_MS
        futures, spot = (self._closes(market, start_ms, last_end_ms) for market in (self._futures, self._spot))
        premiums = [
            (one - other) * UNIT // other if one and other else 0 for one, other in zip(futures, spot, strict=True)
        ]
        return [
            Hour(futures[place], spot[place], _middle(premiums[place - PREMIUM_HOURS + 1 : place + 1]))
            for place in range(PREMIUM_HOURS - 1, len(premiums))
        ]

    @staticmethod
    def _closes(market: SymbolMarket, start_ms: int, end_ms: int) -> list[int]:
        """One close for each whole hour of the range; 0 where there was no market yet."""
        bars = market.klines(end_ms - 1, "1h", limit=_ALL, start_ms=start_ms, end_ms=end_ms - 1)
        return [0] * ((end_ms - start_ms) // HOUR_MS - len(bars)) + [bar.close for bar in bars]

    def klines(
        self, kind: PriceKind, now_ms: int, interval: str, *, limit: int,
        start_ms: int | None = None, end_ms: int | None = None,
    ) -> list[Kline]:  # fmt: skip
        """As FuturesMarket.price_klines. Raises ValueError for an unknown interval."""
        bars = self._spot.klines(now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms)
        if not bars:
            return []
        parts = bars
        if kind != "index" and any(bar.open_ms // HOUR_MS != bar.close_ms // HOUR_MS for bar in bars):
            parts = self._spot.klines(
                now_ms, "1h", limit=_ALL, start_ms=bars[0].open_ms, end_ms=min(now_ms, bars[-1].close_ms)
            )
        priced = self._priced(kind, parts)
        joined = (list(same) for _, same in groupby(priced, lambda part: open_time(part.open_ms, interval)))
        return [_joined(bar, inside) for bar, inside in zip(bars, joined, strict=True)]

    def _priced(self, kind: PriceKind, parts: list[Kline]) -> Iterator[Kline]:
        """Each part within one hour, but for the index. It opens at the price in force, not at its first trade."""
        start_ms = parts[0].open_ms // HOUR_MS * HOUR_MS
        hours = [] if kind == "index" else self.hours(start_ms, parts[-1].open_ms // HOUR_MS * HOUR_MS)
        opened = self.index(parts[0].open_ms - 1) or parts[0].open
        for part in parts:
            premium = hours[(part.open_ms - start_ms) // HOUR_MS].premium if hours else 0
            prices = [opened, max(opened, part.high), min(opened, part.low), part.close]
            opened = part.close
            first, high, low, last = (premium if kind == "premium" else marked(price, premium) for price in prices)
            yield Kline(part.open_ms, part.close_ms, first, high, low, last, 0, 0, 0, 0, 0, -1, -1)


def _middle(premiums: list[int]) -> int:
    ordered, half = sorted(premiums), PREMIUM_HOURS // 2
    return (ordered[half - 1] + ordered[half]) // 2


def _joined(bar: Kline, parts: list[Kline]) -> Kline:
    high, low = max(part.high for part in parts), min(part.low for part in parts)
    return Kline(bar.open_ms, bar.close_ms, parts[0].open, high, low, parts[-1].close, 0, 0, 0, 0, 0, -1, -1)
