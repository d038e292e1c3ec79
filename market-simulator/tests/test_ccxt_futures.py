"""ccxt on USDT-M perpetuals, unmodified (only its URLs are set): REST and its WebSocket side."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import ccxt
import ccxt.pro
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.api]

SYMBOL, OTHER = "BTC/USDT:USDT", "SOL/USDT:USDT"


def pointed_at(exchange: Any, simulator: Any) -> Any:
    """As in test_ccxt: URLs are configuration."""
    api = exchange.urls["api"]
    places = {"public": "/api/v3", "v1": "/api/v1", "fapiPublic": "/fapi/v1", "fapiPublicV2": "/fapi/v2",
              "fapiData": "/futures/data", "dapiPublic": "/dapi/v1"}  # fmt: skip
    api.update({name: simulator.base_url + path for name, path in places.items()})
    if "ws" in api:
        spot = simulator.ws_url.replace("://", "://stream@")
        api["ws"].update({"spot": f"{spot}/ws", "future": f"{simulator.ws_url}/ws"})
    return exchange


@pytest.fixture
def exchange(simulator: Any) -> Any:
    return pointed_at(ccxt.binance({"options": {"defaultType": "swap"}}), simulator)


def test_load_markets_lists_the_perpetuals(exchange: Any) -> None:
    markets = exchange.load_markets()
    market = markets[SYMBOL]
    assert (market["swap"], market["linear"], market["active"], market["contractSize"]) == (True, True, True, 1)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
    assert sum(market["swap"] for market in markets.values()) == 26


def test_fetch_ticker_and_tickers(exchange: Any) -> None:
    ticker = exchange.fetch_ticker(SYMBOL)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert set(exchange.fetch_tickers([SYMBOL, OTHER])) == {SYMBOL, OTHER}
    assert exchange.fetch_bids_asks([SYMBOL])[SYMBOL]["bid"] > 0
    assert exchange.fetch_last_prices([SYMBOL])[SYMBOL]["price"] > 0


def test_fetch_order_book(exchange: Any) -> None:
    book = exchange.fetch_order_book(SYMBOL, 20)
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]


def test_fetch_trades(exchange: Any) -> None:
    assert len(exchange.fetch_trades(SYMBOL, limit=50)) == 50


@pytest.mark.parametrize("price", [None, "mark", "index", "premiumIndex"])
def test_fetch_ohlcv_of_each_price(exchange: Any, price: str | None) -> None:
    bars = exchange.fetch_ohlcv(SYMBOL, "1m", limit=10, params={"price": price} if price else {})
    assert len(bars) == 10
    assert all(right[0] - left[0] == 60_000 for left, right in pairwise(bars))
    assert all(bar[3] <= min(bar[1], bar[4]) and bar[2] >= max(bar[1], bar[4]) for bar in bars)


def test_funding_and_mark_prices(exchange: Any) -> None:
    rate = exchange.fetch_funding_rate(SYMBOL)
    assert abs(rate["markPrice"] / rate["indexPrice"] - 1) < 0.01
    assert rate["fundingTimestamp"] > rate["timestamp"]
    assert set(exchange.fetch_funding_rates([SYMBOL, OTHER])) == {SYMBOL, OTHER}
    assert exchange.fetch_mark_price(SYMBOL)["markPrice"] > 0
    history = exchange.fetch_funding_rate_history(SYMBOL, limit=3)
    assert all(right["timestamp"] - left["timestamp"] == 8 * 3_600_000 for left, right in pairwise(history))
    assert exchange.fetch_funding_interval(SYMBOL)["interval"] == "8h"


def test_open_interest_and_long_short_ratios(exchange: Any) -> None:
    assert exchange.fetch_open_interest(SYMBOL)["openInterestAmount"] > 0
    assert len(exchange.fetch_open_interest_history(SYMBOL, "1h", limit=5)) == 5
    assert len(exchange.fetch_long_short_ratio_history(SYMBOL, "1h", limit=5)) == 5


def watch(simulator: Any, talk: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Run one conversation with ccxt.pro and close it."""

    async def converse() -> Any:
        exchange = pointed_at(ccxt.pro.binance({"options": {"defaultType": "swap"}}), simulator)
        try:
            return await asyncio.wait_for(talk(exchange), 30)
        finally:
            await exchange.close()

    return asyncio.run(converse())


@pytest.mark.websocket
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("watch_ticker", ()), ("watch_trades", ()), ("watch_ohlcv", ("1m",)), ("watch_mark_price", ()),
        ("watch_mark_prices", ()),
    ],
)  # fmt: skip
def test_what_ccxt_watches_arrives(simulator: Any, name: str, more: tuple[str, ...]) -> None:
    symbols: Any = [SYMBOL] if name.endswith("prices") else SYMBOL
    assert watch(simulator, lambda exchange: getattr(exchange, name)(symbols, *more))


@pytest.mark.websocket
def test_watch_bids_asks_of_two_symbols(simulator: Any) -> None:
    async def talk(exchange: Any) -> set[str]:
        seen: set[str] = set()
        while len(seen) < 2:
            seen |= set(await exchange.watch_bids_asks([SYMBOL, OTHER]))
        return seen

    assert watch(simulator, talk) == {SYMBOL, OTHER}


@pytest.mark.websocket
@pytest.mark.parametrize("symbol", [SYMBOL, OTHER])
def test_watch_order_book_stays_in_step_with_the_exchange(simulator: Any, symbol: str) -> None:
    async def talk(exchange: Any) -> list[Any]:
        return [dict(await exchange.watch_order_book(symbol)) for _ in range(20)]

    books = watch(simulator, talk)
    assert books[-1]["nonce"] > books[0]["nonce"]
    assert all(book["bids"][0][0] < book["asks"][0][0] for book in books)


@pytest.mark.websocket
def test_watch_liquidations(simulator: Any) -> None:
    async def talk(exchange: Any) -> Any:
        await exchange.load_markets()
        perpetuals = [symbol for symbol, market in exchange.markets.items() if market["swap"]]
        return await exchange.watch_liquidations_for_symbols(perpetuals)

    assert watch(simulator, talk)[0]["price"] > 0
