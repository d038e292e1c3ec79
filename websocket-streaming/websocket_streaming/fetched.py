"""What REST answered for symbols that nobody streams, kept for a second so that busy callers spend little weight."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from shared.clock import Clock
from shared.errors import NotFound
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.ticks import Symbol

KEPT_S = 1.0
MAX_KEPT = 1000
T = TypeVar("T")


class Fetched:
    """Asks once a second at most for the same thing, and never for a symbol that the exchange doesn't list."""

    def __init__(self, clock: Clock, listings: Mapping[str, SymbolList]) -> None:
        self._clock, self._listings = clock, listings
        self._kept: dict[tuple[Any, ...], tuple[float, Any]] = {}

    def get(self, symbol: Symbol, what: tuple[Any, ...], ask: Callable[[], T]) -> tuple[T, float]:
        """The answer of `ask` and its age in seconds; `what` tells it from others about the symbol.

        Raises NotFound for a symbol that isn't listed, Unavailable when that can't be asked (retry), and what `ask`
        raises.
        """
        key = (symbol, *what)
        kept = self._kept.get(key)
        if kept is None or self._clock.monotonic() - kept[0] >= KEPT_S:
            if self._listings[symbol.market].unknown([symbol.name]):
                raise NotFound(f"{symbol.name} is not listed by the exchange on {symbol.market}")
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            asked_at = self._clock.monotonic()
            kept = self._kept[key] = asked_at, ask()
        answer: T = kept[1]
        return answer, self._clock.monotonic() - kept[0]
