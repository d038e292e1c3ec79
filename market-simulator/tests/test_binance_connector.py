"""binance-connector, unmodified (only its URLs are set): Spot REST and its stream client."""

import json
import queue
from typing import Any

import pytest
from binance.error import ClientError
from binance.spot import Spot
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

pytestmark = [pytest.mark.integration, pytest.mark.api]


@pytest.fixture
def spot(simulator: Any) -> Any:
    return Spot(base_url=simulator.base_url)


def test_every_market_data_call_answers(spot: Any) -> None:
    assert spot.ping() == {}
    assert spot.time()["serverTime"] > 0
    assert [row["symbol"] for row in spot.exchange_info(symbols=["BTCUSDT", "ETHUSDT"])["symbols"]] == [
        "BTCUSDT",
        "ETHUSDT",
    ]
    assert len(spot.depth("BTCUSDT", limit=10)["bids"]) == 10
    assert len(spot.trades("BTCUSDT", limit=5)) == 5
    assert len(spot.historical_trades("BTCUSDT", limit=5)) == 5
    assert len(spot.agg_trades("BTCUSDT", limit=5)) == 5
    assert len(spot.klines("BTCUSDT", "1h", limit=3)) == 3
    assert len(spot.ui_klines("BTCUSDT", "1h", limit=3)) == 3
    assert spot.avg_price("BTCUSDT")["mins"] == 5
    assert spot.ticker_24hr("BTCUSDT")["symbol"] == "BTCUSDT"
    assert spot.trading_day_ticker("BTCUSDT")["symbol"] == "BTCUSDT"
    assert len(spot.ticker_price(symbols=["BTCUSDT", "ETHUSDT"])) == 2
    assert spot.book_ticker("BTCUSDT")["symbol"] == "BTCUSDT"
    assert spot.rolling_window_ticker("BTCUSDT", windowSize="1h")["symbol"] == "BTCUSDT"


def test_its_errors_are_the_exchanges(spot: Any) -> None:
    with pytest.raises(ClientError) as caught:
        spot.ticker_price("NOPEUSDT")
    assert (caught.value.status_code, caught.value.error_code) == (400, -1121)


def test_it_shows_the_used_weight(start_simulator: Any) -> None:
    spot = Spot(base_url=start_simulator().base_url, show_limit_usage=True)
    assert int(spot.time()["limit_usage"]["x-mbx-used-weight-1m"]) >= 1


def test_microseconds_on_request(simulator: Any) -> None:
    assert len(str(Spot(base_url=simulator.base_url, time_unit="MICROSECOND").time()["serverTime"])) == 16


@pytest.mark.websocket
@pytest.mark.parametrize("combined", [False, True])
def test_its_stream_client_gets_every_kind(simulator: Any, combined: bool) -> None:
    messages: queue.Queue[Any] = queue.Queue()
    client = SpotWebsocketStreamClient(
        stream_url=simulator.ws_url, on_message=lambda _, text: messages.put(json.loads(text)), is_combined=combined
    )
    wanted = {"trade", "aggTrade", "kline", "24hrTicker", "24hrMiniTicker", "depthUpdate", "bookTicker", "partial"}
    try:
        client.trade("btcusdt")
        client.agg_trade("btcusdt")
        client.kline("btcusdt", "1m")
        client.ticker("btcusdt")
        client.mini_ticker("btcusdt")
        client.diff_book_depth("btcusdt", speed=100)
        client.book_ticker("btcusdt")
        client.partial_book_depth("btcusdt", level=5, speed=100)
        missing = set(wanted)
        while missing:
            missing.discard(kind_of(messages.get(timeout=10)))
    finally:
        client.stop()


def kind_of(frame: Any) -> str | None:
    data = frame.get("data", frame)
    if "lastUpdateId" in data:
        return "partial"
    return data.get("e") or ("bookTicker" if "B" in data else None)
