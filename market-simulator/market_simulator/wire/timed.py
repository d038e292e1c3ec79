"""What the streams with a clock push: a market's state at one instant as payloads.

A feed answers each beat with its frames: pairs of an id, by which a dropped frame is known, and a builder, `scale` →
payload (1 ms, 1000 µs), so that a unit nobody asked for costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from market_simulator.market import DepthUpdate, Kline, Level, SymbolMarket, Window
from market_simulator.wire import payloads, tickers
from market_simulator.wire.calls import Markets
from market_simulator.wire.streams import WINDOWS_MS, Channel, Kind

Builder = Callable[[int], Any]
Frame = tuple[Any, Builder]
AVERAGE_MS = 300_000
MAX_LATE_BARS = 1000


class TimedFeed(Protocol):
    """One channel that is pushed by the clock."""

    def beat(self, now_ms: int) -> list[Frame]:
        """The frames of this instant."""
        ...


def spot_feed(channel: Channel, market: SymbolMarket | None, markets: Markets, now_ms: int) -> TimedFeed:
    """The feed of a spot channel. `market` None: it is of all symbols."""
    if market is None:
        return ChangedTickers(markets.all(), partial(_array_ticker, channel), now_ms)
    if channel.kind is Kind.KLINE:
        return KlineFeed(market, channel, now_ms, payloads.kline)
    return Single(partial(_single, channel, market))


class Single:
    """One frame at each beat, made of the market as it is then."""

    def __init__(self, build: Callable[[int], Builder]):
        self._build = build

    def beat(self, now_ms: int) -> list[Frame]:
        """The frame."""
        return [(now_ms, self._build(now_ms))]


def _single(channel: Channel, market: SymbolMarket, now_ms: int) -> Builder:
    info = market.info
    if channel.kind is Kind.TICKER:
        return partial(payloads.ticker, info, market.window(now_ms, tickers.DAY_MS), market.best())
    if channel.kind is Kind.MINI_TICKER:
        return partial(payloads.mini_ticker, info, market.window(now_ms, tickers.DAY_MS))
    if channel.kind is Kind.WINDOW_TICKER:
        return partial(payloads.window_ticker, info, channel.interval, _rolling(market, channel.interval, now_ms))
    price = payloads.average_price(market.window(now_ms, AVERAGE_MS))
    if channel.kind is Kind.REFERENCE_PRICE:
        return partial(payloads.reference_price, info, now_ms, price)
    last = market.trades(now_ms, limit=1)
    return partial(payloads.avg_price, info, now_ms, price, last[-1].at_ms if last else now_ms)


def _array_ticker(channel: Channel, market: SymbolMarket, now_ms: int) -> tuple[Window, Builder]:
    if channel.kind is Kind.ALL_MINI_TICKERS:
        window = market.window(now_ms, tickers.DAY_MS)
        return window, partial(payloads.mini_ticker, market.info, window)
    window = _rolling(market, channel.interval, now_ms)
    return window, partial(payloads.window_ticker, market.info, channel.interval, window)


class ChangedTickers:
    """An all-market array: only the symbols whose figures changed since the last beat, or since `now_ms`."""

    def __init__(
        self, markets: Mapping[str, SymbolMarket],
        ticker: Callable[[Any, int], tuple[Window, Builder]], now_ms: int,
    ):  # fmt: skip
        self._markets, self._ticker = markets, ticker
        self._seen: dict[str, tuple[int, ...]] = {}
        self.beat(now_ms)

    def beat(self, now_ms: int) -> list[Frame]:
        """The array; no frame when nothing changed."""
        builders: list[Builder] = []
        for symbol, market in self._markets.items():
            window, builder = self._ticker(market, now_ms)
            if self._note(symbol, window):
                builders.append(builder)
        return [(now_ms, lambda scale: [build(scale) for build in builders])] if builders else []

    def _note(self, symbol: str, window: Window) -> bool:
        """Whether the symbol's figures differ from the last that were noted."""
        figures = (window.open, window.high, window.low, window.last, window.volume, window.last_id, window.count)
        changed = self._seen.get(symbol) != figures
        self._seen[symbol] = figures
        return changed


class KlineFeed:
    """One kline stream: at each beat the bars that ended, once each with `x: true`, then the forming one.

    A bar counts as ended `SETTLE_MS` after its end, and beats come that long after the full second: a trade is known
    up to 0.22 s after its own time (the tape's E - T), and a finished bar must hold all of its trades.
    """

    SETTLE_MS = 300

    def __init__(self, market: SymbolMarket, channel: Channel, now_ms: int, payload: Callable[..., Any]):
        """`payload`: payloads.kline or one that takes the same."""
        self._market, self._channel, self._payload = market, channel, payload
        bar = self._bar(now_ms)
        self._open_ms, self._close_ms = bar.open_ms, bar.close_ms

    def beat(self, now_ms: int) -> list[Frame]:
        """Frames by open time. Bars of one second come only finished."""
        frames = self._finished(now_ms) if now_ms > self._close_ms + self.SETTLE_MS else []
        if self._channel.interval != "1s":
            bar = self._bar(min(now_ms, self._close_ms))
            frames.append((bar.open_ms, self._build(now_ms, bar, False)))
        return frames

    def _finished(self, now_ms: int) -> list[Frame]:
        channel = self._channel
        bars = self._market.klines(
            now_ms, channel.interval, limit=MAX_LATE_BARS, start_ms=self._open_ms, offset_ms=channel.offset_ms
        )
        current = self._bar(now_ms)
        self._open_ms, self._close_ms = current.open_ms, current.close_ms
        return [(bar.open_ms, self._build(now_ms, bar, True)) for bar in bars if bar.close_ms < current.open_ms]

    def _bar(self, now_ms: int) -> Kline:
        return self._market.kline_at(now_ms, self._channel.interval, self._channel.offset_ms)

    def _build(self, now_ms: int, bar: Kline, closed: bool) -> Builder:
        return partial(self._payload, self._market.info, now_ms, self._channel.interval, bar, closed)


class Span:
    """Updates since the last push as one event without levels: first `U` and `pu`, last `u` and `T`."""

    def __init__(self) -> None:
        self._first: DepthUpdate | None = None
        self._last: DepthUpdate | None = None

    def add(self, update: DepthUpdate) -> None:
        """Take one update."""
        self._first = self._first or update
        self._last = update

    def take(self, now_ms: int) -> DepthUpdate | None:
        """The event, and begin anew; None when nothing came."""
        first, last = self._first, self._last
        self._first = self._last = None
        if first is None or last is None:
            return None
        return DepthUpdate(first.first_id, last.last_id, now_ms, (), (), first.previous_id, last.at_ms)


class DepthMerger(Span):
    """The same with each level's newest quantity: what a slower diff stream carries."""

    def __init__(self) -> None:
        super().__init__()
        self._bids: dict[int, Level] = {}
        self._asks: dict[int, Level] = {}

    def add(self, update: DepthUpdate) -> None:
        super().add(update)
        self._bids.update((level[0], level) for level in update.bids)
        self._asks.update((level[0], level) for level in update.asks)

    def take(self, now_ms: int) -> DepthUpdate | None:
        span = super().take(now_ms)
        if span is None:
            return None
        merged = replace(
            span, bids=tuple(sorted(self._bids.values(), reverse=True)), asks=tuple(sorted(self._asks.values()))
        )
        self._bids.clear()
        self._asks.clear()
        return merged


def _rolling(market: SymbolMarket, name: str, now_ms: int) -> Window:
    return market.window(now_ms, tickers.rolling_length_ms(now_ms, WINDOWS_MS[name]))
