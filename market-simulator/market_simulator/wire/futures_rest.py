"""USDT-M futures' REST calls (binance-wire.md 9): the market itself. Its figures are in figures_calls.py.

What differs from spot: numbers padded to the tick, milliseconds only, a `limit` beyond the largest is an error, and
those of `/depth` are an enumeration.
"""

from collections.abc import Sequence
from typing import Any

from market_simulator.futures.market import FuturesInfo, FuturesMarket, PriceKind
from market_simulator.market import Kline, Trade
from market_simulator.wire import errors
from market_simulator.wire import futures_payloads as payloads
from market_simulator.wire.aggregates import recent_aggregates
from market_simulator.wire.calls import Call, Endpoint, Markets, futures_listed
from market_simulator.wire.futures_info import futures_info
from market_simulator.wire.kline_rows import futures_bars
from market_simulator.wire.numbers import fixed8, padded, padded_levels, percent3
from market_simulator.wire.payloads import average_price
from market_simulator.wire.tickers import DAY_MS

DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
HOUR_MS = 3_600_000
AGGREGATES_MS = 48 * HOUR_MS  # how far back aggTrades reaches
MOST_BARS = 1500


class FuturesRest:
    """All calls by path, each with its weight."""

    def __init__(self, markets: Markets, contracts: Sequence[FuturesInfo]):
        """`markets`: perpetuals; `contracts`: what exchangeInfo lists."""
        self._markets, self._contracts = markets, contracts
        self.endpoints: dict[str, tuple[int, Endpoint]] = {
            "/fapi/v1/ping": (1, self.ping),
            "/fapi/v1/time": (1, self.time),
            "/fapi/v1/exchangeInfo": (1, self.exchange_info),
            "/fapi/v1/depth": (2, self.depth),
            "/fapi/v1/trades": (5, self.trades),
            "/fapi/v1/historicalTrades": (200, self.historical_trades),
            "/fapi/v1/aggTrades": (20, self.agg_trades),
            "/fapi/v1/klines": (1, self.klines),
            "/fapi/v1/continuousKlines": (1, self.continuous_klines),
            "/fapi/v1/indexPriceKlines": (1, lambda call: self.price_klines(call, "pair", "index")),
            "/fapi/v1/markPriceKlines": (1, lambda call: self.price_klines(call, "symbol", "mark")),
            "/fapi/v1/premiumIndexKlines": (1, lambda call: self.price_klines(call, "symbol", "premium")),
            "/fapi/v1/ticker/24hr": (1, self.ticker_24hr),
            "/fapi/v1/ticker/price": (1, self.ticker_price),
            "/fapi/v2/ticker/price": (1, self.ticker_price),
            "/fapi/v1/ticker/bookTicker": (2, self.ticker_book),
        }

    def ping(self, call: Call) -> Any:
        call.params.finish()
        return {}

    def time(self, call: Call) -> Any:
        call.params.finish()
        return {"serverTime": self._markets.now_ms()}

    def exchange_info(self, call: Call) -> Any:
        call.params.finish()
        return lambda: futures_info(self._markets.now_ms(), self._contracts)

    def depth(self, call: Call) -> Any:
        symbol, limit = call.params.symbol(), call.params.number("limit")
        call.params.finish()
        limit = 500 if limit is None else limit
        market = futures_listed(self._markets, symbol)
        if limit not in DEPTH_WEIGHTS:
            raise errors.bad_depth_limit(limit)
        call.weight = DEPTH_WEIGHTS[limit]

        def work() -> Any:
            self._markets.catch_up(symbol)
            book, places = market.book(), _places(market.contract)
            return {
                "lastUpdateId": book.last_update_id, "E": book.event_ms, "T": book.at_ms,
                "bids": padded_levels(book.bids[:limit], *places), "asks": padded_levels(book.asks[:limit], *places),
            }  # fmt: skip

        return work

    def trades(self, call: Call) -> Any:
        market, limit = self._market(call), call.params.strict_limit(500, 1000)
        call.params.finish()
        return lambda: [_trade(market.contract, one) for one in market.trades(self._markets.now_ms(), limit=limit)]

    def historical_trades(self, call: Call) -> Any:
        market, limit, from_id = self._market(call), call.params.strict_limit(100, 500), call.params.number("fromId")
        call.params.finish()
        return lambda: [
            _trade(market.contract, one)
            for one in market.trades(self._markets.now_ms(), limit=limit, from_id=from_id)
        ]

    def agg_trades(self, call: Call) -> Any:
        params = call.params
        market, limit, from_id = self._market(call), params.strict_limit(500, 1000), params.number("fromId")
        start, end = params.span_ms()
        params.finish()
        if from_id is not None and (start is not None or end is not None):
            raise errors.bad_combination()
        if start is not None and end is not None and end - start >= HOUR_MS:
            raise errors.too_long_a_span()

        def work() -> Any:
            now = self._markets.now_ms()
            first = now - AGGREGATES_MS
            begin = start if start is None else max(start, first)
            groups = recent_aggregates(market, now, limit=limit, from_id=from_id, start_ms=begin, end_ms=end)
            return [
                {
                    "a": group.first.id, "p": padded(group.first.price, price),
                    "q": padded(group.quantity, quantity), "nq": padded(group.quantity, quantity),
                    "f": group.first.id, "l": group.last.id, "T": group.first.at_ms, "m": group.first.buyer_is_maker,
                }
                for group in groups if group.first.at_ms >= first
            ]  # fmt: skip

        price, quantity = _places(market.contract)
        return work

    def klines(self, call: Call) -> Any:
        return self._klines(call, self._market(call))

    def continuous_klines(self, call: Call) -> Any:
        market = futures_listed(self._markets, call.params.name("pair"))
        kind = call.params.required("contractType")
        if kind not in ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"):
            raise errors.invalid("contractType")
        return self._klines(call, market, empty=kind != "PERPETUAL")

    def _klines(self, call: Call, market: FuturesMarket, empty: bool = False) -> Any:
        interval, limit, start, end = _bar_params(call)

        def work() -> Any:
            asked = {"limit": limit, "start_ms": start, "end_ms": end}
            return [] if empty else futures_bars(market, self._markets.now_ms(), interval, asked)

        return work

    def price_klines(self, call: Call, name: str, kind: PriceKind) -> Any:
        market = futures_listed(self._markets, call.params.name(name))
        interval, limit, start, end = _bar_params(call)

        def work() -> Any:
            bars = market.figures.price_klines(
                kind, self._markets.now_ms(), interval, limit=limit, start_ms=start, end_ms=end
            )
            return [_price_bar(bar) for bar in bars]

        return work

    def ticker_24hr(self, call: Call) -> Any:
        def one(_symbol: str, market: FuturesMarket) -> Any:
            return _day_ticker(market, self._markets.now_ms())

        return self.each(call, one, 1, 40)

    def ticker_price(self, call: Call) -> Any:
        def one(symbol: str, market: FuturesMarket) -> Any:
            last = market.trades(self._markets.now_ms(), limit=1)[-1]
            return {"symbol": symbol, "price": padded(last.price, market.contract.price_precision), "time": last.at_ms}

        return self.each(call, one, 1, 2)

    def ticker_book(self, call: Call) -> Any:
        def one(symbol: str, market: FuturesMarket) -> Any:
            self._markets.catch_up(symbol)
            best, (price, quantity) = market.best(), _places(market.contract)
            return {
                "symbol": symbol, "bidPrice": padded(best.bid[0], price), "bidQty": padded(best.bid[1], quantity),
                "askPrice": padded(best.ask[0], price), "askQty": padded(best.ask[1], quantity), "time": best.at_ms,
                "lastUpdateId": best.update_id,
            }  # fmt: skip

        return self.each(call, one, 2, 5)

    def each(self, call: Call, one: Any, weight: int, weight_of_all: int) -> Any:
        """`one(symbol, market)` of `symbol` (an object), or of all (an array)."""
        symbol = call.params.text("symbol")
        if symbol is not None:
            market = self._market(call)
            call.params.finish()
            call.weight = weight
            return lambda: one(symbol, market)
        call.params.finish()
        call.weight = weight_of_all
        return lambda: [one(name, futures_listed(self._markets, name)) for name in self._markets.all()]

    def _market(self, call: Call) -> FuturesMarket:
        return futures_listed(self._markets, call.params.symbol())


