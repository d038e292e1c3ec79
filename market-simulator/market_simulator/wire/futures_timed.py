"""The streams with a clock of USDT-M futures: tickers, bars, mark prices, liquidations, and the all-market ones."""

from collections.abc import Callable
from functools import partial

from market_simulator.futures.market import FuturesMarket
from market_simulator.market import Window
from market_simulator.wire import futures_payloads as payloads
from market_simulator.wire.calls import Markets
from market_simulator.wire.streams import Channel, Kind
from market_simulator.wire.tickers import DAY_MS
from market_simulator.wire.timed import Builder, ChangedTickers, Frame, KlineFeed, Single, TimedFeed

Listed = Callable[[], list[FuturesMarket]]


def futures_feed(channel: Channel, market: FuturesMarket | None, markets: Markets, now_ms: int) -> TimedFeed:
    """The feed of a futures channel. `market` None: it is of all symbols."""
    if market is None:
        return _array_feed(channel, markets, now_ms)
    if channel.kind is Kind.KLINE:
        return KlineFeed(market, channel, now_ms, payloads.kline)
    if channel.kind is Kind.CONTINUOUS_KLINE:
        return KlineFeed(market, channel, now_ms, payloads.continuous_kline)
    if channel.kind is Kind.LIQUIDATION:
        return LiquidationFeed(lambda: [market], payloads.liquidation, now_ms)
    if channel.kind is Kind.MARK_PRICE:
        return Single(lambda at_ms: _mark_price(market, at_ms))
    return Single(lambda at_ms: _ticker(channel, market, at_ms)[1])


def _array_feed(channel: Channel, markets: Markets, now_ms: int) -> TimedFeed:
    def all_markets() -> list[FuturesMarket]:
        return list(markets.all().values())  # type: ignore[arg-type]  # a futures hub's markets are all perpetuals

    if channel.kind is Kind.ALL_MARK_PRICES:
        return _MarkPrices(all_markets)
    if channel.kind is Kind.ALL_LIQUIDATIONS:
        return LiquidationFeed(all_markets, payloads.any_liquidation, now_ms)
    if channel.kind is Kind.ALL_BOOK_TICKERS:
        return _BookTickers(markets)
    return ChangedTickers(markets.all(), partial(_ticker, channel), now_ms)


def _ticker(channel: Channel, market: FuturesMarket, now_ms: int) -> tuple[Window, Builder]:
    window = market.window(now_ms, DAY_MS)
    mini = channel.kind in (Kind.MINI_TICKER, Kind.ALL_MINI_TICKERS)
    return window, partial(payloads.mini_ticker if mini else payloads.ticker, market.contract, window)


def _mark_price(market: FuturesMarket, now_ms: int) -> Builder:
    return partial(payloads.mark_price, market.contract, market.figures.mark_price(now_ms))


class _MarkPrices:
    """All mark prices as one array."""

    def __init__(self, listed: Listed):
        self._listed = listed

    def beat(self, now_ms: int) -> list[Frame]:
        builders = [_mark_price(market, now_ms) for market in self._listed()]
        return [(now_ms, lambda scale: [build(scale) for build in builders])]


class _BookTickers:
    """The best prices that changed since the last beat, each a frame of its own."""

    def __init__(self, markets: Markets):
        self._markets = markets
        self._seen = {symbol: self._best_id(symbol) for symbol in markets.all()}

    def _best_id(self, symbol: str) -> int:
        self._markets.catch_up(symbol)
        return self._markets.all()[symbol].best().update_id

    def beat(self, now_ms: int) -> list[Frame]:  # noqa: ARG002  # the hub knows the time when it catches up
        frames: list[Frame] = []
        for symbol, market in self._markets.all().items():
            id = self._best_id(symbol)
            if self._seen.get(symbol) != id:
                self._seen[symbol] = id
                frames.append((id, partial(payloads.book_ticker, market.info, market.best())))  # type: ignore[arg-type]  # a futures hub's info is a contract
        return frames


class LiquidationFeed:
    """The liquidations since the last beat, each a frame of its own."""

    def __init__(self, listed: Listed, payload: Callable[..., object], now_ms: int):
        self._listed, self._payload, self._reached_ms = listed, payload, now_ms

    def beat(self, now_ms: int) -> list[Frame]:
        """Frames by time."""
        reached, self._reached_ms = self._reached_ms, now_ms
        return [
            (order.at_ms, partial(self._payload, market.contract, now_ms, order))
            for market in self._listed()
            for order in market.figures.liquidations(reached, now_ms)
        ]
