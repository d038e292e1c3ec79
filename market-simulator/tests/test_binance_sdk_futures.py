"""Binance's own SDK for USDT-M futures, unmodified and not tuned for: its REST client and its stream client."""

import asyncio
from typing import Any

import pytest

sdk = pytest.importorskip(
    "binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures",
    reason="binance-sdk-derivatives-trading-usds-futures isn't installed",
)

pytestmark = [pytest.mark.integration, pytest.mark.api]


def client(simulator: Any) -> Any:
    return sdk.DerivativesTradingUsdsFutures(
        config_rest_api=sdk.ConfigurationRestAPI(base_path=simulator.base_url),
        config_ws_streams=sdk.ConfigurationWebSocketStreams(stream_url=simulator.ws_url),
    )


def test_its_market_data_calls_answer(simulator: Any) -> None:
    rest = client(simulator).rest_api
    assert len(rest.exchange_information().data().symbols) == 26
    assert len(rest.order_book("BTCUSDT", limit=10).data().bids) == 10
    assert len(rest.recent_trades_list("BTCUSDT", limit=5).data()) == 5
    assert len(rest.kline_candlestick_data("BTCUSDT", "1h", limit=3).data()) == 3
    assert len(rest.mark_price_kline_candlestick_data("BTCUSDT", "1h", limit=3).data()) == 3
    assert rest.mark_price("BTCUSDT").data().actual_instance.symbol == "BTCUSDT"
    assert len(rest.get_funding_rate_history("BTCUSDT", limit=3).data()) == 3
    assert rest.open_interest("BTCUSDT").data().symbol == "BTCUSDT"
    assert len(rest.open_interest_statistics("BTCUSDT", "1h", limit=3).data()) == 3
    assert len(rest.basis("BTCUSDT", "PERPETUAL", "1h", limit=3).data()) == 3
    assert rest.ticker24hr_price_change_statistics("BTCUSDT").data().actual_instance.symbol == "BTCUSDT"
    assert rest.symbol_price_ticker_v2("BTCUSDT").data().actual_instance.symbol == "BTCUSDT"
    assert rest.symbol_order_book_ticker("BTCUSDT").data().actual_instance.symbol == "BTCUSDT"


@pytest.mark.websocket
def test_its_streams_of_both_routes_arrive(simulator: Any) -> None:
    async def converse() -> list[Any]:
        connection = await client(simulator).websocket_streams.create_connection()
        seen: list[asyncio.Event] = []
        try:
            for subscribe in (
                connection.aggregate_trade_streams, connection.mark_price_stream, connection.diff_book_depth_streams,
                connection.individual_symbol_book_ticker_streams,
            ):  # fmt: skip
                stream = await subscribe(symbol="btcusdt")
                arrived = asyncio.Event()
                seen.append(arrived)
                stream.on("message", lambda _data, arrived=arrived: arrived.set())
            await asyncio.wait_for(asyncio.gather(*(one.wait() for one in seen)), 30)
        finally:
            await connection.close_connection(close_session=True)
        return seen

    assert len(asyncio.run(converse())) == 4
