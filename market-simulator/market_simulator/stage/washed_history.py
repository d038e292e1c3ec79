"""The past of a market with washed trades: lists, klines and windows that agree with what was streamed."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from market_simulator.klines.kline_table import KlineTable, Tabled
from market_simulator.market import Kline, SymbolMarket, Trade, Window
from market_simulator.stage.washing import WashTrading

MAX_WASHED = 50_000  # washed trades of one market that its history remembers
MAX_RUNNING = 100
_KEPT_MS = 60_000  # a trade may be streamed a little after its time: a wash trading that is over is needed that long
_BATCH = 5_000


class Change(NamedTuple):
    """What washing adds to the sums of some trades; units of 1e-8, quotes 1e-16. Each may be negative."""

    volume: int = 0
    quote: int = 0
    buy_base: int = 0
    buy_quote: int = 0


class Washed:
    """The washed trades of one market, by id. Past `limit` the oldest tenth is forgotten: the tape's own come back."""

    def __init__(self, limit: int = MAX_WASHED) -> None:
        self._limit = limit
        self._ids, self._quantities, self._makers = array("q"), array("q"), bytearray()
        # sums before each trade and of all; Python integers: quotes in units of 1e-16 pass 64 bits
        self._sums: list[Change] = [Change()]

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, before: Trade, after: Trade) -> None:
        """Take a washed trade; ids rise."""
        bought = after.quantity * (not after.buyer_is_maker) - before.quantity * (not before.buyer_is_maker)
        volume = after.quantity - before.quantity
        old = self._sums[-1]
        self._sums.append(
            Change(
                old.volume + volume,
                old.quote + volume * before.price,
                old.buy_base + bought,
                old.buy_quote + bought * before.price,
            )
        )
        self._ids.append(after.id)
        self._quantities.append(after.quantity)
        self._makers.append(after.buyer_is_maker)
        if len(self._ids) > self._limit:
            self._forget(self._limit // 10)

    def _forget(self, count: int) -> None:
        del self._ids[:count], self._quantities[:count], self._makers[:count], self._sums[:count]

    def change(self, first_id: int, last_id: int) -> Change:
        """What to add to the sums of the trades `first_id` to `last_id`, both included."""
        first, last = bisect_left(self._ids, first_id), bisect_right(self._ids, last_id)
        return Change(*(after - before for before, after in zip(self._sums[first], self._sums[last], strict=True)))

    def shown(self, trades: Iterable[Trade]) -> Iterator[Trade]:
        """Trades as washed."""
        for trade in trades:
            place = bisect_left(self._ids, trade.id)
            if place < len(self._ids) and self._ids[place] == trade.id:
                yield replace(trade, quantity=self._quantities[place], buyer_is_maker=bool(self._makers[place]))
            else:
                yield trade


class WashedHistory:
    """The history calls of a market, washed. Trades are looked at once, when they are known, and kept as sums."""

    def __init__(self, market: SymbolMarket) -> None:
        self._market = market
        self._running: list[WashTrading] = []
        self._washed = Washed()
        self._next_id = 0  # the first trade that `_look` hasn't seen
        self._looked_ms = 0

    @property
    def is_plain(self) -> bool:
        """Whether no trade to be streamed can be washed."""
        return not self._running

    def wash(self, washing: WashTrading, reached_ms: int) -> None:
        """As StagedMarket.wash."""
        self._look(reached_ms)
        self._running = [one for one in self._running if one.end_ms + _KEPT_MS > reached_ms]
        if len(self._running) >= MAX_RUNNING:
            raise ValueError(f"no more than {MAX_RUNNING} wash tradings at a time")
        if all(one.end_ms <= reached_ms for one in self._running):
            newest = self._market.trades(reached_ms, limit=1)
            self._next_id = newest[-1].id + 1 if newest else 0
            self._looked_ms = reached_ms
        washing.start_ms = max(washing.start_ms, reached_ms + 1)
        self._running.append(washing)

    def end(self, washing: WashTrading, reached_ms: int) -> None:
        """As StagedMarket.end_wash."""
        self._look(reached_ms)
        washing.end_ms = min(washing.end_ms, reached_ms + 1)

    def label(self, trade: Trade) -> Trade:
        """A trade of the stream as washed, or as it is; of two wash tradings the older one has it."""
        return next((washed for one in self._running if (washed := one.label(trade))), trade)

    def _look(self, now_ms: int) -> None:
        """Take the washed trades up to this instant into the history's sums."""
        until_ms = min(now_ms, max((one.end_ms for one in self._running), default=0))
        if until_ms <= self._looked_ms:
            return
        self._looked_ms = until_ms
        while trades := self._market.trades(now_ms, limit=_BATCH, from_id=self._next_id, end_ms=until_ms):
            for trade in trades:
                self._take(trade)
            self._next_id = trades[-1].id + 1

    def _take(self, trade: Trade) -> None:
        for one in self._running:
            if washed := one.label(trade):
                self._washed.add(trade, washed)
                one.washed += 1
                one.ids.append(trade.id)
                return

    def trades(
        self,
        now_ms: int,
        *,
        limit: int,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Trade]:
        """As SymbolMarket.trades."""
        trades = self._market.trades(now_ms, limit=limit, from_id=from_id, start_ms=start_ms, end_ms=end_ms)
        self._look(now_ms)
        return list(self._washed.shown(trades)) if self._washed else trades

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
        """As SymbolMarket.klines."""
        klines = self._market.klines(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        )
        self._look(now_ms)
        return [self._washed_bar(bar) for bar in klines] if self._washed else klines

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
        """As Tabled.klines_table; None once a trade was washed."""
        self._look(now_ms)
        if self._washed or not isinstance(self._market, Tabled):
            return None
        return self._market.klines_table(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        )

    def kline_at(self, now_ms: int, interval: str, offset_ms: int = 0) -> Kline:
        """As SymbolMarket.kline_at."""
        bar = self._market.kline_at(now_ms, interval, offset_ms)
        self._look(now_ms)
        return self._washed_bar(bar)

    def _washed_bar(self, bar: Kline) -> Kline:
        if not self._washed or bar.first_id < 0:
            return bar
        change = self._washed.change(bar.first_id, bar.last_id)
        return replace(
            bar,
            volume=bar.volume + change.volume,
            quote_volume=bar.quote_volume + change.quote,
            taker_buy_base=bar.taker_buy_base + change.buy_base,
            taker_buy_quote=bar.taker_buy_quote + change.buy_quote,
        )

    def window(self, now_ms: int, length_ms: int) -> Window:
        """As SymbolMarket.window."""
        window = self._market.window(now_ms, length_ms)
        self._look(now_ms)
        if not self._washed or window.last_id < 0:
            return window
        change = self._washed.change(window.first_id, window.last_id)
        newest = next(self._washed.shown(self._market.trades(now_ms, limit=1, from_id=window.last_id)))
        return replace(
            window,
            volume=window.volume + change.volume,
            quote_volume=window.quote_volume + change.quote,
            last_quantity=newest.quantity,
        )
