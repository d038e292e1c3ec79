"""The figures of one perpetual, from its own market and its spot market: the parts in one place for the wire."""

from market_simulator.futures.funding import funding_rate, fundings, next_funding
from market_simulator.futures.liquidations import Liquidations
from market_simulator.futures.long_short import Crowd
from market_simulator.futures.mark_price import MarkPrices
from market_simulator.futures.market import (
    DATA_MS,
    FUNDING_MS,
    Basis,
    CrowdKind,
    Funding,
    FuturesInfo,
    Liquidation,
    LongShort,
    MarkPrice,
    OpenInterest,
    PriceKind,
    TakerVolume,
)
from market_simulator.futures.open_interest import OpenInterests
from market_simulator.futures.periods import ends
from market_simulator.klines.intervals import later_open
from market_simulator.live import EPOCH_MS
from market_simulator.market import UNIT, Kline, SymbolMarket

_AVERAGED_MINUTES = 5
_SETTLE_MINUTES = 30  # the exchange settles at the index's mean over this time


class FuturesFigures:
    """As the Protocol `Figures`. `market` is the perpetual's own, `spot` the one that its index follows."""

    def __init__(self, info: FuturesInfo, market: SymbolMarket, spot: SymbolMarket, seed: int) -> None:
        self._market, self._spot = market, spot
        self._marks = MarkPrices(market, spot)
        self._interest = OpenInterests(info, seed)
        self._crowd = Crowd(info.symbol, seed)
        self._liquidations = Liquidations(info, market, seed)

    def mark_price(self, now_ms: int) -> MarkPrice:
        """As Figures.mark_price."""
        bars = self._marks.klines("mark", now_ms, "1m", limit=_AVERAGED_MINUTES)
        average = sum(bar.close for bar in bars) // len(bars)
        halves = self._spot.klines(now_ms, "5m", limit=_SETTLE_MINUTES // 5)
        settle = sum(bar.close for bar in halves) // len(halves)
        rate = funding_rate(self._marks.premium(now_ms))
        return MarkPrice(
            now_ms, bars[-1].close, self._marks.index(now_ms), settle, average, rate, next_funding(now_ms)
        )

    def price_klines(
        self, kind: PriceKind, now_ms: int, interval: str, *, limit: int,
        start_ms: int | None = None, end_ms: int | None = None,
    ) -> list[Kline]:  # fmt: skip
        """As Figures.price_klines. Raises ValueError for an unknown interval."""
        return self._marks.klines(kind, now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms)

    def fundings(
        self, now_ms: int, *, limit: int, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Funding]:
        """As Figures.fundings; the first one is charged 8 h after the epoch."""
        return fundings(
            self._marks, now_ms, limit=limit, start_ms=start_ms, end_ms=end_ms, first_ms=EPOCH_MS + FUNDING_MS
        )

    def open_interest(self, now_ms: int) -> OpenInterest:
        """As Figures.open_interest."""
        quantity = self._interest.at(now_ms)
        return OpenInterest(now_ms, quantity, quantity * self._marks.mark(now_ms) // UNIT)

    def open_interests(
        self, now_ms: int, period: str, *, limit: int, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[OpenInterest]:
        """As Figures.open_interests. Raises ValueError for an unknown period."""
        times = _times(now_ms, period, limit, start_ms, end_ms)
        found = []
        for at_ms, price in zip(times, self._closes(self._spot, times), strict=True):
            quantity = self._interest.at(at_ms)
            found.append(OpenInterest(at_ms, quantity, quantity * price // UNIT))
        return found

    def long_shorts(
        self, kind: CrowdKind, now_ms: int, period: str, *, limit: int,
        start_ms: int | None = None, end_ms: int | None = None,
    ) -> list[LongShort]:  # fmt: skip
        """As Figures.long_shorts. Raises ValueError for an unknown period."""
        return [self._crowd.at(kind, at_ms) for at_ms in _times(now_ms, period, limit, start_ms, end_ms)]

    def taker_volumes(
        self, now_ms: int, period: str, *, limit: int, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[TakerVolume]:
        """As Figures.taker_volumes. Raises ValueError for an unknown period."""
        times = _times(now_ms - later_open(0, period), period, limit, start_ms, end_ms)
        if not times:
            return []
        bars = self._market.klines(now_ms, period, limit=len(times), start_ms=times[0])
        return [TakerVolume(bar.open_ms, bar.taker_buy_base, bar.volume - bar.taker_buy_base) for bar in bars]

    def bases(
        self, now_ms: int, period: str, *, limit: int, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Basis]:
        """As Figures.bases. Raises ValueError for an unknown period."""
        times = _times(now_ms, period, limit, start_ms, end_ms)
        closes = self._closes(self._market, times), self._closes(self._spot, times)
        return [Basis(*one) for one in zip(times, *closes, strict=True)]

    def liquidations(self, from_ms: int, to_ms: int) -> list[Liquidation]:
        """As Figures.liquidations."""
        return self._liquidations.between(from_ms, to_ms)

    @staticmethod
    def _closes(market: SymbolMarket, times: range) -> list[int]:
        """The last price before each of these times."""
        if not times:
            return []
        period = next(name for name in _PERIODS if later_open(0, name) == times.step)
        bars = market.klines(
            times[-1] - 1, period, limit=len(times), start_ms=times[0] - times.step, end_ms=times[-1] - 1
        )
        return [bar.close for bar in bars]


_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")


def _times(now_ms: int, period: str, limit: int, start_ms: int | None, end_ms: int | None) -> range:
    if period not in _PERIODS:
        raise ValueError(f"unknown period {period!r}")
    length_ms = later_open(0, period)
    first_ms = max(now_ms - DATA_MS, EPOCH_MS + length_ms)
    return ends(length_ms, now_ms, limit=limit, start_ms=start_ms, end_ms=end_ms, first_ms=first_ms)
