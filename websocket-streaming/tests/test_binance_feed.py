"""What Binance sends is decoded or left alone; what it is asked is answered symbol by symbol."""

import msgspec
import pytest

from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.logger import get_logger
from shared.testing.net import free_port, wait_until
from shared.testing.process import ServiceProcess
from websocket_streaming.feeds.binance import BinanceExchange, BinanceFeed, binance_answers
from websocket_streaming.feeds.wire import TickerFrame, TradeFrame, decode_frame
from websocket_streaming.price_book import Symbol, Ticker, Trade

BTC = Symbol("spot", "BTCUSDT")
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
TICKER = (
    b'{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1723161255999,"s":"BTCUSDT","p":"475.71","P":"0.434",'
    b'"w":"1","x":"1","c":"61837.63","Q":"1","b":"1","B":"1","a":"1","A":"1","o":"61000","h":"62000","l":"60000",'
    b'"v":"16302.36631","q":"1","O":1,"C":2,"F":1,"L":3735683259,"n":1}}'
)


def test_a_trade_and_a_ticker_are_read_from_the_recorded_shapes() -> None:
    trade, ticker = decode_frame(TRADE).data, decode_frame(TICKER).data
    assert isinstance(trade, TradeFrame)
    assert trade.trade() == Trade(61837.63, 3735683259, 1723161255343)
    assert isinstance(ticker, TickerFrame)
    figures = {"volume": 16302.36631, "high": 62000.0, "low": 60000.0, "change": 475.71, "change_pct": 0.434}
    assert ticker.ticker() == Ticker(61837.63, 3735683259, 1723161255999, **figures)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"p":"61837.63000000"', b'"p":"NaN"'), (b"61837.63000000", b"inf"), (b"61837.63000000", b"-1"),
     (b"61837.63000000", b"1e999"), (b'"trade"', b'"kline"'), (b'"t":3735683259', b'"t":"x"'), (b"}}", b"}")],
)  # fmt: skip
def test_what_no_client_could_use_is_refused(old: bytes, new: bytes) -> None:
    assert old in TRADE
    with pytest.raises(msgspec.DecodeError):
        decode_frame(TRADE.replace(old, new))


class Listener:
    """Counts what comes."""

    def __init__(self) -> None:
        self.trades: list[Symbol] = []
        self.tickers: list[Symbol] = []
        self.states: list[bool] = []

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        self.trades.append(symbol)

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> None:
        self.tickers.append(symbol)

    def on_connection(self, market: str, connected: bool) -> None:
        self.states.append(connected)


@pytest.mark.integration
class TestOverTheSimulator:
    """Over the real wire."""

    def test_symbols_are_opened_closed_and_renewed(self, simulator: ServiceProcess) -> None:
        listener = Listener()
        feed = BinanceFeed(simulator.ws_url, "spot", listener, SystemClock(), get_logger("test"))
        feed.open([BTC])
        feed.start()
        wait_until(lambda: listener.trades and listener.tickers, what="both streams")
        assert listener.states == [True]
        feed.renew([BTC])
        seen = len(listener.trades)
        wait_until(lambda: len(listener.trades) > seen + 3, what="trades after a renewal")
        feed.close([BTC])
        feed.settle()
        feed.open([Symbol("spot", "ETHUSDT")])
        wait_until(lambda: Symbol("spot", "ETHUSDT") in listener.trades, what="another symbol")
        seen = listener.trades.count(BTC)
        wait_until(lambda: listener.tickers.count(Symbol("spot", "ETHUSDT")) > 2, what="tickers")
        assert listener.trades.count(BTC) == seen
        feed.stop()
        assert listener.states == [True, False]

    def test_one_unknown_symbol_does_not_spoil_the_others(self, simulator: ServiceProcess) -> None:
        exchange = BinanceExchange()
        exchange.use(simulator.base_url)
        assert exchange.tickers(["NOPE", "BTCUSDT", "X", "ETHUSDT", "Y"]).keys() == {"BTCUSDT", "ETHUSDT"}
        assert exchange.tickers(["NOPE"]) == {}
        assert exchange.tickers([]) == {}
        assert {"BTCUSDT", "ETHUSDT"} <= exchange.list_symbols()
        assert exchange.time_ms() > 1_700_000_000_000

    def test_ping_tells_whether_it_is_there(self, simulator: ServiceProcess) -> None:
        assert binance_answers(simulator.base_url)
        assert not binance_answers(simulator.base_url + "/nothing/here")


def test_an_exchange_that_is_away_is_unavailable() -> None:
    exchange = BinanceExchange()
    with pytest.raises(Unavailable, match="starting"):
        exchange.time_ms()
    exchange.use(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        exchange.tickers(["BTCUSDT"])
    assert not binance_answers(f"http://127.0.0.1:{free_port()}")


