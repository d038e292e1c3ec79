"""Klines in columns: a year of minutes in one answer, exact, without an object per bar."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from market_simulator.klines.bars import Bars, Ints
from market_simulator.market import Kline


@dataclass(frozen=True, slots=True)
class KlineTable:
    """Bars with their times, oldest first. `bars` is in `tick`s and `step`s (units of 1e-8); an untraded bar holds the
    price before it, and its `first_ids` is -1."""

    open_ms: Ints
    close_ms: Ints
    first_ids: Ints
    bars: Bars
    tick: int
    step: int

    def __len__(self) -> int:
        return len(self.open_ms)

    def klines(self) -> list[Kline]:
        """The rows as objects; a thousand take 2 ms."""
        tick, step, quote, bars = self.tick, self.step, self.tick * self.step, self.bars
        columns = (
            self.open_ms, self.close_ms, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.quote,
            bars.count, bars.buy_base, bars.buy_quote, self.first_ids,
        )  # fmt: skip
        return [
            Kline(
                opened, closed, first * tick, high * tick, low * tick, last * tick, volume * step, paid * quote,
                count, bought * step, spent * quote, id, id + count - 1 if count else -1,
            )
            for opened, closed, first, high, low, last, volume, paid, count, bought, spent, id in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]  # fmt: skip

    def rows(self, rows: Ints | slice) -> "KlineTable":
        """Some of the rows."""
        columns = (self.open_ms[rows], self.close_ms[rows], self.first_ids[rows], self.bars.rows(rows))
        return KlineTable(*columns, self.tick, self.step)


@runtime_checkable
class Tabled(Protocol):
    """A market that can give its bars in columns."""

    def klines_table(
        self,
        now_ms: int,
        interval: str,
        *,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
        offset_ms: int = 0,
    ) -> KlineTable | None:
        """The bars that SymbolMarket.klines lists; None while they are made one by one, as washed trades need it."""
        ...
