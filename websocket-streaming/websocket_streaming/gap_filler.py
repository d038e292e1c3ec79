"""Asks REST for what the stream doesn't bring: symbols just opened, trades missed while away, symbols gone silent."""

import threading
from collections.abc import Callable
from typing import Protocol

from shared.clock import Clock
from shared.errors import FleetError
from shared.logger import FleetLogger
from websocket_streaming.price_book import PriceBook
from websocket_streaming.ticks import Symbol, Ticker
from websocket_streaming.watchdog import Watchdog

AGAIN_AFTER_S = 1.0
# Symbols opened meanwhile share the next request: clients that come and go must not spend the weight budget.
PAUSE_S = 0.5


class Exchange(Protocol):
    """The exchange's REST side. Everything raises Unavailable when it can't be asked; retry later."""

    def tickers(self, market: str, names: list[str]) -> dict[str, Ticker]:
        """24 h figures of a market's symbols, by name; those that the exchange doesn't know are left out."""
        ...


class GapFiller:
    """Puts what REST says into the book. `is_wanted` and `publish` are the price channel's."""

    def __init__(
        self,
        *,
        clock: Clock,
        logger: FleetLogger,
        book: PriceBook,
        exchange: Exchange,
        is_wanted: Callable[[Symbol], bool],
        publish: Callable[[Symbol], None],
        renew: Callable[[list[Symbol]], None],
    ) -> None:
        self._clock, self._logger, self._book, self._exchange = clock, logger, book, exchange
        self._is_wanted, self._publish, self._renew = is_wanted, publish, renew
        self._watchdog = Watchdog(book)
        self._to_fill: set[Symbol] = set()
        self._work = threading.Event()

    def fill(self, symbols: list[Symbol]) -> None:
        """Have `run` ask for these soon; returns at once. Wishes that come together share one request."""
        self._to_fill.update(symbols)
        self._work.set()

    def run(self, stopping: threading.Event) -> None:
        """Fill what is asked for until `stopping`; tries again each second until the exchange answers."""
        while not stopping.is_set():
            if self._work.wait(timeout=1.0):
                self._clock.sleep(PAUSE_S if self.fill_now() else AGAIN_AFTER_S)

    def fill_now(self) -> bool:
        """Ask for everything that waits; False when that failed and must be tried again."""
        self._work.clear()
        wanted = [symbol for symbol in self._to_fill if self._is_wanted(symbol)]
        self._to_fill.clear()
        tickers = self._ask(wanted)
        if tickers is None:
            self.fill(wanted)
            return False
        for symbol in wanted:
            ticker = tickers.get(symbol)
            if ticker and self._is_wanted(symbol) and self._book.on_ticker(symbol, ticker):
                self._publish(symbol)
        return True

    def check_silent(self) -> None:
        """Compare each silent symbol's last trade with REST's; what the stream missed is filled, the stream renewed."""
        symbols = self._watchdog.due(self._clock.monotonic())
        asked = {symbol: self._book.trade_id(symbol) for symbol in symbols}
        tickers = self._ask(symbols) or {}
        missed = []
        for symbol, trade_id in asked.items():
            ticker = tickers.get(symbol)
            if ticker and trade_id is not None and self._book.on_check(symbol, ticker, trade_id):
                missed.append(symbol)
                self._publish(symbol)
        if missed:
            names = ", ".join(symbol.name for symbol in missed[:10])
            self._logger.warning("the stream missed trades of %s; filled by REST", names)
            self._renew(missed)

    def _ask(self, symbols: list[Symbol]) -> dict[Symbol, Ticker] | None:
        found: dict[Symbol, Ticker] = {}
        try:
            for market in dict.fromkeys(symbol.market for symbol in symbols):
                names = [symbol.name for symbol in symbols if symbol.market == market]
                tickers = self._exchange.tickers(market, names)
                found |= {Symbol(market, name): ticker for name, ticker in tickers.items()}
        except FleetError as error:
            self._logger.warning("asking REST for %d symbols failed: %s", len(symbols), error.message)
            return None
        return found
