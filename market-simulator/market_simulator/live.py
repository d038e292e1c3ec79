"""What recorded and generated markets share: a live position in time, a history, and books moved by scenarios."""

from collections.abc import Iterable

from market_simulator.klines.kline_table import KlineTable
from market_simulator.market import BookTicker, BookView, Event, Kline, Level, Repricing, SymbolInfo, Trade, Window
from market_simulator.order_book import difference
from market_simulator.trade_history import TradeHistory, TradeSource

EPOCH_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z: lap 0 and the first generated day start here
_LONGEST_STEP_MS = 60_000


def moved(levels: Iterable[Level], shift: int) -> list[Level]:
    """Levels with `shift` added to each price; those that fall to 0 or below are left out."""
    if not shift:
        return list(levels)
    return [(price + shift, quantity) for price, quantity in levels if price + shift > 0]


def moved_difference(
    before: Iterable[Level], before_shift: int, after: Iterable[Level], after_shift: int
) -> tuple[Level, ...]:
    """What a depth update carries when the shift changes: the whole difference of one side."""
    return difference(dict(moved(before, before_shift)), dict(moved(after, after_shift)))


class LiveMarket:
    """A SymbolMarket but for its book: subclasses place it, step it and show it."""

    def __init__(self, info: SymbolInfo, source: TradeSource) -> None:
        self.info = info
        self._history = TradeHistory(source, EPOCH_MS)
        self._reached_ms: int | None = None

    def advance(self, to_ms: int) -> list[Event]:
        """As SymbolMarket.advance. Raises ValueError for an instant before 2020."""
        if to_ms < EPOCH_MS:
            raise ValueError("the market starts at 2020-01-01T00:00:00Z")
        reached, self._reached_ms = self._reached_ms, to_ms
        if reached is None or not 0 <= to_ms - reached <= _LONGEST_STEP_MS:
            self._place(to_ms)
            return []
        return self._step(reached, to_ms)

    def _place(self, at_ms: int) -> None:
        """Put the live book where it stands at this instant."""
        raise NotImplementedError

    def _step(self, from_ms: int, to_ms: int) -> list[Event]:
        """Move the live book and list what happened in (from_ms, to_ms]."""
        raise NotImplementedError

    def book(self) -> BookView:
        """As SymbolMarket.book; `advance` comes first."""
        raise NotImplementedError

    def best(self) -> BookTicker:
        """As SymbolMarket.best; `advance` comes first."""
        raise NotImplementedError

    def reprice(self, repricing: Repricing) -> None:
        """As SymbolMarket.reprice; what was shown already stays as it was. ValueError: 100 are running already."""
        self._history.reprice(repricing, EPOCH_MS - 1 if self._reached_ms is None else self._reached_ms)

    def trades(
        self,
        now_ms: int,
        *,
        limit: int,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Trade]:
        """As SymbolMarket.trades: what the exchange knows at `now_ms`, a little ahead of its streams as in life."""
        return self._history.trades(now_ms, limit=limit, from_id=from_id, start_ms=start_ms, end_ms=end_ms)

    def klines(
        self,
        now_ms: int,
        interval: str,
        *,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
        offset_ms: int = 0,
    ) -> list[Kline]:
        """As SymbolMarket.klines. Raises ValueError for an unknown interval."""
        return self.klines_table(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        ).klines()

    def klines_table(
        self,
        now_ms: int,
        interval: str,
        *,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
        offset_ms: int = 0,
    ) -> KlineTable:
        """As SymbolMarket.klines_table. Raises ValueError for an unknown interval."""
        return self._history.klines(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        )

    def kline_at(self, now_ms: int, interval: str, offset_ms: int = 0) -> Kline:
        """As SymbolMarket.kline_at. Raises ValueError for an unknown interval."""
        return self._history.kline_at(now_ms, interval, offset_ms)

    def window(self, now_ms: int, length_ms: int) -> Window:
        """As SymbolMarket.window."""
        return self._history.window(now_ms, length_ms)
