"""What Binance sends is decoded or left alone; what it is asked is answered symbol by symbol."""

from collections.abc import Iterable
from itertools import pairwise

import msgspec
import pytest
import requests

from shared.clock import SystemClock
from shared.errors import NotFound, Unavailable
from shared.logger import get_logger
from shared.testing.net import free_port, wait_until
from shared.testing.process import ServiceProcess
from websocket_streaming.feeds.binance import BinanceFeed
from websocket_streaming.feeds.rest import BinanceExchange, binance_answers
from websocket_streaming.feeds.streams import streams
from websocket_streaming.feeds.wire import DepthFrame, ForceOrderFrame, KlineFrame, MarkPriceFrame, decode_frame
from websocket_streaming.ticks import Bar, Depth, Liquidation, MarkPrice, Symbol, Ticker, Trade
from websocket_streaming.topics import Topic

BTC, ETH = Symbol("spot", "BTCUSDT"), Symbol("spot", "ETHUSDT")
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
TICKER = (
    b'{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1723161255999,"s":"BTCUSDT","p":"475.71","P":"0.434",'
    b'"w":"1","x":"1","c":"61837.63","Q":"1","b":"1","B":"1","a":"1","A":"1","o":"61000","h":"62000","l":"60000",'
    b'"v":"16302.36631","q":"1","O":1,"C":2,"F":1,"L":3735683259,"n":1}}'
)


DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":50093239203,'
    b'"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.32332000"]]}}'
)
KLINE = (
    b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1723161260000,"s":"BTCUSDT","k":{"t":1723161240000,'
    b'"T":1723161299999,"s":"BTCUSDT","i":"1m","f":1,"L":9,"o":"1.0","c":"2.0","h":"3.0","l":"0.5","v":"7.0","n":9,'
    b'"x":false,"q":"14.0","V":"1","Q":"1","B":"0"}}}'
)
MARK = (
    b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":5,"s":"BTCUSDT","p":"61712.79","i":"61735.99",'
    b'"P":"61700","r":"0.00010000","ap":"1","T":1723190400000,"st":1}}'
)
FORCED = (
    b'{"stream":"btcusdt@forceOrder","data":{"e":"forceOrder","E":6,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT",'
    b'"f":"IOC","q":"0.014","p":"9910","ap":"9911","X":"FILLED","l":"0.014","z":"0.014","T":5}}}'
)


def fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__struct_fields__ if name != "symbol"}  # type: ignore[attr-defined]  # a msgspec.Struct


def test_a_trade_and_a_ticker_are_read_from_the_recorded_shapes() -> None:
    trade, ticker = decode_frame(TRADE).data, decode_frame(TICKER).data
    assert isinstance(trade, Trade)
    assert fields(trade) == fields(Trade(61837.63, 3735683259, 1723161255343, 0.02, 1723161255342, True))
    assert isinstance(ticker, Ticker)
    expected = Ticker(61837.63, 3735683259, 1723161255999, 16302.36631, 62000.0, 60000.0, 475.71, 0.434)
    assert fields(ticker) == fields(expected)


def test_depth_klines_mark_prices_and_forced_orders_are_read_from_their_shapes() -> None:
    depth, kline, mark, forced = (decode_frame(text).data for text in (DEPTH, KLINE, MARK, FORCED))
    assert isinstance(depth, DepthFrame)
    levels = [("55653.87000000", "0.00000000")], [("61838.04000000", "0.32332000")]
    assert fields(depth) == fields(Depth(1723161255308, 50093239203, 50093239207, *levels))
    assert isinstance(kline, KlineFrame)
    assert kline.bar.interval == "1m"
    assert [getattr(kline.bar, name) for name in Bar.__struct_fields__] == [
        1723161240000, 1723161299999, 1.0, 3.0, 0.5, 2.0, 7.0, 14.0, 9, False,
    ]  # fmt: skip
    assert isinstance(mark, MarkPriceFrame)
    assert fields(mark) == fields(MarkPrice(5, 61712.79, 61735.99, 0.0001, 1723190400000))
    assert isinstance(forced, ForceOrderFrame)
    assert forced.liquidation() == Liquidation("SELL", 9910.0, 9911.0, 0.014, 5, 6)