def _places(contract: FuturesInfo) -> tuple[int, int]:
    return contract.price_precision, contract.quantity_precision


def _bar_params(call: Call) -> tuple[str, int, int | None, int | None]:
    interval, limit = call.params.interval(), call.params.strict_limit(500, MOST_BARS)
    start, end = call.params.span_ms()
    call.params.finish()
    if interval == "1s":
        raise errors.bad_interval()
    call.weight = 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
    return interval, limit, start, end


def _price_bar(bar: Kline) -> list[Any]:
    prices = [fixed8(price) for price in (bar.open, bar.high, bar.low, bar.close)]
    return [bar.open_ms, *prices, "0", bar.close_ms, "0", bar.trades, "0", "0", "0"]


def _trade(contract: FuturesInfo, trade: Trade) -> dict[str, Any]:
    price, quantity = _places(contract)
    return {
        "id": trade.id, "price": padded(trade.price, price), "qty": padded(trade.quantity, quantity),
        "quoteQty": payloads.day_quote(trade.price * trade.quantity), "time": trade.at_ms,
        "isBuyerMaker": trade.buyer_is_maker, "isRPITrade": False,
    }  # fmt: skip


def _day_ticker(market: FuturesMarket, now_ms: int) -> dict[str, Any]:
    window, (price, quantity) = market.window(now_ms, DAY_MS), _places(market.contract)
    change = window.last - window.open
    return {
        "symbol": market.contract.symbol, "priceChange": padded(change, price),
        "priceChangePercent": percent3(change, window.open), "weightedAvgPrice": padded(average_price(window), price),
        "lastPrice": padded(window.last, price), "lastQty": padded(window.last_quantity, quantity),
        "openPrice": padded(window.open, price), "highPrice": padded(window.high, price),
        "lowPrice": padded(window.low, price), "volume": padded(window.volume, quantity),
        "quoteVolume": payloads.day_quote(window.quote_volume), "openTime": window.open_ms,
        "closeTime": window.close_ms, "firstId": window.first_id, "lastId": window.last_id, "count": window.count,
    }  # fmt: skip
