"""ccxt, unmodified (only its URLs are set): REST and its WebSocket side."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import ccxt
import ccxt.pro
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.api]

SYMBOL = "BTC/USDT"
PLACES = {
    "public": "/api/v3",
    "v1": "/api/v1",
    "fapiPublic": "/fapi/v1",
    "fapiPublicV2": "/fapi/v2",
    "fapiData": "/futures/data",
    "dapiPublic": "/dapi/v1",
}


def pointed_at(exchange: Any, simulator: Any) -> Any:
    """The exchange with its base URLs changed, which is configuration.

    ccxt takes a socket for spot's when its URL holds `/stream`, as stream.binance.com's does, hence the user name.
    Futures' URL must end with `/ws`: ccxt puts the routes `/public` and `/market` before that.
    """
    api = exchange.urls["api"]
    api.update({name: simulator.base_url + path for name, path in PLACES.items()})
    if "ws" in api:
        spot = simulator.ws_url.replace("://", "://stream@")
        api["ws"].update({"spot": f"{spot}/ws", "future": f"{simulator.ws_url}/ws"})
    return exchange


@pytest.fixture
def exchange(simulator: Any) -> Any:
    return pointed_at(ccxt.binance(), simulator)


def test_load_markets_lists_the_exchanges_symbols(exchange: Any, simulator: Any) -> None:
    markets = exchange.load_markets()
    assert {market["id"] for market in markets.values()} == set(simulator.status()["symbols"])
    assert markets[SYMBOL]["precision"]["price"] == 0.01
    assert markets[SYMBOL]["active"]


def test_fetch_ticker(exchange: Any) -> None:
    ticker = exchange.fetch_ticker(SYMBOL)
    assert ticker["bid"] < ticker["ask"]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert set(exchange.fetch_tickers([SYMBOL, "ETH/USDT"])) == {SYMBOL, "ETH/USDT"}


def test_fetch_order_book(exchange: Any) -> None:
    book = exchange.fetch_order_book(SYMBOL, 20)
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]


def test_fetch_trades(exchange: Any) -> None:
    trades = exchange.fetch_trades(SYMBOL, limit=50)
    assert len(trades) == 50
    assert {trade["side"] for trade in trades} <= {"buy", "sell"}
    direct = exchange.fetch_trades(SYMBOL, limit=50, params={"fetchTradesMethod": "publicGetTrades"})
    assert len(direct) == 50


def test_fetch_ohlcv(exchange: Any) -> None:
    bars = exchange.fetch_ohlcv(SYMBOL, "1m", limit=10)
    assert len(bars) == 10
    assert all(right[0] - left[0] == 60_000 for left, right in pairwise(bars))
    assert all(bar[3] <= min(bar[1], bar[4]) and bar[2] >= max(bar[1], bar[4]) for bar in bars)


def test_an_unknown_symbol_is_ccxts_bad_symbol(exchange: Any) -> None:
    with pytest.raises(ccxt.BadSymbol):
        exchange.publicGetTickerPrice({"symbol": "NOPEUSDT"})


def watch(simulator: Any, talk: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Run one conversation with ccxt.pro and close it."""

    async def converse() -> Any:
        exchange = pointed_at(ccxt.pro.binance(), simulator)
        try:
            return await asyncio.wait_for(talk(exchange), 30)
        finally:
            await exchange.close()

    return asyncio.run(converse())


@pytest.mark.websocket
def test_watch_ticker(simulator: Any) -> None:
    ticker = watch(simulator, lambda exchange: exchange.watch_ticker(SYMBOL))
    assert ticker["bid"] < ticker["ask"]


@pytest.mark.websocket
def test_watch_trades(simulator: Any) -> None:
    trades = watch(simulator, lambda exchange: exchange.watch_trades(SYMBOL))
    assert trades[0]["price"] > 0


@pytest.mark.websocket
def test_watch_ohlcv(simulator: Any) -> None:
    bars = watch(simulator, lambda exchange: exchange.watch_ohlcv(SYMBOL, "1m"))
    assert bars[-1][2] >= bars[-1][3]


@pytest.mark.websocket
def test_watch_order_book_stays_in_step_with_the_exchange(simulator: Any) -> None:
    async def talk(exchange: Any) -> list[Any]:
        return [dict(await exchange.watch_order_book(SYMBOL)) for _ in range(20)]

    books = watch(simulator, talk)
    assert books[-1]["nonce"] > books[0]["nonce"]
    assert all(book["bids"][0][0] < book["asks"][0][0] for book in books)


@pytest.mark.websocket
def test_watch_bids_asks_of_two_symbols(simulator: Any) -> None:
    async def talk(exchange: Any) -> set[str]:
        seen: set[str] = set()
        while len(seen) < 2:
            seen |= set(await exchange.watch_bids_asks([SYMBOL, "ETH/USDT"]))
        return seen

    assert watch(simulator, talk) == {SYMBOL, "ETH/USDT"}
