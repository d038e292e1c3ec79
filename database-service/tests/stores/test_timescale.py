"""TimescaleDB: the tables become hypertables, every answer stays the same. The store contract suite runs there, too."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from database_service import migrate as migrate_module
from database_service.migrate import migrate
from database_service.move import move
from database_service.performance import TradeFilter
from database_service.retention import Rule, sweep
from database_service.signals import SignalFilter
from database_service.stores.postgres import postgres_store
from shared.sql.postgres import postgres_engine
from shared.testing.fakes import FakeClock

from ..conftest import drop_everything

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
Make = Callable[..., Any]


@pytest.fixture
def store(open_timescale: Callable[[], Any]) -> Iterator[Any]:
    opened = open_timescale()
    yield opened
    opened.close()


def open_it(url: str) -> Any:
    store = postgres_store(url, FakeClock())
    assert store.prepare()
    return store


def run(store: Any, statement: str) -> Any:
    """The first value of the answer; committed."""
    return store._transact(lambda link: link.execute(sa.text(statement)).scalar())


def chunks(store: Any) -> int:
    found: int = run(store, "SELECT count(*) FROM show_chunks('signals')")
    return found


def half_a_year(signal: Make) -> list[Any]:
    return [signal(signal_id=f"s{n}", symbol=f"S{n % 3}", timestamp=NOON - n * DAY) for n in range(180)]


def documents(store: Any, **wanted: Any) -> list[str]:
    """All of a filter, page by page."""
    found, after = [], None
    while True:
        page = store.history(SignalFilter(**wanted), 50, after)
        found += page.documents
        after = page.next
        if after is None:
            return found


def compress(store: Any) -> None:
    """What the policy does when the chunks are old enough."""
    assert run(store, "SELECT count(compress_chunk(chunk)) FROM show_chunks('signals') AS chunk") > 1


def test_a_migration_makes_hypertables_with_their_policies_and_again_changes_nothing(migrated_timescale: str) -> None:
    migrate(migrated_timescale)
    engine = postgres_engine(migrated_timescale)
    with engine.connect() as link:
        tables = "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables " \
                 "WHERE hypertable_schema = 'public' ORDER BY 1"  # fmt: skip
        assert link.execute(sa.text(tables)).all() == [("performance", True), ("signals", True)]
        jobs = "SELECT proc_name FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY 1"
        found = link.scalars(sa.text(jobs)).all()
        assert found == ["policy_compression"] * 2 + ["policy_refresh_continuous_aggregate"]
    engine.dispose()


def test_rows_that_are_there_move_into_chunks_and_none_is_lost(
    migrated_timescale: str, signal: Make, trade: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_everything(migrated_timescale)
    with monkeypatch.context() as plain:
        plain.setattr(migrate_module, "adopt", lambda _: None)
        migrate(migrated_timescale)
    store = open_it(migrated_timescale)
    store.append(half_a_year(signal), NOON)
    store.track([trade(pnl="0.1"), trade(pnl="-0.3", closed_at=NOON - 90 * DAY)], NOON)
    before = documents(store)
    store.close()
    migrate(migrated_timescale)
    store = open_it(migrated_timescale)
    assert chunks(store) > 5
    assert (documents(store), store.verify(1, 1000)[0].checked, store.counts()) == (before, 180, (180, 2))
    assert [str(line.pnl) for line in store.trades(TradeFilter())] == ["-0.3", "0.1"]
    store.close()


def test_moving_from_sqlite_fills_hypertables(
    open_sqlite: Callable[[], Any], open_timescale: Callable[[], Any], migrated_timescale: str, tmp_path: Path,
    signal: Make, trade: Make,
) -> None:  # fmt: skip
    filled = open_sqlite()
    filled.append(half_a_year(signal), NOON)
    filled.track([trade(pnl="0.10")], NOON)
    every = documents(filled)
    filled.close()
    sums = move(tmp_path / "database.sqlite3", migrated_timescale)
    assert (sums["signals"].rows, sums["signal_names"].rows, sums["performance"].rows) == (180, 180, 1)
    store = open_it(migrated_timescale)
    assert chunks(store) > 5
    assert (documents(store), store.verify(1, 1000)[0].broken_at) == (every, None)
    store.close()


def test_compressed_signals_are_read_named_verified_and_added_to_as_before(store: Any, signal: Make) -> None:
    store.append(half_a_year(signal), NOON)
    every, some = documents(store), documents(store, symbol="S1")
    compress(store)
    assert (documents(store), documents(store, symbol="S1")) == (every, some)
    assert store.get("s170") == every[170]
    late = signal(signal_id="late", symbol="S1", timestamp=NOON - 170 * DAY)
    repeat, other = half_a_year(signal)[100], signal(signal_id="s100", price=7.0)
    assert [v.status for v in store.append([late, repeat, other], NOON)] == ["stored", "duplicate", "refused"]
    assert len(documents(store, symbol="S1")) == len(some) + 1
    found, head = store.verify(1, 1000)
    assert (found.broken_at, found.checked, head.sequence) == (None, 181, 181)


def test_retention_reaches_compressed_chunks_keeps_the_links_and_drops_what_is_empty(store: Any, signal: Make) -> None:
    store.append(half_a_year(signal), NOON)
    compress(store)
    before = chunks(store)
    assert sum(sweep(store, Rule("signals", 100 * DAY), NOON)) == 79
    assert chunks(store) < before
    assert len(documents(store)) == 101
    found, head = store.verify(1, 1000)
    assert (found.broken_at, found.checked, found.removed, head.sequence) == (None, 180, 79, 180)
    again = half_a_year(signal)[150]
    assert store.append([again], NOON)[0].status == "stored"
    assert store.get("s150") is not None


def test_old_trades_leave_compressed_chunks(store: Any, trade: Make) -> None:
    store.track([trade(closed_at=NOON - n * DAY, pnl=str(n)) for n in range(180)], NOON)
    run(store, "SELECT count(compress_chunk(chunk)) FROM show_chunks('performance') AS chunk")
    assert sum(sweep(store, Rule("performance", 100 * DAY), NOON)) == 79
    assert [int(line.pnl) for line in store.trades(TradeFilter())] == list(range(100, -1, -1))


def test_daily_sums_are_the_sums_of_the_rows_before_and_after_they_are_kept(
    store: Any, migrated_timescale: str, trade: Make
) -> None:
    trades = [(f"s{n % 2}", NOON - timedelta(hours=5 * n), f"{n - 20}.1") for n in range(50)]
    store.track([trade(strategy=name, closed_at=at, pnl=pnl) for name, at, pnl in trades], NOON)
    rows = "SELECT strategy, date_trunc('day', closed_at), count(*), sum(pnl), count(*) FILTER (WHERE pnl > 0) " \
           "FROM performance GROUP BY 1, 2 ORDER BY 1, 2"  # fmt: skip
    kept = "SELECT strategy, day, trades, pnl, wins FROM performance_daily ORDER BY 1, 2"
    store.close()
    engine = postgres_engine(migrated_timescale)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        expected = link.execute(sa.text(rows)).all()
        assert link.execute(sa.text(kept)).all() == expected
        link.exec_driver_sql(f"CALL refresh_continuous_aggregate('performance_daily', NULL, '{NOON - 3 * DAY}')")
        assert link.execute(sa.text(kept)).all() == expected
    engine.dispose()
