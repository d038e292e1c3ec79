"""Aggregate trades: consecutive trades of one moment, price and side are one taker order at one price.

The id of an aggregate is its first trade's id. It rises, is the same on the socket, by REST and after a restart, and
needs no storage; unlike the exchange's own aggregate ids it skips numbers (`f` and `l` are contiguous all the same).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from market_simulator.market import SymbolMarket, Trade

# Trades of one T arrive at most 8 ms apart on the spot tape, 35 ms on the futures one; after that a group is whole.
SETTLED_MS = 25
FUTURES_SETTLED_MS = 50


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`first` and `last` bound the trades; `quantity` is their sum."""

    first: Trade
    last: Trade
    quantity: int


def same_order(a: Trade, b: Trade) -> bool:
    """Whether two neighbouring trades belong to one aggregate."""
    return a.at_ms == b.at_ms and a.price == b.price and a.buyer_is_maker == b.buyer_is_maker


def aggregate(trades: Iterable[Trade]) -> Iterator[Aggregate]:
    """Group consecutive trades; the last group is yielded as it stands."""
    group: Aggregate | None = None
    for trade in trades:
        if group is not None and same_order(group.last, trade):
            group = Aggregate(group.first, trade, group.quantity + trade.quantity)
            continue
        if group is not None:
            yield group
        group = Aggregate(trade, trade, trade.quantity)
    if group is not None:
        yield group


class LiveAggregates:
    """Aggregates of a live stream: one is handed out when the next begins or when it has settled."""

    def __init__(self, settled_ms: int = SETTLED_MS) -> None:
        self._settled_ms = settled_ms
        self._open: Aggregate | None = None

    def add(self, trade: Trade) -> Aggregate | None:
        """Take the next trade; return the aggregate that it ends."""
        done = None
        if self._open is not None:
            if same_order(self._open.last, trade):
                self._open = Aggregate(self._open.first, trade, self._open.quantity + trade.quantity)
                return None
            done = self._open
        self._open = Aggregate(trade, trade, trade.quantity)
        return done

    def settle(self, now_ms: int) -> Aggregate | None:
        """The open aggregate, once no further trade can join it."""
        if self._open is None or now_ms < self._open.last.event_ms + self._settled_ms:
            return None
        done, self._open = self._open, None
        return done


def recent_aggregates(
    market: SymbolMarket, now_ms: int, *, limit: int, from_id: int | None = None,
    start_ms: int | None = None, end_ms: int | None = None,
) -> list[Aggregate]:
    """Whole aggregates by the range rule: the newest `limit`, or `limit` from an id or a time on.

    Asks for more trades until enough groups are whole: a cut through the middle of one would change its id.
    """
    if from_id is None and start_ms is None:
        return _newest(market, now_ms, limit, end_ms)
    found: list[Aggregate] = []
    skip = _is_inside(market, now_ms, from_id)
    while True:
        trades = market.trades(now_ms, limit=1000, from_id=from_id, start_ms=start_ms, end_ms=end_ms)
        groups = list(aggregate(trades))
        if not groups:
            return found
        whole = len(trades) < 1000
        kept = groups if whole or len(groups) == 1 else groups[:-1]
        found += kept[1:] if skip else kept
        if whole or len(found) >= limit:
            return found[:limit]
        skip, start_ms, from_id = False, None, kept[-1].last.id + 1
        if end_ms is not None and kept[-1].last.at_ms > end_ms:
            return found[:limit]


def _newest(market: SymbolMarket, now_ms: int, limit: int, end_ms: int | None) -> list[Aggregate]:
    size = limit + 1
    while True:
        trades = market.trades(now_ms, limit=size, end_ms=end_ms)
        groups = list(aggregate(trades))
        if len(trades) < size or len(groups) > limit:
            return groups[-limit:]
        size *= 4


def _is_inside(market: SymbolMarket, now_ms: int, from_id: int | None) -> bool:
    """Whether the first trade asked for continues an aggregate (only an id can cut through one)."""
    if from_id is None or from_id <= 0:
        return False
    pair = market.trades(now_ms, limit=2, from_id=from_id - 1)
    return len(pair) == 2 and pair[0].id == from_id - 1 and same_order(*pair)
