"""Spot market-data REST calls (binance-wire.md 8.2): a query to a document, or the exchange's own error.

Pure but for the markets it asks: no Flask, no clock. `Rest.answer` is the one way in.
"""

from collections.abc import Callable, Sequence
from typing import Any

from market_simulator.futures.market import FuturesInfo
from market_simulator.market import Trade
from market_simulator.wire import errors
from market_simulator.wire.aggregates import recent_aggregates
from market_simulator.wire.calls import Call, Endpoint, Markets, listed, trading
from market_simulator.wire.exchange_info import exchange_info
from market_simulator.wire.figures_calls import FiguresCalls
from market_simulator.wire.futures_info import futures_info
from market_simulator.wire.futures_rest import FuturesRest
from market_simulator.wire.kline_rows import spot_bars
from market_simulator.wire.numbers import fixed8, quote8
from market_simulator.wire.params import Params
from market_simulator.wire.payloads import average_price, best_levels
from market_simulator.wire.rest_rules import RestRules
from market_simulator.wire.ticker_calls import TickerCalls

AVERAGE_MINUTES = 5
PERMISSIONS = ("SPOT",)  # what `permissions` may name and still find our symbols


class Rest:
    """All calls by path; `answer` is the way in."""

    def __init__(
        self, markets: Markets, futures: tuple[Markets, Sequence[FuturesInfo]] | None = None,
        lies: RestRules | None = None,
    ):  # fmt: skip
        """`futures`: the perpetuals' markets and their list; without them `/fapi` lists nothing."""
        self._markets = markets
        self._lies = lies or RestRules()
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
            "/api/v3/referencePrice": (2, self.reference_price),
            "/api/v3/historicalBlockTrades": (25, self.historical_block_trades),
            "/fapi/v1/exchangeInfo": (1, self.no_futures),
            "/dapi/v1/exchangeInfo": (1, self.no_futures),
            **TickerCalls(markets).endpoints,
        }
        if futures is not None:
            futures_rest = FuturesRest(*futures)
            self.endpoints |= futures_rest.endpoints | FiguresCalls(futures[0], futures_rest).endpoints

    def answer(self, path: str, query: str, time_unit: str | None, spend: Callable[[int], None]) -> Any:
        """The document for one GET. Raises ExchangeError; a refused call has cost its basic weight."""
        if path not in self.endpoints:
            spend(1)
            raise errors.unsupported()
        weight, endpoint = self.endpoints[path]
        call = None
        try:
            scale = _scale(time_unit) if path.startswith("/api/") else 1
            call = Call(Params(query), scale, weight)
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
            chosen = [listed(self._markets, symbol).info]
        elif symbols is not None:
            chosen = [listed(self._markets, name).info for name in symbols]
        else:
            chosen = [market.info for market in self._markets.all().values()]
        hidden = permissions is not None and not any(name in permissions for name in PERMISSIONS)
        if hidden or status not in (None, "TRADING"):
            chosen = []
        return lambda: exchange_info(self._markets.now_ms(), chosen, show, call.scale)

    def no_futures(self, call: Call) -> Any:
        call.params.finish()
        return futures_info(self._markets.now_ms(), ())

    def depth(self, call: Call) -> Any:
        params = call.params
        symbol, limit, status = params.symbol(), params.limit(100, 5000), params.status()
        params.finish()
        market = trading(self._markets, symbol, status)
        call.weight = next(weight for most, weight in ((100, 5), (500, 25), (1000, 50), (5000, 250)) if limit <= most)

        def work() -> Any:
            self._markets.catch_up(symbol)
            return best_levels(self._lies.book(symbol) or market.book(), limit)

        return work

    def trades(self, call: Call) -> Any:
        params = call.params
        symbol, limit = params.symbol(), params.limit(500, 1000)
        params.finish()
        market = listed(self._markets, symbol)
        return lambda: [_trade(trade, call.scale) for trade in market.trades(self._markets.now_ms(), limit=limit)]

    def historical_trades(self, call: Call) -> Any:
        params = call.params
        symbol, limit, from_id = params.symbol(), params.limit(500, 1000), params.number("fromId")
        params.finish()
        market = listed(self._markets, symbol)
        return lambda: [
            _trade(trade, call.scale)
            for trade in market.trades(self._markets.now_ms(), limit=limit, from_id=from_id)
        ]

    def agg_trades(self, call: Call) -> Any:
        params = call.params
        symbol, limit, from_id = params.symbol(), params.limit(500, 1000), params.number("fromId")
        start, end = params.moment_ms("startTime"), params.moment_ms("endTime")
        params.finish()
        market = listed(self._markets, symbol)
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
        market, scale = listed(self._markets, symbol), call.scale

        def work() -> Any:
            asked = {"limit": limit, "start_ms": start, "end_ms": end, "offset_ms": offset}
            return spot_bars(market, self._markets.now_ms(), interval, asked, scale)

        return work

    def avg_price(self, call: Call) -> Any:
        symbol = call.params.symbol()
        call.params.finish()
        market = listed(self._markets, symbol)

        def work() -> Any:
            now = self._markets.now_ms()
            price = average_price(market.window(now, AVERAGE_MINUTES * 60_000))
            last = market.trades(now, limit=1)
            closed = last[-1].at_ms if last else now
            return {"mins": AVERAGE_MINUTES, "price": fixed8(price), "closeTime": closed * call.scale}

        return work


    def reference_price(self, call: Call) -> Any:
        symbol = call.params.symbol()
        call.params.finish()
        market = listed(self._markets, symbol)

        def work() -> Any:
            now = self._markets.now_ms()
            price = average_price(market.window(now, AVERAGE_MINUTES * 60_000))
            return {"symbol": symbol, "referencePrice": fixed8(price), "timestamp": now * call.scale}

        return work

    def historical_block_trades(self, call: Call) -> Any:
        params = call.params
        symbol = params.symbol()
        params.limit(500, 1000)
        params.required("fromId")
        params.number("fromId")
        params.finish()
        listed(self._markets, symbol)
        return []  # nobody trades blocks here


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
