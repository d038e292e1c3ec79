"""Which symbols are silent and must be checked by REST: an open connection by itself proves nothing."""

from websocket_streaming.freshness import SILENT_AFTER_S
from websocket_streaming.price_book import PriceBook
from websocket_streaming.ticks import Symbol


class Watchdog:
    """Remembers when each symbol was last checked, so that a silent one is checked every `SILENT_AFTER_S`."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._checked_at: dict[Symbol, float] = {}

    def due(self, now: float) -> list[Symbol]:
        """The symbols to check now (`now` in monotonic seconds), while their market is connected; notes the check."""
        silent = [symbol for symbol in self._book.symbols if self._is_silent(symbol)]
        due = [symbol for symbol in silent if now - self._checked_at.get(symbol, -SILENT_AFTER_S) >= SILENT_AFTER_S]
        self._checked_at = {symbol: at for symbol, at in self._checked_at.items() if symbol in set(silent)}
        self._checked_at.update(dict.fromkeys(due, now))
        return due

    def _is_silent(self, symbol: Symbol) -> bool:
        age_s = self._book.age_s(symbol)
        return self._book.is_connected(symbol.market) and age_s is not None and age_s >= SILENT_AFTER_S