def test_a_topic_knows_its_streams_and_the_connection_of_each() -> None:
    assert streams(Topic("price", "spot", "BTCUSDT")) == [("/stream", "btcusdt@trade"), ("/stream", "btcusdt@ticker")]
    assert streams(Topic("klines", "futures", "BTCUSDT", "1M")) == [("/market/stream", "btcusdt@kline_1M")]
    assert streams(Topic("orderbook", "futures", "BTCUSDT")) == [("/public/stream", "btcusdt@depth@100ms")]
    assert ("/market/stream", "btcusdt@markPrice@1s") in streams(Topic("price", "futures", "BTCUSDT"))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"p":"61837.63000000"', b'"p":"NaN"'), (b"61837.63000000", b"inf"), (b"61837.63000000", b"-1"),
     (b"61837.63000000", b"1e999"), (b'"trade"', b'"bookTicker"'), (b'"t":3735683259', b'"t":"x"'), (b"}}", b"}")],
)  # fmt: skip
def test_what_no_client_could_use_is_refused(old: bytes, new: bytes) -> None:
    assert old in TRADE
    with pytest.raises(msgspec.DecodeError):
        decode_frame(TRADE.replace(old, new))


class Listener:
    """Notes what comes."""

    def __init__(self) -> None:
        self.came: list[tuple[str, Symbol]] = []
        self.states: list[tuple[str, tuple[str, ...], bool]] = []

    def count(self, kind: str, symbol: Symbol) -> int:
        return self.came.count((kind, symbol))

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        self.came.append(("trade", symbol))

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> None:
        self.came.append(("ticker", symbol))

    def on_mark(self, symbol: Symbol, mark: MarkPrice) -> None:
        self.came.append(("mark", symbol))

    def on_bar(self, symbol: Symbol, interval: str, bar: Bar, event_ms: int) -> None:
        self.came.append((interval, symbol))

    def on_depth(self, symbol: Symbol, depth: Depth) -> None:
        self.came.append(("depth", symbol))

    def on_liquidation(self, symbol: Symbol, order: Liquidation) -> None:
        self.came.append(("liquidation", symbol))

    def on_connection(self, market: str, channels: Iterable[str], connected: bool) -> None:
        self.states.append((market, tuple(channels), connected))


SPOT_CHANNELS = ("klines", "orderbook", "price", "trades")


@pytest.fixture(scope="module")
def warm(simulator: ServiceProcess) -> None:
    """The simulator's first call about futures reads tapes, which takes long on a busy machine."""
    for symbol in ("BTCUSDT", "ETHUSDT"):
        requests.get(f"{simulator.base_url}/fapi/v1/ticker/24hr?symbol={symbol}", timeout=60)


