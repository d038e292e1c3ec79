"""A replay: recorded minutes as a live market. Bars are the recording's, trades and books between them are made."""

from collections.abc import Iterable

import numpy as np

from market_simulator.klines.intervals import later_open, open_time
from market_simulator.klines.kline_table import KlineTable
from market_simulator.live import EPOCH_MS
from market_simulator.market import UNIT, SymbolInfo
from market_simulator.replay.bars import MINUTE_MS, ReplayBars
from market_simulator.replay.trades import USUAL_TRADES, ReplayTrades
from market_simulator.seeded.days import Profile
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.seeded.trades import TICK_MS
from market_simulator.trade_history import TradeHistory


class ReplayMarket(GeneratedMarket):
    """One recorded symbol. In a hole of the recording, before and after it, nothing happens: the exchange is away."""

    def __init__(self, bars: ReplayBars, seed: int) -> None:
        """Takes some 30 ms and 6 MB for a month. `bars` may be shared by many markets."""
        self._bars = bars
        self._trades = ReplayTrades(bars, seed)
        info = SymbolInfo(bars.symbol, bars.base, bars.quote, bars.tick, bars.step, "replayed")
        super().__init__(info, _profile(bars), seed, self._trades)
        self._history = TradeHistory(self._trades, bars.start_ms)

    def _place(self, at_ms: int) -> None:
        super()._place(self._trades.open_at(at_ms))

    def _ticks(self, first: int, last: int) -> Iterable[int]:
        instants = ((tick, EPOCH_MS + tick * TICK_MS) for tick in range(first, last + 1))
        return [tick for tick, at_ms in instants if self._trades.open_at(at_ms) == at_ms]

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
        """As SymbolMarket.klines_table; like the exchange's, the list has no bar where the exchange was away."""
        newest_ms = min(now_ms, self._bars.end_ms - 1)
        most_ms = newest_ms if end_ms is None else min(end_ms, newest_ms)

        def ask(count: int) -> KlineTable:
            table = super(ReplayMarket, self).klines_table(
                now_ms, interval, limit=count, start_ms=start_ms, end_ms=most_ms, offset_ms=offset_ms
            )
            return table.rows(np.flatnonzero(~self._is_away(table)))

        table = ask(limit)
        if len(table) < limit and self._bars.holes:
            table = ask(limit + self._hidden(interval))
        return table.rows(slice(-limit, None) if start_ms is None else slice(limit))

    def _is_away(self, table: KlineTable) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        away = np.zeros(len(table), dtype=np.bool_)
        for start_ms, end_ms in self._bars.holes:
            away |= (table.open_ms >= start_ms) & (table.close_ms < end_ms)
        return away

    def _hidden(self, interval: str) -> int:
        """At most so many bars lie in holes."""
        opened = open_time(self._bars.start_ms, interval)
        length_ms = later_open(opened, interval) - opened
        return sum((end_ms - start_ms) // length_ms for start_ms, end_ms in self._bars.holes)

    def status(self, now_ms: int) -> dict[str, object]:
        """As SymbolMarket.status: what the recording holds and lacks. Times in ms."""
        bars = self._bars
        return {
            "kind": self.info.kind,
            "from": bars.start_ms,
            "to": bars.end_ms,
            "bars": bars.recorded,
            "holes": [
                {"from": start_ms, "to": end_ms, "minutes": (end_ms - start_ms) // MINUTE_MS}
                for start_ms, end_ms in bars.holes
            ],
            "duplicates": list(bars.duplicates_ms),
            "rounded": bars.rounded,
            "quoted": bars.quoted,
            "away": self._trades.open_at(now_ms) != now_ms,
            "ended": now_ms >= bars.end_ms,
            "note": "bars are recorded, trades and books between them are generated",
        }


def _profile(bars: ReplayBars) -> Profile:
    """What the book maker needs to know."""
    traded = bars.volume > 0
    price = float(np.median(bars.close[traded])) * bars.tick / UNIT
    volume = float(np.median(bars.volume[traded])) * bars.step / UNIT
    return Profile(price, 0.0, USUAL_TRADES, volume * price / USUAL_TRADES)
