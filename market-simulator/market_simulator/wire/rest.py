"""Spot market-data REST calls (binance-wire.md 8.2): a query to a document, or the exchange's own error.

Pure but for the markets it asks: no Flask, no clock. `Rest.answer` is the one way in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from market_simulator.market import SymbolMarket, Trade
from market_simulator.wire import errors, tickers
from market_simulator.wire.aggregates import recent_aggregates
from market_simulator.wire.exchange_info import empty_futures_info, exchange_info
from market_simulator.wire.numbers import fixed8, quote8
from market_simulator.wire.params import Params
from market_simulator.wire.payloads import average_price, close_time, partial_depth

AVERAGE_MINUTES = 5
PERMISSIONS = ("SPOT",)  # what `permissions` may name and still find our symbols


class Markets(Protocol):
    """Where the calls find their markets."""

    def now_ms(self) -> int:
        """Simulated time."""
        ...

    def find(self, symbol: str) -> SymbolMarket | None:
        """A symbol's market; None when the exchange doesn't list it."""
        ...

    def all(self) -> Mapping[str, SymbolMarket]:
        """Every symbol's market, in the exchange's order."""
        ...

    def catch_up(self, symbol: str) -> int:
        """Advance a live book to now (its subscribers get what happened); return that instant."""
        ...


@dataclass(slots=True)
class Call:
    """One request on its way: its parameters, the time unit of its answer, the weight that it comes to."""

    params: Params
    scale: int
    weight: int


Endpoint = Callable[[Call], Any]


class Rest:
    """All calls by path. `spend` books the weight before the work is done (it may raise the exchange's 429)."""

    def __init__(self, markets: Markets):
        self._markets = markets
        self.endpoints: dict[str, tuple[int, Endpoint]] = {
            "/api/v3/ping": (1, self.ping),
            "/api/v3/time": (1, self.time),
            "/api/v3/exchangeInfo": (20, self.exchange_info),
            "/api/v3/depth": (5, self.depth),
            "/api/v3/trades": (25, self.trades),
            "/api/v3/historicalTrades": (25, self.historical_trades),
            "/api/v3/aggTrades": (4, self.agg_trades),
            "/api/v3/klines": (2, self.klines),
            "/api/v3/uiKlines": (2, self.klines),
            "/api/v3/avgPrice": (2, self.avg_price),
            "/api/v3/ticker/24hr": (2, self.ticker_24hr),
            "/api/v3/ticker/tradingDay": (4, self.ticker_trading_day),
            "/api/v3/ticker/price": (2, self.ticker_price),
            "/api/v3/ticker/bookTicker": (2, self.ticker_book),
            "/api/v3/ticker": (4, self.ticker_window),
            "/fapi/v1/exchangeInfo": (1, self.futures_exchange_info),
            "/dapi/v1/exchangeInfo": (1, self.futures_exchange_info),
        }

    def answer(self, path: str, query: str, time_unit: str | None, spend: Callable[[int], None]) -> Any:
        """The document for one GET. Raises ExchangeError; a refused call has cost its basic weight."""
        if path not in self.endpoints:
            spend(1)
            raise errors.unsupported()
        weight, endpoint = self.endpoints[path]
        call = None
        try:
            call = Call(Params(query), _scale(time_unit), weight)
            work = endpoint(call)
        finally:
            spend(call.weight if call is not None else weight)
        return work() if callable(work) else work

    def ping(self, call: Call) -> Any:
        call.params.finish()
        return {}

    def time(self, call: Call) -> Any:
        call.params.finish()
        return {"serverTime": self._markets.now_ms() * call.scale}

    def exchange_info(self, call: Call) -> Any:
        params = call.params
        symbol, symbols, permissions = params.text("symbol"), params.symbols(), params.text("permissions")
        status = params.status()
        show = params.choice("showPermissionSets", ("true", "false"), errors.invalid("showPermissionSets")) != "false"
        params.finish()
        if sum(value is not None for value in (symbol, symbols, permissions, status)) > 1:
            raise errors.bad_combination()
        if symbol is not None:
            chosen = [self._listed(symbol).info]
        elif symbols is not None:
            chosen = [self._listed(name).info for name in symbols]
        else:
            chosen = [market.info for market in self._markets.all().values()]
        hidden = permissions is not None and not any(name in permissions for name in PERMISSIONS)
        if hidden or status not in (None, "TRADING"):
            chosen = []
        return lambda: exchange_info(self._markets.now_ms(), chosen, show, call.scale)

    def futures_exchange_info(self, call: Call) -> Any:
        call.params.finish()
        return empty_futures_info(self._markets.now_ms())

    def depth(self, call: Call) -> Any:
        params = call.params
        symbol, limit, status = params.symbol(), params.limit(100, 5000), params.status()
        params.finish()
        market = self._trading(symbol, status)
        call.weight = next(weight for most, weight in ((100, 5), (500, 25), (1000, 50), (5000, 250)) if limit <= most)

        def work() -> Any:
            self._markets.catch_up(symbol)
            return partial_depth(market.book(), limit)

        return work

    def trades(self, call: Call) -> Any:
        params = call.params
        symbol, limit = params.symbol(), params.limit(500, 1000)
        params.finish()
        market = self._listed(symbol)
        return lambda: [_trade(trade, call.scale) for trade in market.trades(self._markets.now_ms(), limit=limit)]

    def historical_trades(self, call: Call) -> Any:
        params = call.params
        symbol, limit, from_id = params.symbol(), params.limit(500, 1000), params.number("fromId")
        params.finish()
        market = self._listed(symbol)
        return lambda: [
            _trade(trade, call.scale)
            for trade in market.trades(self._markets.now_ms(), limit=limit, from_id=from_id)
        ]

    def agg_trades(self, call: Call) -> Any:
        params = call.params
        symbol, limit, from_id = params.symbol(), params.limit(500, 1000), params.number("fromId")
        start, end = params.moment_ms("startTime"), params.moment_ms("endTime")
        params.finish()
        market = self._listed(symbol)
        if from_id is not None and (start is not None or end is not None):
            raise errors.bad_combination()

        def work() -> Any:
            groups = recent_aggregates(
                market, self._markets.now_ms(), limit=limit, from_id=from_id, start_ms=start, end_ms=end
            )
            return [
                {
                    "a": group.first.id, "p": fixed8(group.first.price), "q": fixed8(group.quantity),
                    "f": group.first.id, "l": group.last.id, "T": group.first.at_ms * call.scale,
                    "m": group.first.buyer_is_maker, "M": True,
                }
                for group in groups
            ]  # fmt: skip

        return work

    def klines(self, call: Call) -> Any:
        params = call.params
        symbol, interval, limit = params.symbol(), params.interval(), params.limit(500, 1000)
        start, end, offset = params.moment_ms("startTime"), params.moment_ms("endTime"), params.offset_ms()
        params.finish()
        market, scale = self._listed(symbol), call.scale

        def work() -> Any:
            bars = market.klines(
                self._markets.now_ms(), interval, limit=limit, start_ms=start, end_ms=end, offset_ms=offset
            )
            return [
                [
                    bar.open_ms * scale, fixed8(bar.open), fixed8(bar.high), fixed8(bar.low), fixed8(bar.close),
                    fixed8(bar.volume), close_time(bar.close_ms, scale), quote8(bar.quote_volume), bar.trades,
                    fixed8(bar.taker_buy_base), quote8(bar.taker_buy_quote), "0",
                ]
                for bar in bars
            ]  # fmt: skip

        return work

    def avg_price(self, call: Call) -> Any:
        symbol = call.params.symbol()
        call.params.finish()
        market = self._listed(symbol)

        def work() -> Any:
            now = self._markets.now_ms()
            price = average_price(market.window(now, AVERAGE_MINUTES * 60_000))
            last = market.trades(now, limit=1)
            closed = last[-1].at_ms if last else now
            return {"mins": AVERAGE_MINUTES, "price": fixed8(price), "closeTime": closed * call.scale}

        return work

    def ticker_24hr(self, call: Call) -> Any:
        mini = call.params.is_mini()

        def one(symbol: str, market: SymbolMarket) -> Any:
            now = self._markets.now_ms() if mini else self._markets.catch_up(symbol)
            window = market.window(now, tickers.DAY_MS)
            if mini:
                return tickers.mini_ticker(symbol, window, call.scale)
            return tickers.day_ticker(symbol, window, market.best(), call.scale)

        return self._each(call, one, weight=_weight_24hr)

    def ticker_trading_day(self, call: Call) -> Any:
        mini, offset = call.params.is_mini(), call.params.offset_ms()

        def one(symbol: str, market: SymbolMarket) -> Any:
            now = self._markets.now_ms()
            begin = tickers.day_begin_ms(now, offset)
            window = replace(market.window(now, now - begin), close_ms=begin + tickers.DAY_MS - 1)
            return (tickers.mini_ticker if mini else tickers.window_ticker)(symbol, window, call.scale)

        return self._each(call, one, weight=_weight_per_symbol, most=100)

    def ticker_window(self, call: Call) -> Any:
        mini, length = call.params.is_mini(), call.params.window_ms()

        def one(symbol: str, market: SymbolMarket) -> Any:
            now = self._markets.now_ms()
            window = market.window(now, tickers.rolling_length_ms(now, length))
            return (tickers.mini_ticker if mini else tickers.window_ticker)(symbol, window, call.scale)

        return self._each(call, one, weight=_weight_per_symbol, most=100)

    def ticker_price(self, call: Call) -> Any:
        def one(symbol: str, market: SymbolMarket) -> Any:
            now = self._markets.now_ms()
            last = market.trades(now, limit=1)
            price = last[-1].price if last else market.window(now, tickers.DAY_MS).last
            return {"symbol": symbol, "price": fixed8(price)}

        return self._each(call, one, weight=_weight_flat)

    def ticker_book(self, call: Call) -> Any:
        def one(symbol: str, market: SymbolMarket) -> Any:
            self._markets.catch_up(symbol)
            (bid, bid_quantity), (ask, ask_quantity) = market.best().bid, market.best().ask
            return {
                "symbol": symbol, "bidPrice": fixed8(bid), "bidQty": fixed8(bid_quantity),
                "askPrice": fixed8(ask), "askQty": fixed8(ask_quantity),
            }  # fmt: skip

        return self._each(call, one, weight=_weight_flat)

    def _each(
        self, call: Call, one: Callable[[str, SymbolMarket], Any],
        weight: Callable[[int | None, int], int], most: int | None = None,
    ) -> Any:
        """A ticker of `symbol` (an object), or of `symbols` or all (an array). `most`: one of both is required."""
        params = call.params
        symbol, symbols, status = params.text("symbol"), params.symbols(), params.status()
        params.finish()
        if symbol is not None and symbols is not None:
            raise errors.bad_combination()
        if symbol is not None:
            params.symbol()
            market = self._trading(symbol, status)
            call.weight = weight(1, 1)
            return lambda: one(symbol, market)
        if most is not None and symbols is None:
            raise errors.missing("symbol")
        if most is not None and symbols is not None and len(symbols) > most:
            raise errors.invalid("symbols")
        listed = self._markets.all()
        chosen = listed if symbols is None else {name: self._listed(name) for name in symbols}
        call.weight = weight(None if symbols is None else len(symbols), 0)
        if status not in (None, "TRADING"):
            chosen = {}
        return lambda: [one(name, market) for name, market in chosen.items()]

    def _listed(self, symbol: str) -> SymbolMarket:
        market = self._markets.find(symbol)
        if market is None:
            raise errors.bad_symbol()
        return market

    def _trading(self, symbol: str, status: str | None) -> SymbolMarket:
        market = self._listed(symbol)
        if status not in (None, "TRADING"):
            raise errors.not_in_status()
        return market


def _scale(time_unit: str | None) -> int:
    if time_unit is None or time_unit.lower() == "millisecond":
        return 1
    if time_unit.lower() == "microsecond":
        return 1000
    raise errors.bad_time_unit()


def _trade(trade: Trade, scale: int) -> dict[str, Any]:
    return {
        "id": trade.id, "price": fixed8(trade.price), "qty": fixed8(trade.quantity),
        "quoteQty": quote8(trade.price * trade.quantity), "time": trade.at_ms * scale,
        "isBuyerMaker": trade.buyer_is_maker, "isBestMatch": True,
    }  # fmt: skip


def _weight_24hr(count: int | None, single: int) -> int:
    if single or (count is not None and count <= 20):
        return 2
    return 40 if count is not None and count <= 100 else 80


def _weight_per_symbol(count: int | None, _single: int) -> int:
    return min(4 * (count or 1), 200)


def _weight_flat(_count: int | None, single: int) -> int:
    return 2 if single else 4
