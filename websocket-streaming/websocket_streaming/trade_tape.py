"""The newest trades of one symbol, without a hole: the exchange numbers them one by one, which proves it."""

from collections import deque
from collections.abc import Iterable

from websocket_streaming.ticks import Trade

TAPE_LENGTH = 1000  # trades; as many as REST gives in one answer
MAX_WAITING = 20_000  # trades that came after a hole and wait for it to be filled


class TradeTape:
    """Takes trades as they come, gives them on in the order of their ids, each once.

    Trades after a hole wait until it is filled, by the stream (they only came in another order) or by REST.
    """

    def __init__(self) -> None:
        self.trades: deque[Trade] = deque(maxlen=TAPE_LENGTH)
        self.last_id: int | None = None
        self.gaps_found = self.gaps_filled = 0
        self._waiting: dict[int, Trade] = {}
        self._hole_end: int | None = None  # the last id of the first hole, None without one
        self._expected = 0  # the highest id that the exchange is known to have given

    @property
    def hole(self) -> tuple[int, int] | None:
        """First and last id of the first hole, None when there is none."""
        if self._hole_end is None or self.last_id is None:
            return None
        return self.last_id + 1, self._hole_end

    def on_trade(self, trade: Trade) -> list[Trade]:
        """A trade from the stream; returns those that are now in their place, oldest first."""
        id = trade.trade_id
        if self.last_id is None or id == self.last_id + 1:
            self._append(trade)
            return [trade] if self._hole_end is None else [trade, *self._advance()]
        if id > self.last_id and len(self._waiting) < MAX_WAITING:
            self._waiting[id] = trade
            self._note_hole(id - 1)
        return []

    def expect(self, trade_id: int) -> None:
        """The exchange knows trades up to this one."""
        if self.last_id is None or trade_id <= self.last_id:
            return
        self._expected = max(self._expected, trade_id)
        if self._hole_end is None:
            self._note_hole(trade_id)
        elif not self._waiting:
            self._hole_end = max(self._hole_end, trade_id)

    def fill(self, trades: Iterable[Trade]) -> list[Trade]:
        """Trades from REST, ids rising; returns those that are now in their place, oldest first."""
        placed = []
        for trade in trades:
            if self.last_id is None or trade.trade_id == self.last_id + 1:
                self._append(trade)
                placed.append(trade)
        return placed + self._advance()

    def prepend(self, trades: list[Trade]) -> None:
        """History from REST, ids rising without a hole: what lies before the first trade held. None held: all."""
        if self.last_id is None:
            self.trades.extend(trades)
            self.last_id = trades[-1].trade_id if trades else None
            return
        first = self.trades[0].trade_id if self.trades else self.last_id + 1
        older = [trade for trade in trades if trade.trade_id < first]
        if older and older[-1].trade_id == first - 1:
            self.trades = deque([*older, *self.trades], maxlen=TAPE_LENGTH)

    def give_up(self) -> tuple[int, list[Trade]]:
        """The first hole can't be filled. Returns how many trades are missing for good, and those that go on behind."""
        if self._hole_end is None or self.last_id is None:
            return 0, []
        missing = self._hole_end - self.last_id
        self.trades.clear()  # the tape shows no hole
        self.last_id, self._hole_end = self._hole_end, None
        return missing, self._advance()

    def restart(self) -> None:
        """The exchange has begun anew: nothing that is held counts any more."""
        self.trades.clear()
        self._waiting.clear()
        self.last_id, self._hole_end, self._expected = None, None, 0

    def _append(self, trade: Trade) -> None:
        self.trades.append(trade)
        self.last_id = trade.trade_id

    def _note_hole(self, end: int) -> None:
        self.gaps_found += self._hole_end is None
        self._hole_end = end if self._hole_end is None else min(self._hole_end, end)

    def _advance(self) -> list[Trade]:
        """Put what waited in its place, as far as it follows on; find the next hole."""
        placed: list[Trade] = []
        if self.last_id is None:
            return placed
        while trade := self._waiting.pop(self.last_id + 1, None):
            self._append(trade)
            placed.append(trade)
        if self._hole_end is not None and self.last_id >= self._hole_end:
            self.gaps_filled += 1
            self._hole_end = None
        if self._hole_end is None:
            self._waiting = {id: trade for id, trade in self._waiting.items() if id > self.last_id}
            next_known = min(self._waiting) - 1 if self._waiting else self._expected
            if next_known > self.last_id:
                self._note_hole(next_known)
        return placed
