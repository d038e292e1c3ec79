"""Binance, or what speaks its protocol: streams into the price channel, REST for what streams can't tell."""

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from shared.binance_client import BinanceClient
from shared.binance_stream import STOPPED, BinanceStream
from shared.clock import Clock
from shared.errors import FleetError, InvalidInput, NotFound, RateLimited, Unavailable
from shared.logger import FleetLogger
from websocket_streaming.feeds.wire import RestTicker, TickerFrame, decode_frame
from websocket_streaming.price_book import SILENT_AFTER_S, Symbol, Ticker, Trade
from websocket_streaming.venue import PING_TIMEOUT_S

STREAMS = ("trade", "ticker")
REST_TIMEOUT_S = 5.0
MAX_TOLD = 512  # symbols: the exchange's 1,024 streams of one connection
MAX_NAMES = 100  # of one call: weight 2 up to 20, 40 up to 100

T = TypeVar("T")


class Listener(Protocol):
    """Who is told what came."""

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        """A trade."""
        ...

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> None:
        """24 h figures."""
        ...

    def on_connection(self, market: str, connected: bool) -> None:
        """The upstream came or went."""
        ...


class BinanceFeed:
    """One connection with two streams per symbol. The channel opens and closes symbols; what comes goes to it."""

    def __init__(self, url: str, market: str, listener: Listener, clock: Clock, logger: FleetLogger) -> None:
        self._url, self._market, self._listener, self._clock, self._logger = url, market, listener, clock, logger
        self._stream = BinanceStream(url, self._on_message, self._on_state, clock)
        self._symbols: dict[str, Symbol] = {}  # one object per name: nothing is made per message
        self._told: set[Symbol] = set()  # what the exchange was asked for; a little more than is wanted
        self._last_message_at = clock.monotonic()
        self._connected_before = False

    def start(self) -> None:
        """Connect, and connect again whenever the connection is lost; returns at once."""
        self._stream.start()

    def stop(self) -> None:
        """Disconnect."""
        self._stream.stop()

    def open(self, symbols: list[Symbol]) -> None:
        """See `price_channel.Upstream`."""
        self._symbols.update({symbol.name: symbol for symbol in symbols})
        if len(self._told.union(symbols)) > MAX_TOLD:
            self.settle()
        fresh = [symbol for symbol in symbols if symbol not in self._told]
        self._told.update(fresh)
        self._stream.subscribe(_streams(fresh))

    def close(self, symbols: list[Symbol]) -> None:
        """See `price_channel.Upstream`. The exchange is told by `settle`."""
        for symbol in symbols:
            self._symbols.pop(symbol.name, None)

    def settle(self) -> None:
        """About once a second: unsubscribe from what was closed and not opened again meanwhile.

        The exchange takes 5 messages a second: a client that subscribes and unsubscribes in turn must not reach it.
        """
        gone = [symbol for symbol in self._told if symbol.name not in self._symbols]
        self._told.difference_update(gone)
        self._stream.unsubscribe(_streams(gone))

    def renew(self, symbols: list[Symbol]) -> None:
        """See `price_channel.Upstream`. A connection that brings nothing at all is replaced."""
        if self._clock.monotonic() - self._last_message_at >= SILENT_AFTER_S:
            self._stream.reconnect()
            return
        self._stream.unsubscribe(_streams(symbols))
        self._stream.subscribe(_streams(symbols))

    def _on_message(self, message: bytes) -> None:
        try:
            data = decode_frame(message).data
        except msgspec.DecodeError:
            return  # not one of our two streams, or garbage: what it hides shows as silence
        self._last_message_at = self._clock.monotonic()
        symbol = self._symbols.get(data.symbol)
        if symbol is None:
            return  # some frames still come after UNSUBSCRIBE
        if isinstance(data, TickerFrame):
            self._listener.on_ticker(symbol, data.ticker())
        else:
            self._listener.on_trade(symbol, data.trade())

    def _on_state(self, connected: bool) -> None:
        self._last_message_at = self._clock.monotonic()
        self._listener.on_connection(self._market, connected)
        if self._stream.reason == STOPPED:
            return
        if not connected:
            what = "lost" if self._connected_before else "away"
            self._logger.warning("Upstream %s at %s (%s); trying again", what, self._url, self._stream.reason)
            return
        names = sorted(self._symbols) if not self._connected_before else [f"{len(self._symbols)} symbols again"]
        self._connected_before = True
        for name in names:
            self._logger.info("Upstream connected: %s", name)


class BinanceExchange:
    """Spot REST. Before `use` and while the exchange is away, every call raises Unavailable; retry later."""

    def __init__(self) -> None:
        self._client: BinanceClient | None = None

    def use(self, base_url: str) -> None:
        """Ask there from now on. Callers try again by themselves, so a call isn't repeated here."""
        self._client = BinanceClient(base_url, timeout_s=REST_TIMEOUT_S, retries=0)

    def tickers(self, names: list[str]) -> dict[str, Ticker]:
        """See `gap_filler.Exchange`."""
        found: dict[str, Ticker] = {}
        for start in range(0, len(names), MAX_NAMES):
            found |= self._tickers(names[start : start + MAX_NAMES])
        return found

    def time_ms(self) -> int:
        """See `gap_filler.Exchange`."""
        return self._ask(lambda client: client.time())

    def list_symbols(self) -> frozenset[str]:
        """See `symbol_list.Lister`."""
        return self._ask(lambda client: client.trading_symbols())

    def _tickers(self, names: list[str]) -> dict[str, Ticker]:
        """One unknown name fails the whole call (-1121): then each half is asked for itself."""
        try:
            entries = msgspec.convert(
                self._ask(lambda client: client.ticker_24h(names)), list[RestTicker], strict=False
            )
        except msgspec.ValidationError as error:
            raise Unavailable(f"the exchange's 24 h figures can't be read: {error}") from None
        except NotFound:
            if len(names) == 1:
                return {}
            middle = len(names) // 2
            return self._tickers(names[:middle]) | self._tickers(names[middle:])
        return {entry.symbol: entry.ticker() for entry in entries}

    def _ask(self, question: Callable[[BinanceClient], T]) -> T:
        if self._client is None:
            raise Unavailable("the service is starting")
        try:
            return question(self._client)
        except InvalidInput as error:
            raise NotFound(error.message) from None  # a name that the exchange finds illegal
        except RateLimited as error:
            raise Unavailable(error.message, retry_after_s=error.retry_after_s) from None  # its limit, not our client's


def binance_answers(base_url: str) -> bool:
    """Whether Binance's ping answers 200 within `PING_TIMEOUT_S`, looking up its name included."""
    answered = threading.Event()

    def ask() -> None:
        try:
            BinanceClient(base_url, timeout_s=PING_TIMEOUT_S, retries=0).ping()
        except FleetError:
            return
        answered.set()

    thread = threading.Thread(target=ask, name="venue", daemon=True)
    thread.start()
    thread.join(PING_TIMEOUT_S)
    return answered.is_set()


def _streams(symbols: list[Symbol]) -> list[str]:
    return [f"{symbol.name.lower()}@{stream}" for symbol in symbols for stream in STREAMS]
