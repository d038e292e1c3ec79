"""A generated market: a pure function of seed, symbol and instant. Nothing in it depends on what was asked before."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from market_simulator.live import EPOCH_MS, LiveMarket, moved, moved_difference
from market_simulator.market import BookTicker, BookView, DepthUpdate, Event, SymbolInfo, Trade
from market_simulator.order_book import difference
from market_simulator.seeded.book import BookMaker, Side
from market_simulator.seeded.days import Profile
from market_simulator.seeded.trades import TICK_MS, GeneratedTrades, segment_start
from market_simulator.trade_history import TradeSource


class GeneratedMarket(LiveMarket):
    """One symbol. Tick n is the instant n × 100 ms after the epoch: one depth update and, if it moved, a bookTicker."""

    ids_a_tick = 8  # each tick's depth update uses as many update ids, whatever it changes
    ids_skipped = 0  # of those, how many at its beginning belong to nobody

    def __init__(
        self, info: SymbolInfo, profile: Profile, seed: int, source: TradeSource | None = None
    ) -> None:
        """`source`: other trades than the profile's own."""
        self._source: TradeSource = source or GeneratedTrades(info, profile, seed, EPOCH_MS)
        super().__init__(info, self._source)
        self._maker = BookMaker(info, profile, seed)
        self._tick = -1
        self._bids: Side = {}
        self._asks: Side = {}  # without `_shift`, best price first
        self._shift = 0

    def _tick_shift(self, tick: int) -> int:
        return self._history.shift_at(EPOCH_MS + segment_start(tick * TICK_MS))

    def _place(self, at_ms: int) -> None:
        self._tick = (at_ms - EPOCH_MS) // TICK_MS
        self._bids, self._asks = self._maker.make(self._tick, self._last_trade(self._tick))
        self._shift = self._tick_shift(self._tick)

    def _last_trade(self, tick: int) -> Trade:
        number = max(1, self._source.count_before(EPOCH_MS + tick * TICK_MS + 1))
        return self._source.trades(number - 1, number)[0]

    def _step(self, from_ms: int, to_ms: int) -> list[Event]:
        events: list[Event] = []
        at_ms = from_ms
        for tick in self._ticks((from_ms - EPOCH_MS) // TICK_MS + 1, (to_ms - EPOCH_MS) // TICK_MS):
            events += self._traded(at_ms, EPOCH_MS + tick * TICK_MS)
            events += self._ticked(tick)
            at_ms = EPOCH_MS + tick * TICK_MS
        return events + self._traded(at_ms, to_ms)

    def _ticks(self, first: int, last: int) -> Iterable[int]:
        """Those from `first` to `last` at which the book moves."""
        return range(first, last + 1)

    def _traded(self, from_ms: int, to_ms: int) -> list[Event]:
        """The trades in (from_ms, to_ms]."""
        first, last = (self._source.count_before(at_ms + 1) for at_ms in (from_ms, to_ms))
        return [self._shown(trade) for trade in self._source.trades(first, last)]

    def _shown(self, trade: Trade) -> Trade:
        shift = self._history.shift_at(EPOCH_MS + segment_start(trade.at_ms - EPOCH_MS))
        return replace(trade, price=trade.price + shift) if shift else trade

    def _ticked(self, tick: int) -> list[Event]:
        before, bids, asks, shifted = self.best(), self._bids, self._asks, self._shift
        self._bids, self._asks = self._maker.make(tick, self._last_trade(tick))
        self._shift, self._tick = self._tick_shift(tick), tick
        if shifted or self._shift:
            changed = (
                moved_difference(bids.items(), shifted, self._bids.items(), self._shift),
                moved_difference(asks.items(), shifted, self._asks.items(), self._shift),
            )
        else:
            changed = difference(bids, self._bids), difference(asks, self._asks)
        best = self.best()
        first_id = before.update_id + self.ids_skipped + 1
        update = DepthUpdate(first_id, best.update_id, best.event_ms, *changed, before.update_id, best.at_ms)
        return [update] if (best.bid, best.ask) == (before.bid, before.ask) else [best, update]

    def book(self) -> BookView:
        """As SymbolMarket.book."""
        bids, asks = moved(self._bids.items(), self._shift), moved(self._asks.items(), self._shift)
        return BookView((self._tick + 1) * self.ids_a_tick, bids, asks, *self._times())

    def best(self) -> BookTicker:
        """As SymbolMarket.best."""
        tops = next(iter(self._bids.items())), next(iter(self._asks.items()))
        bid, ask = moved(tops, self._shift)
        return BookTicker((self._tick + 1) * self.ids_a_tick, bid, ask, *self._times())

    def _times(self) -> tuple[int, int]:
        return (EPOCH_MS + self._tick * TICK_MS,) * 2

    def prepare(self, now_ms: int) -> Iterator[None]:
        """Make, some 5 ms at a step, what bars of 2 h and more up to `now_ms` consist of; changes no answer.

        All of it takes 0.3 s and 0.7 MB; who asks for such bars before it is done waits for what they lack.
        """
        if isinstance(self._source, GeneratedTrades):
            yield from self._source.prepare(now_ms)

    def status(self, now_ms: int) -> dict[str, object]:  # noqa: ARG002  a generated market has no laps
        """As SymbolMarket.status."""
        return {"kind": self.info.kind, "note": "all figures are generated"}
