"""Binance's REST as the fleet calls it: right paths and weights, the budget kept, refusals translated."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from shared.binance_client import BinanceClient, WeightBudget
from shared.config import Settings, config
from shared.errors import InvalidInput, NotFound, RateLimited, Unavailable
from shared.testing.fakes import FakeClock
from shared.testing.http_server import HttpServer, Reply

pytestmark = pytest.mark.integration


class Exchange:
    """A real HTTP server whose next replies a test sets; by default it echoes what was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply | None] = []
        self.headers: dict[str, str] = {}
        self.server = HttpServer(self._respond)
        self.clock = FakeClock()
        self.client = BinanceClient(self.server.url, self.server.url, clock=self.clock, retries=1)

    def _respond(self, handler: BaseHTTPRequestHandler) -> Reply | None:
        if self.replies:
            return self.replies.pop(0)
        return 200, self.headers, json.dumps({"target": handler.path, "serverTime": 1723161255343}).encode()

    @property
    def asked(self) -> list[str]:
        return self.server.asked


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    found = Exchange()
    with found.server:
        yield found
    found.client.close()


def refusal(code: int, status: int = 400) -> Reply:
    return status, {}, json.dumps({"code": code, "msg": "Some text."}).encode()


CALLS: list[tuple[Callable[[BinanceClient], Any], str, int]] = [
    (lambda c: c.ping(), "/api/v3/ping", 1),
    (lambda c: c.ping("futures"), "/fapi/v1/ping", 1),
    (lambda c: c.time("futures"), "/fapi/v1/time", 1),
    (lambda c: c.exchange_info("btcusdt"), "/api/v3/exchangeInfo?symbol=BTCUSDT", 20),
    (lambda c: c.exchange_info(market="futures"), "/fapi/v1/exchangeInfo", 1),
    (lambda c: c.ticker_24h("btcusdt"), "/api/v3/ticker/24hr?symbol=BTCUSDT", 2),
    (lambda c: c.ticker_24h(["A", "b"]), '/api/v3/ticker/24hr?symbols=["A","B"]', 2),
    (lambda c: c.ticker_24h(["A"] * 21), "/api/v3/ticker/24hr?symbols=[" + ",".join(['"A"'] * 21) + "]", 40),
    (lambda c: c.ticker_24h(), "/api/v3/ticker/24hr", 80),
    (lambda c: c.ticker_24h(market="futures"), "/fapi/v1/ticker/24hr", 40),
    (lambda c: c.ticker_price("BTCUSDT"), "/api/v3/ticker/price?symbol=BTCUSDT", 2),
    (lambda c: c.ticker_price(), "/api/v3/ticker/price", 4),
    (lambda c: c.ticker_price("BTCUSDT", "futures"), "/fapi/v2/ticker/price?symbol=BTCUSDT", 1),
    (lambda c: c.book_ticker("BTCUSDT"), "/api/v3/ticker/bookTicker?symbol=BTCUSDT", 2),
    (lambda c: c.book_ticker(market="futures"), "/fapi/v1/ticker/bookTicker", 5),
    (lambda c: c.depth("BTCUSDT", 5000), "/api/v3/depth?symbol=BTCUSDT&limit=5000", 250),
    (lambda c: c.depth("BTCUSDT"), "/api/v3/depth?symbol=BTCUSDT&limit=100", 5),
    (lambda c: c.depth("BTCUSDT", 1000, "futures"), "/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20),
    (lambda c: c.trades("BTCUSDT", 10), "/api/v3/trades?symbol=BTCUSDT&limit=10", 25),
    (lambda c: c.trades("BTCUSDT", market="futures"), "/fapi/v1/trades?symbol=BTCUSDT&limit=500", 5),
    (
        lambda c: c.agg_trades("BTCUSDT", start_ms=1, end_ms=2, limit=3),
        "/api/v3/aggTrades?symbol=BTCUSDT&limit=3&startTime=1&endTime=2",
        4,
    ),
    (
        lambda c: c.klines("ÜUSDT", "1M", limit=3),
        "/api/v3/klines?symbol=ÜUSDT&limit=3&interval=1M",
        2,
    ),
    (
        lambda c: c.klines("BTCUSDT", "1m", start_ms=7, limit=1500, market="futures"),
        "/fapi/v1/klines?symbol=BTCUSDT&limit=1500&interval=1m&startTime=7",
        10,
    ),
]


@pytest.mark.parametrize(("call", "target", "weight"), CALLS, ids=[target[:60] for _, target, _ in CALLS])
def test_each_call_asks_its_path_and_spends_its_weight(
    exchange: Exchange, call: Callable[[BinanceClient], Any], target: str, weight: int
) -> None:
    call(exchange.client)
    (asked,) = exchange.asked
    found, expected = urlsplit(asked), urlsplit(target)
    assert (found.path, parse_qsl(found.query)) == (expected.path, parse_qsl(expected.query))
    assert sum(budget.used for budget in exchange.client.budgets.values()) == weight


def test_answers_are_the_exchanges_own(exchange: Exchange) -> None:
    exchange.replies = [(200, {}, b'{"symbol":"BTCUSDT","price":"61837.63000000"}')]
    assert exchange.client.ticker_price("BTCUSDT") == {"symbol": "BTCUSDT", "price": "61837.63000000"}
    assert exchange.client.time() == 1723161255343


def test_without_urls_the_settings_decide_at_the_first_call(exchange: Exchange) -> None:
    client = BinanceClient()
    config.use(Settings.read({"BINANCE_REST_URL": exchange.server.url + "/s/7"}))
    try:
        client.ping()
    finally:
        config.reset()
    assert exchange.asked == ["/s/7/api/v3/ping"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal(-1121), NotFound),
        (refusal(-1100), InvalidInput),
        (refusal(-1120), InvalidInput),
        ((403, {}, b"<html>firewall</html>"), Unavailable),
        ((404, {}, b"{}"), Unavailable),
        ((200, {}, b"<html>portal</html>"), Unavailable),
    ],
)
def test_refusals_are_translated(exchange: Exchange, reply: Reply, error: type[Exception]) -> None:
    exchange.replies = [reply]
    with pytest.raises(error):
        exchange.client.ticker_price("NOPE")
    assert len(exchange.asked) == 1