@pytest.mark.integration
@pytest.mark.usefixtures("warm")
class TestOverTheSimulator:
    """Over the real wire."""

    def test_topics_are_opened_closed_and_renewed(self, simulator: ServiceProcess) -> None:
        listener, price = Listener(), Topic("price", "spot", "BTCUSDT")
        feed = BinanceFeed(simulator.ws_url, "spot", listener, SystemClock(), get_logger("test"))
        feed.open([price])
        feed.start()
        wait_until(lambda: listener.count("trade", BTC) and listener.count("ticker", BTC), what="both streams")
        assert listener.states == [("spot", SPOT_CHANNELS, True)]
        feed.renew([price])
        seen = listener.count("trade", BTC)
        wait_until(lambda: listener.count("trade", BTC) > seen + 3, what="trades after a renewal")
        feed.close([price])
        feed.settle()
        feed.open([Topic("klines", "spot", "ETHUSDT", "1m"), Topic("orderbook", "spot", "ETHUSDT")])
        wait_until(lambda: listener.count("1m", ETH) and listener.count("depth", ETH), what="another symbol")
        seen = listener.count("trade", BTC)
        wait_until(lambda: listener.count("1m", ETH) > 2, what="klines")
        assert listener.count("trade", BTC) == seen
        feed.stop()
        assert listener.states[1:] == [("spot", SPOT_CHANNELS, False)]

    def test_a_stream_that_two_topics_need_stays_until_both_are_closed(self, simulator: ServiceProcess) -> None:
        listener = Listener()
        feed = BinanceFeed(simulator.ws_url, "spot", listener, SystemClock(), get_logger("test"))
        price, trades = Topic("price", "spot", "BTCUSDT"), Topic("trades", "spot", "BTCUSDT")
        feed.open([price, trades])
        feed.start()
        wait_until(lambda: listener.count("trade", BTC), what="trades")
        feed.close([price])
        feed.settle()
        seen = listener.count("trade", BTC)
        wait_until(lambda: listener.count("trade", BTC) > seen + 10, what="trades that go on")
        feed.stop()

    def test_futures_stand_on_two_connections_opened_when_they_are_wanted(self, simulator: ServiceProcess) -> None:
        listener, symbol = Listener(), Symbol("futures", "BTCUSDT")
        feed = BinanceFeed(simulator.ws_url, "futures", listener, SystemClock(), get_logger("test"))
        feed.start()
        feed.open([Topic("orderbook", *symbol)])
        wait_until(lambda: listener.count("depth", symbol), what="the book alone")
        assert listener.states == [("futures", ("orderbook",), True)]
        feed.open([Topic("price", *symbol)])
        wait_until(lambda: listener.count("trade", symbol) and listener.count("mark", symbol), what="the price")
        assert listener.states[1:] == [("futures", ("klines", "liquidations", "price", "trades"), True)]
        feed.stop()

    def test_a_connection_carries_no_more_streams_than_the_exchange_allows(self) -> None:
        feed = BinanceFeed("ws://127.0.0.1:1", "spot", Listener(), SystemClock(), get_logger("test"))
        feed.open([Topic("klines", "spot", f"S{n}", "1m") for n in range(1000)])
        more = [Topic("price", "spot", f"P{n}") for n in range(20)]
        assert feed.fits(more) == more[:12]
        assert feed.fits([Topic("klines", "spot", "S1", "1m")])

    def test_one_unknown_symbol_does_not_spoil_the_others(self, simulator: ServiceProcess) -> None:
        exchange = BinanceExchange()
        exchange.use(simulator.base_url, simulator.base_url)
        for market in ("spot", "futures"):
            names = ["NOPE", "BTCUSDT", "X", "ETHUSDT", "Y"]
            assert exchange.tickers(market, names).keys() == {"BTCUSDT", "ETHUSDT"}
            assert exchange.tickers(market, ["NOPE"]) == {}
            assert exchange.tickers(market, []) == {}
            assert {"BTCUSDT", "ETHUSDT"} <= exchange.lister(market).list_symbols()
        assert exchange.time_ms() > 1_700_000_000_000

    @pytest.mark.parametrize("market", ["spot", "futures"])
    def test_trades_klines_and_depth_come_typed_by_rest(self, simulator: ServiceProcess, market: str) -> None:
        exchange, symbol = BinanceExchange(), Symbol(market, "BTCUSDT")
        exchange.use(simulator.base_url, simulator.base_url)
        newest = exchange.newest_trades(symbol, 5)
        assert exchange.trades_from(symbol, newest[0].trade_id, 5) == newest
        bars = exchange.klines(symbol, "1m", 3)
        assert [later.open_ms - earlier.close_ms for earlier, later in pairwise(bars)] == [1, 1]
        snapshot = exchange.depth(symbol, 5)
        assert (len(snapshot.bids), len(snapshot.asks)) == (5, 5)
        with pytest.raises(NotFound):
            exchange.klines(Symbol(market, "NOPE"), "1m", 3)

    def test_ping_tells_whether_it_is_there(self, simulator: ServiceProcess) -> None:
        assert binance_answers(simulator.base_url)
        assert not binance_answers(simulator.base_url + "/nothing/here")


def test_an_exchange_that_is_away_is_unavailable() -> None:
    exchange = BinanceExchange()
    with pytest.raises(Unavailable, match="starting"):
        exchange.time_ms()
    exchange.use(f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        exchange.tickers("spot", ["BTCUSDT"])
    assert not binance_answers(f"http://127.0.0.1:{free_port()}")


