"""How a local order book is kept right by the exchange's procedure, for spot and for USDT-M futures.

Source: binance-spot-api-docs, web-socket-streams.md, "How to manage a local order book correctly", and the page of the
same name for USDT-M futures. Spot numbers updates without a hole (`U` follows the `u` before); futures share their
counter among symbols, and each update names the one before (`pu`).
"""

from collections import deque

from websocket_streaming.order_book import BadLevel, OrderBook
from websocket_streaming.ticks import Depth, Levels, Snapshot
from websocket_streaming.topics import SPOT

MAX_BUFFERED = 1000  # updates that wait for a snapshot; the oldest go, a later snapshot doesn't need them


class BookSync:
    """One symbol's book. `synced` says whether it is whole; what isn't is never shown as if it were."""

    def __init__(self, market: str, limit: int) -> None:
        """`limit` is how many levels a side the snapshots are asked for."""
        self._is_spot, self._limit = market == SPOT, limit
        self._buffer: deque[Depth] = deque(maxlen=MAX_BUFFERED)
        self._is_first = True  # no update was applied to the snapshot yet
        self.book: OrderBook | None = None  # the last whole one; an old one while not synced
        self.synced = False

    @property
    def waiting(self) -> int:
        """How many updates wait for a snapshot."""
        return len(self._buffer)

    def on_depth(self, depth: Depth) -> tuple[Levels, Levels] | None:
        """Changes to publish, None when there are none: an old update, one that waits, or the book has been lost."""
        if not self.synced or self.book is None:
            self._buffer.append(depth)
            return None
        if depth.last_id <= self.book.update_id:
            return None  # a repeat
        if not self._follows(self.book.update_id, depth):
            self._lose(depth)
            return None
        try:
            changes = self.book.apply(depth)
        except BadLevel:
            changes = None
        if changes is None or not self.book.is_sound:
            self.book = None  # it is changed already, and wrong
            self._lose(depth)
            return None
        self._is_first = False
        return changes

    def on_snapshot(self, snapshot: Snapshot) -> bool:
        """Begin with this, followed by what waits; False when the two don't meet: ask again, later."""
        waiting = sorted(self._buffer, key=lambda depth: depth.last_id)
        self._is_first = True
        try:
            book = OrderBook(snapshot, self._limit)
            for depth in waiting:
                if depth.last_id <= book.update_id:
                    continue
                if not self._follows(book.update_id, depth):
                    return False
                book.apply(depth)
                self._is_first = False
        except BadLevel:
            self._buffer.clear()  # whichever of them it was
            return False
        if not book.is_sound:
            return False
        self._buffer.clear()
        self.book, self.synced = book, True
        return True

    def begin_anew(self) -> None:
        """Another snapshot is needed: the connection was lost, or the price went to the book's border."""
        self._buffer.clear()
        self.synced = False

    def _lose(self, depth: Depth) -> None:
        self.begin_anew()
        self._buffer.append(depth)

    def _follows(self, update_id: int, depth: Depth) -> bool:
        """Whether `depth`, which ends after `update_id`, leaves nothing out between.

        To a futures' snapshot an update fits whose predecessor is not later: nothing happened between the two. (The
        manual's U <= lastUpdateId <= u refuses a snapshot that falls between two updates.)
        """
        if self._is_spot:
            return depth.first_id <= update_id + 1
        previous_id = depth.previous_id if depth.previous_id is not None else depth.first_id - 1
        return previous_id == update_id or (self._is_first and previous_id < update_id)