def test_a_passing_5xx_is_retried(exchange: Exchange) -> None:
    exchange.replies = [refusal(-1001, 500)]
    exchange.client.ping()
    assert len(exchange.asked) == 2


@pytest.mark.parametrize(
    ("status", "headers", "error", "pause_s"),
    [
        (429, {"Retry-After": "17"}, RateLimited, 17),
        (418, {"Retry-After": "300"}, Unavailable, 300),
        (429, {}, RateLimited, 60),
        (418, {}, Unavailable, 120),
    ],
)
def test_after_429_and_418_nothing_goes_out_until_it_may(
    exchange: Exchange, status: int, headers: dict[str, str], error: type[Exception], pause_s: int
) -> None:
    exchange.replies = [(status, headers, b'{"code":-1003,"msg":"Too much."}')]
    with pytest.raises(error) as first:
        exchange.client.depth("BTCUSDT")
    assert first.value.retry_after_s == pause_s  # type: ignore[attr-defined]  # a FleetError
    exchange.clock.advance(pause_s - 1)
    with pytest.raises(error) as second:
        exchange.client.ping()
    assert second.value.retry_after_s == pytest.approx(1)  # type: ignore[attr-defined]  # a FleetError
    assert len(exchange.asked) == 1
    exchange.client.ping("futures")  # another host with a budget of its own
    exchange.clock.advance(1)
    exchange.client.ping()
    assert len(exchange.asked) == 3


def test_the_exchanges_count_is_believed_and_its_minute_awaited(exchange: Exchange) -> None:
    exchange.headers = {"X-Mbx-Used-Weight-1m": "5990", "Date": "Sat, 01 Nov 2025 12:00:42 GMT"}
    exchange.client.ping()
    with pytest.raises(RateLimited) as refused:
        exchange.client.trades("BTCUSDT")
    assert refused.value.retry_after_s == pytest.approx(18)
    exchange.client.ping()  # a light one still fits
    exchange.clock.advance(18)
    exchange.client.trades("BTCUSDT")
    assert len(exchange.asked) == 3


def test_only_symbols_that_trade_are_listed_as_trading(exchange: Exchange) -> None:
    entries = [{"symbol": "BTCUSDT", "status": "TRADING", "filters": []}, {"symbol": "OLDUSDT", "status": "BREAK"}]
    exchange.replies = [(200, {}, json.dumps({"symbols": entries}).encode())]
    assert exchange.client.trading_symbols() == {"BTCUSDT"}


def test_a_list_of_symbols_that_is_none_is_unavailable(exchange: Exchange) -> None:
    exchange.replies = [(200, {}, b'{"symbols": 7}')]
    with pytest.raises(Unavailable, match="list of symbols"):
        exchange.client.trading_symbols()


def test_limits_that_exchange_info_names_are_kept(exchange: Exchange) -> None:
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100}
    raw = {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 7}
    exchange.replies = [(200, {}, json.dumps({"rateLimits": [limit, raw], "symbols": []}).encode())]
    exchange.client.exchange_info()
    exchange.client.ticker_24h()
    with pytest.raises(RateLimited):
        exchange.client.ping()


@pytest.mark.unit
def test_a_new_minute_of_the_exchange_resets_the_count_even_a_little_early() -> None:
    clock = FakeClock()
    budget = WeightBudget(100, clock)
    budget.spend(10)
    budget.learn(90, seconds_left=2)
    clock.advance(1.5)  # by our reckoning the minute lasts 0.5 s more
    budget.learn(3, seconds_left=60)
    assert budget.used == 3
    budget.learn(95, seconds_left=1)  # overtaken: of the minute before
    assert budget.used == 3
    budget.learn(2, seconds_left=59)  # overtaken within the minute
    assert budget.used == 3


@pytest.mark.unit
def test_without_a_date_the_count_still_ends_within_a_minute() -> None:
    clock = FakeClock()
    budget = WeightBudget(100, clock)
    for _ in range(3):
        budget.spend(1)
        budget.learn(100, seconds_left=None)
        with pytest.raises(RateLimited):
            budget.spend(1)
        clock.advance(60)


def test_several_symbols_are_for_spot_alone(exchange: Exchange) -> None:
    with pytest.raises(InvalidInput):
        exchange.client.ticker_24h(["A", "B"], "futures")
