"""The ticker calls of REST: one symbol gives an object, several or all an array."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from market_simulator.market import SymbolMarket
from market_simulator.wire import errors, tickers
from market_simulator.wire.calls import Call, Endpoint, Markets, listed, trading
from market_simulator.wire.numbers import fixed8


class TickerCalls:
    """Their endpoints by path, with the weight of the smallest call."""

    def __init__(self, markets: Markets):
        self._markets = markets
        self.endpoints: dict[str, tuple[int, Endpoint]] = {
            "/api/v3/ticker/24hr": (2, self.ticker_24hr),
            "/api/v3/ticker/tradingDay": (4, self.ticker_trading_day),
            "/api/v3/ticker/price": (2, self.ticker_price),
            "/api/v3/ticker/bookTicker": (2, self.ticker_book),
            "/api/v3/ticker": (4, self.ticker_window),
        }

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
            market = trading(self._markets, symbol, status)
            call.weight = weight(1, 1)
            return lambda: one(symbol, market)
        if most is not None and symbols is None:
            raise errors.missing("symbol")
        if most is not None and symbols is not None and len(symbols) > most:
            raise errors.invalid("symbols")
        every = self._markets.all()
        chosen = every if symbols is None else {name: listed(self._markets, name) for name in symbols}
        call.weight = weight(None if symbols is None else len(symbols), 0)
        if status not in (None, "TRADING"):
            chosen = {}
        return lambda: [one(name, market) for name, market in chosen.items()]


def _weight_24hr(count: int | None, single: int) -> int:
    if single or (count is not None and count <= 20):
        return 2
    return 40 if count is not None and count <= 100 else 80


def _weight_per_symbol(count: int | None, _single: int) -> int:
    return min(4 * (count or 1), 200)


def _weight_flat(_count: int | None, single: int) -> int:
    return 2 if single else 4
