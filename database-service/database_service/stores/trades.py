"""Closed trades in a SQL database, on a connection that `SqlStore` holds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from database_service.idempotency import KeptAnswer, KeyName, Verdict, replay
from database_service.performance import StoredTrade, TradeFilter, TradeLine, TradeSubmission
from database_service.stores.schema import performance
from database_service.stores.statements import chunks
from shared.sql.connections import streamed


def add_trades(
    link: sa.Connection, submissions: Sequence[TradeSubmission], known: Mapping[KeyName, KeptAnswer]
) -> tuple[list[Verdict], dict[KeyName, KeptAnswer]]:
    """Store what is new; one verdict per submission, and the keys that are to be kept beside those `known`."""
    verdicts: list[Verdict] = []
    rows: list[dict[str, Any]] = []
    new: dict[KeyName, KeptAnswer] = {}
    for trade, key in ((s.trade, s.key) for s in submissions):
        if key is not None:
            if (kept := new.get(key.name) or known.get(key.name)) is not None:
                verdicts.append(replay(key, kept))
                continue
            new[key.name] = KeptAnswer(key.body_hash, trade.performance_id)
        rows.append(_columns(trade.stored()))
        verdicts.append(Verdict("stored", trade.performance_id))
    if rows:
        link.execute(sa.insert(performance), rows)
    return verdicts, new


def add_missing_trades(link: sa.Connection, trades: Sequence[StoredTrade]) -> int:
    """Store those whose ids are not there yet, under these ids; returns how many."""
    name, there = performance.c.performance_id, set[str]()
    for names in chunks(trade.performance_id for trade in trades):
        there.update(link.scalars(sa.select(name).where(name.in_(names))))
    rows = [_columns(trade) for trade in trades if trade.performance_id not in there]
    if rows:
        link.execute(sa.insert(performance), rows)
    return len(rows)


def read_trades(link: sa.Connection, wanted: TradeFilter) -> Iterator[tuple[str, TradeLine]]:
    """The trades that `wanted` admits with their ids, oldest first; they come in portions, so memory stays flat."""
    t = performance.c
    conditions = [
        column == value
        for column, value in ((t.strategy, wanted.strategy), (t.symbol, wanted.symbol), (t.bot_id, wanted.bot_id))
        if value is not None
    ]
    conditions += [t.closed_at >= wanted.start] if wanted.start else []
    conditions += [t.closed_at < wanted.end] if wanted.end else []
    columns = (t.performance_id, t.closed_at, t.strategy, t.pnl)
    for row in streamed(link, sa.select(*columns).where(*conditions).order_by(t.closed_at, t.id)):
        yield row.performance_id, TradeLine(row.closed_at, row.strategy, row.pnl)


def _columns(trade: StoredTrade) -> dict[str, Any]:
    return {column.name: getattr(trade, column.name) for column in performance.c if column.name != "id"}
