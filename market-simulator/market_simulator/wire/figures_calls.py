"""Futures' REST calls about figures: mark price, funding, open interest and `/futures/data` (binance-wire.md 9)."""

from collections.abc import Callable
from functools import partial
from typing import Any

from market_simulator.futures.market import DATA_MS, FUNDING_MS, RATE_CAP, CrowdKind, FuturesMarket
from market_simulator.futures.market import INTEREST_RATE as INTEREST
from market_simulator.wire import errors
from market_simulator.wire.calls import Call, Endpoint, Markets, futures_listed
from market_simulator.wire.futures_rest import FuturesRest
from market_simulator.wire.numbers import fixed8, padded

PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
DATA = "/futures/data"
HOUR_MS = 3_600_000
Rows = Callable[..., list[Any]]


class FiguresCalls:
    """Their endpoints by path."""

    def __init__(self, markets: Markets, rest: FuturesRest):
        self._markets, self._rest = markets, rest
        self.endpoints: dict[str, tuple[int, Endpoint]] = {
            "/fapi/v1/premiumIndex": (1, self.premium_index),
            "/fapi/v1/fundingRate": (0, self.funding_rate),
            "/fapi/v1/fundingInfo": (0, self.funding_info),
            "/fapi/v1/openInterest": (1, self.open_interest),
            f"{DATA}/openInterestHist": (0, partial(self.rows, _open_interests)),
            f"{DATA}/globalLongShortAccountRatio": (0, partial(self.rows, _long_shorts("global_accounts"))),
            f"{DATA}/topLongShortAccountRatio": (0, partial(self.rows, _long_shorts("top_accounts"))),
            f"{DATA}/topLongShortPositionRatio": (0, partial(self.rows, _long_shorts("top_positions"))),
            f"{DATA}/takerlongshortRatio": (0, partial(self.rows, _taker_volumes)),
            f"{DATA}/basis": (0, self.basis),
        }

    def premium_index(self, call: Call) -> Any:
        def one(symbol: str, market: FuturesMarket) -> Any:
            mark = market.figures.mark_price(self._markets.now_ms())
            return {
                "symbol": symbol, "markPrice": fixed8(mark.mark), "indexPrice": fixed8(mark.index),
                "estimatedSettlePrice": fixed8(mark.settle), "lastFundingRate": fixed8(mark.rate),
                "interestRate": fixed8(INTEREST), "nextFundingTime": mark.next_funding_ms, "time": mark.at_ms,
            }  # fmt: skip

        return self._rest.each(call, one, 1, 10)

    def funding_rate(self, call: Call) -> Any:
        params = call.params
        symbol = params.text("symbol")
        names = list(self._markets.all()) if symbol is None else [params.symbol()]
        limit, (start, end) = params.strict_limit(100, 1000), params.span_ms()
        params.finish()
        markets = [futures_listed(self._markets, name) for name in names]

        def work() -> Any:
            now = self._markets.now_ms()
            rows: list[dict[str, Any]] = [
                {
                    "symbol": market.contract.symbol, "fundingTime": one.at_ms, "fundingRate": fixed8(one.rate),
                    "markPrice": fixed8(one.mark), "rateType": "FUNDING",
                }
                for market in markets
                for one in market.figures.fundings(now, limit=limit, start_ms=start, end_ms=end)
            ]  # fmt: skip
            rows.sort(key=lambda row: row["fundingTime"])
            return rows[:limit] if start is not None else rows[-limit:]

        return work

    def funding_info(self, call: Call) -> Any:
        call.params.finish()
        return [
            {
                "symbol": symbol, "adjustedFundingRateCap": fixed8(RATE_CAP),
                "adjustedFundingRateFloor": fixed8(-RATE_CAP), "fundingIntervalHours": FUNDING_MS // HOUR_MS,
                "disclaimer": False,
            }
            for symbol in self._markets.all()
        ]  # fmt: skip

    def open_interest(self, call: Call) -> Any:
        market = futures_listed(self._markets, call.params.symbol())
        call.params.finish()

        def work() -> Any:
            interest = market.figures.open_interest(self._markets.now_ms())
            quantity = padded(interest.quantity, market.contract.quantity_precision)
            return {"openInterest": quantity, "symbol": market.contract.symbol, "time": interest.at_ms}

        return work

    def basis(self, call: Call) -> Any:
        kind = call.params.required("contractType")
        if kind not in ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"):
            raise errors.invalid("contractType")
        return self.rows(_bases, call, name="pair", empty=kind != "PERPETUAL")

    def rows(self, rows: Rows, call: Call, name: str = "symbol", empty: bool = False) -> Any:
        """A list over periods of the last 30 days."""
        params = call.params
        market = futures_listed(self._markets, params.name(name))
        period, limit = params.required("period"), params.strict_limit(30, 500)
        start, end = params.span_ms()
        params.finish()
        if period not in PERIODS:
            raise errors.invalid("period")
        now = self._markets.now_ms()
        if start is not None and start < now - DATA_MS:
            raise errors.invalid("startTime")
        return lambda: [] if empty else rows(market, now, period, limit=limit, start_ms=start, end_ms=end)


def _open_interests(market: FuturesMarket, now_ms: int, period: str, **range_: Any) -> list[Any]:
    return [
        {
            "symbol": market.contract.symbol, "sumOpenInterest": fixed8(one.quantity),
            "sumOpenInterestValue": fixed8(one.value), "CMCCirculatingSupply": fixed8(0), "timestamp": one.at_ms,
        }
        for one in market.figures.open_interests(now_ms, period, **range_)
    ]  # fmt: skip


def _long_shorts(kind: CrowdKind) -> Rows:
    def rows(market: FuturesMarket, now_ms: int, period: str, **range_: Any) -> list[Any]:
        return [
            {
                "symbol": market.contract.symbol, "longAccount": padded(one.long, 4),
                "longShortRatio": padded(one.ratio, 4), "shortAccount": padded(one.short, 4), "timestamp": one.at_ms,
            }
            for one in market.figures.long_shorts(kind, now_ms, period, **range_)
        ]  # fmt: skip

    return rows


def _taker_volumes(market: FuturesMarket, now_ms: int, period: str, **range_: Any) -> list[Any]:
    places = market.contract.quantity_precision
    return [
        {
            "buySellRatio": padded(one.bought * 10**8 // one.sold if one.sold else 0, 4),
            "sellVol": padded(one.sold, places), "buyVol": padded(one.bought, places), "timestamp": one.at_ms,
        }
        for one in market.figures.taker_volumes(now_ms, period, **range_)
    ]  # fmt: skip


def _bases(market: FuturesMarket, now_ms: int, period: str, **range_: Any) -> list[Any]:
    places = market.contract.price_precision
    return [
        {
            "indexPrice": fixed8(one.index), "contractType": market.contract.contract_type,
            "basisRate": padded(one.rate, 4), "futuresPrice": padded(one.futures, places), "annualizedBasisRate": "",
            "basis": fixed8(one.basis), "pair": market.contract.symbol, "timestamp": one.at_ms,
        }
        for one in market.figures.bases(now_ms, period, **range_)
    ]  # fmt: skip
