"""Aggregate trades: the same groups live and from history, whatever the limit."""

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import pytest

from market_simulator.market import SymbolMarket, Trade
from market_simulator.wire.aggregates import SETTLED_MS, Aggregate, LiveAggregates, aggregate, recent_aggregates

pytestmark = pytest.mark.unit


def trade(id: int, at_ms: int, price: int = 5, maker: bool = False) -> Trade:
    return Trade(id, price, 2, at_ms, at_ms + 1, maker)


TRADES = [trade(1, 10), trade(2, 10), trade(3, 10, price=6), trade(4, 11, price=6), trade(5, 11, 6, True), trade(6, 12)]
GROUPS = [(1, 2, 4), (3, 3, 2), (4, 4, 2), (5, 5, 2), (6, 6, 2)]


class Listed:
    """A market of the trades above; only they are asked for."""

    def trades(
        self,
        now_ms: int,
        *,
        limit: int,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Trade]:
        found = [one for one in TRADES if one.at_ms <= now_ms and (end_ms is None or one.at_ms <= end_ms)]
        if from_id is None and start_ms is None:
            return found[-limit:]
        return [one for one in found if one.id >= (from_id or 0) and one.at_ms >= (start_ms or 0)][:limit]


MARKET = cast(SymbolMarket, Listed())


def shape(groups: Iterable[Aggregate]) -> list[tuple[int, int, int]]:
    return [(group.first.id, group.last.id, group.quantity) for group in groups]


def test_consecutive_trades_of_one_moment_price_and_side_are_one() -> None:
    assert shape(aggregate(TRADES)) == GROUPS


def test_live_groups_are_those_of_the_history() -> None:
    live = LiveAggregates()
    found = [group for one in TRADES if (group := live.add(one))]
    assert live.settle(TRADES[-1].event_ms) is None, "another trade may still join"
    last = live.settle(TRADES[-1].event_ms + SETTLED_MS)
    assert last is not None
    assert shape([*found, last]) == GROUPS
    assert live.settle(10**6) is None, "each comes once"


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 9])
def test_the_newest_groups_are_whole_at_every_limit(limit: int) -> None:
    assert shape(recent_aggregates(MARKET, 100, limit=limit)) == GROUPS[-limit:]


@pytest.mark.parametrize(("from_id", "first"), [(1, 1), (2, 3), (3, 3), (6, 6)])
def test_an_id_inside_a_group_begins_with_the_next_group(from_id: int, first: int) -> None:
    found = recent_aggregates(MARKET, 100, limit=9, from_id=from_id)
    assert found[0].first.id == first
    assert all(right.first.id == left.last.id + 1 for left, right in pairwise(found))


def test_times_bound_the_groups() -> None:
    assert shape(recent_aggregates(MARKET, 100, limit=9, start_ms=11, end_ms=11)) == GROUPS[2:4]
