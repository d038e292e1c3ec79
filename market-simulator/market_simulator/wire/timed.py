"""What the streams with a clock push: a market's state at one instant as payloads.

Each function answers the parts of one push as builders, `scale` → payload (1 ms, 1000 µs), so that a unit nobody asked
for costs nothing.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from market_simulator.market import DepthUpdate, Kline, Level, SymbolMarket, Window
from market_simulator.wire import payloads, tickers
from market_simulator.wire.streams import WINDOWS_MS, Channel, Kind

Builder = Callable[[int], Any]
AVERAGE_MS = 300_000
MAX_LATE_BARS = 1000


def single(market: SymbolMarket, channel: Channel, now_ms: int) -> Builder | None:
    """A ticker of any kind or the average price, for one symbol."""
    symbol = market.info.symbol
    if channel.kind is Kind.TICKER:
        return partial(payloads.ticker, symbol, market.window(now_ms, tickers.DAY_MS), market.best())
    if channel.kind is Kind.MINI_TICKER:
        return partial(payloads.mini_ticker, symbol, market.window(now_ms, tickers.DAY_MS))
    if channel.kind is Kind.WINDOW_TICKER:
        return partial(payloads.window_ticker, symbol, channel.interval, _rolling(market, channel.interval, now_ms))
    if channel.kind is Kind.AVG_PRICE:
        price = payloads.average_price(market.window(now_ms, AVERAGE_MS))
        last = market.trades(now_ms, limit=1)
        at_ms = last[-1].at_ms if last else now_ms
        return partial(payloads.avg_price, symbol, now_ms, price, at_ms)
    return None


class ChangedTickers:
    """An all-market array: only the symbols whose figures changed since the last push."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, ...]] = {}

    def note(self, symbol: str, window: Window) -> bool:
        """Whether the symbol's figures differ from the last that were noted."""
        figures = (window.open, window.high, window.low, window.last, window.volume, window.last_id, window.count)
        changed = self._seen.get(symbol) != figures
        self._seen[symbol] = figures
        return changed

    def push(self, markets: Iterable[SymbolMarket], channel: Channel, now_ms: int) -> Builder | None:
        """The array of this instant; None when nothing changed."""
        builders: list[Builder] = []
        for market in markets:
            symbol = market.info.symbol
            if channel.kind is Kind.ALL_MINI_TICKERS:
                window = market.window(now_ms, tickers.DAY_MS)
                builder: Builder = partial(payloads.mini_ticker, symbol, window)
            else:
                window = _rolling(market, channel.interval, now_ms)
                builder = partial(payloads.window_ticker, symbol, channel.interval, window)
            if self.note(symbol, window):
                builders.append(builder)
        return (lambda scale: [build(scale) for build in builders]) if builders else None


class KlineFeed:
    """One kline stream: at each beat the bars that ended, once each with `x: true`, then the forming one.

    Beats come `SETTLE_MS` after the full second: a trade is known up to 0.22 s after its own time (the tape's E - T),
    and a finished bar must hold all of its trades.
    """

    SETTLE_MS = 300

    def __init__(self, market: SymbolMarket, channel: Channel, now_ms: int):
        self._market, self._channel = market, channel
        bar = self._bar(now_ms)
        self._open_ms, self._close_ms = bar.open_ms, bar.close_ms

    def beat(self, now_ms: int) -> list[tuple[int, Builder]]:
        """(open time, builder) of each frame. Bars of one second come only finished."""
        frames = [] if now_ms <= self._close_ms else self._finished(now_ms)
        if self._channel.interval != "1s":
            bar = self._bar(now_ms)
            frames.append((bar.open_ms, self._build(now_ms, bar, False)))
        return frames

    def _finished(self, now_ms: int) -> list[tuple[int, Builder]]:
        channel = self._channel
        bars = self._market.klines(
            now_ms, channel.interval, limit=MAX_LATE_BARS, start_ms=self._open_ms, offset_ms=channel.offset_ms
        )
        current = self._bar(now_ms)
        self._open_ms, self._close_ms = current.open_ms, current.close_ms
        return [(bar.open_ms, self._build(now_ms, bar, True)) for bar in bars if bar.close_ms < now_ms]

    def _bar(self, now_ms: int) -> Kline:
        return self._market.kline_at(now_ms, self._channel.interval, self._channel.offset_ms)

    def _build(self, now_ms: int, bar: Kline, closed: bool) -> Builder:
        return partial(payloads.kline, self._market.info.symbol, now_ms, self._channel.interval, bar, closed)


class DepthMerger:
    """Updates of one second as one event: first `U`, last `u`, each level's newest quantity."""

    def __init__(self) -> None:
        self._first_id: int | None = None
        self._last_id = 0
        self._bids: dict[int, Level] = {}
        self._asks: dict[int, Level] = {}

    def add(self, update: DepthUpdate) -> None:
        """Take one update."""
        if self._first_id is None:
            self._first_id = update.first_id
        self._last_id = update.last_id
        self._bids.update((level[0], level) for level in update.bids)
        self._asks.update((level[0], level) for level in update.asks)

    def take(self, now_ms: int) -> DepthUpdate | None:
        """The merged event, and begin anew; None when nothing came."""
        if self._first_id is None:
            return None
        bids = tuple(sorted(self._bids.values(), reverse=True))
        asks = tuple(sorted(self._asks.values()))
        merged = DepthUpdate(self._first_id, self._last_id, now_ms, bids, asks)
        self._first_id = None
        self._bids.clear()
        self._asks.clear()
        return merged


def _rolling(market: SymbolMarket, name: str, now_ms: int) -> Window:
    return market.window(now_ms, tickers.rolling_length_ms(now_ms, WINDOWS_MS[name]))
