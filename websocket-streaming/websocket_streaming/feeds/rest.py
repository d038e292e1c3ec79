"""Binance's REST side: what streams can't tell."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from shared.binance_client import BinanceClient, Market
from shared.errors import FleetError, InvalidInput, NotFound, RateLimited, Unavailable
from websocket_streaming.feeds.wire import RestBar, RestDepth, RestTicker, RestTrade
from websocket_streaming.ticks import Bar, Snapshot, Symbol, Ticker, Trade
from websocket_streaming.topics import SPOT
from websocket_streaming.venue import PING_TIMEOUT_S

REST_TIMEOUT_S = 5.0
MAX_NAMES = 100  # of one call: weight 2 up to 20, 40 up to 100
ALL_FUTURES_WEIGHT = 40  # for all symbols; one alone weighs 1

T = TypeVar("T")


class BinanceExchange:
    """Spot and futures REST. Before `use` and while the exchange is away, every call raises Unavailable: retry."""

    def __init__(self) -> None:
        self._client: BinanceClient | None = None

    def use(self, base_url: str, futures_base_url: str) -> None:
        """Ask there from now on. Callers try again by themselves, so a call isn't repeated here."""
        self._client = BinanceClient(base_url, futures_base_url, timeout_s=REST_TIMEOUT_S, retries=0)

    def tickers(self, market: str, names: list[str]) -> dict[str, Ticker]:
        """See `gap_filler.Exchange`."""
        if market != SPOT:
            return self._futures_tickers(names)
        found: dict[str, Ticker] = {}
        for start in range(0, len(names), MAX_NAMES):
            found |= self._spot_tickers(names[start : start + MAX_NAMES])
        return found

    def time_ms(self) -> int:
        """See `channels.TimeSource`."""
        return self._ask(lambda client: client.time())

    def newest_trades(self, symbol: Symbol, limit: int) -> list[Trade]:
        """See `trade_channel.TradeSource`."""
        rows = self._ask(lambda client: client.trades(symbol.name, limit, _market(symbol.market)))
        return [row.trade() for row in _read(rows, list[RestTrade])]

    def trades_from(self, symbol: Symbol, trade_id: int, limit: int) -> list[Trade]:
        """See `trade_channel.TradeSource`."""
        rows = self._ask(
            lambda client: client.historical_trades(
                symbol.name, from_id=trade_id, limit=limit, market=_market(symbol.market)
            )
        )
        return [row.trade() for row in _read(rows, list[RestTrade])]

    def klines(self, symbol: Symbol, interval: str, limit: int, start_ms: int | None = None) -> list[Bar]:
        """See `kline_channel.KlineSource`."""
        rows = self._ask(
            lambda client: client.klines(
                symbol.name, interval, start_ms=start_ms, limit=limit, market=_market(symbol.market)
            )
        )
        return [row.bar() for row in _read(rows, list[RestBar])]

    def depth(self, symbol: Symbol, limit: int) -> Snapshot:
        """See `book_channel.BookSource`."""
        return _read(self._ask(lambda client: client.depth(symbol.name, limit, _market(symbol.market))), RestDepth)

    def lister(self, market: str) -> "MarketLister":
        """The list of a market's symbols."""
        return MarketLister(lambda: self._ask(lambda client: client.trading_symbols(_market(market))))

    def _spot_tickers(self, names: list[str]) -> dict[str, Ticker]:
        """One unknown name fails the whole call (-1121): then each half is asked for itself."""
        try:
            entries = self._ask(lambda client: client.ticker_24h(names))
        except NotFound:
            if len(names) == 1:
                return {}
            middle = len(names) // 2
            return self._spot_tickers(names[:middle]) | self._spot_tickers(names[middle:])
        return {entry.symbol: entry for entry in _read(entries, list[RestTicker])}

    def _futures_tickers(self, names: list[str]) -> dict[str, Ticker]:
        """Futures tell one symbol or all."""
        if len(names) >= ALL_FUTURES_WEIGHT:
            everything = self._ask(lambda client: client.ticker_24h(None, "futures"))
            return {entry.symbol: entry for entry in _read(everything, list[RestTicker]) if entry.symbol in set(names)}
        found: dict[str, Ticker] = {}
        for name in names:
            try:
                answer = self._ask(partial(BinanceClient.ticker_24h, symbol=name, market="futures"))
                found[name] = _read(answer, RestTicker)
            except NotFound:
                continue
        return found

    def _ask(self, question: Callable[[BinanceClient], T]) -> T:
        if self._client is None:
            raise Unavailable("the service is starting")
        try:
            return question(self._client)
        except InvalidInput as error:
            raise NotFound(error.message) from None  # a name that the exchange finds illegal
        except RateLimited as error:
            raise Unavailable(error.message, retry_after_s=error.retry_after_s) from None  # its limit, not our client's


class MarketLister:
    """See `symbol_list.Lister`."""

    def __init__(self, ask: Callable[[], frozenset[str]]) -> None:
        self._ask = ask

    def list_symbols(self) -> frozenset[str]:
        """See `symbol_list.Lister`."""
        return self._ask()


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


def _market(name: str) -> Market:
    return "spot" if name == SPOT else "futures"


def _read(document: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(document, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Unavailable(f"the exchange's answer can't be read: {error}") from None
