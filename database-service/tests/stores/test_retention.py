"""What is too old leaves, portion by portion; the audit chain keeps sequence, hash and reason of each signal."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import urllib3

from database_service import retention
from database_service.migrate import FOLDER
from database_service.performance import TradeFilter
from database_service.retention import Rule, rules, sweep
from database_service.signals import SignalFilter
from shared.sql.sqlite import sqlite_engine, sqlite_url
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.database]
Make = Callable[..., Any]
DAY = timedelta(days=1)
RULE = Rule("signals", 30 * DAY)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty database of each kind."""
    opened = request.getfixturevalue(f"open_{request.param}")()
    yield opened
    opened.close()


def removed_links(store: Any) -> list[tuple[int, str]]:
    with store._connections.reading() as link:
        rows = link.execute(sa.text("SELECT sequence, reason FROM audit_removed ORDER BY sequence")).all()
    return [(row.sequence, row.reason) for row in rows]


def test_old_signals_leave_and_the_chain_still_holds(store: Any, signal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    now = signal().signal.timestamp
    ages = [40, 31, 30, 29, 0, 35]
    store.append([signal(timestamp=now - age * DAY) for age in ages], now)
    assert list(sweep(store, RULE, now)) == [2, 1]
    assert len(store.history(SignalFilter(), 100).documents) == 3
    assert removed_links(store) == [(n, "retention: older than 30 days") for n in (1, 2, 6)]
    found, head = store.verify(1, 100)
    assert (found.broken_at, found.checked, found.removed, head.sequence) == (None, 6, 3, 6)
    assert store.counts().signals == 3
    store.append([signal(price=7.0)], now)
    assert store.verify(1, 100)[0].broken_at is None


def test_the_name_of_a_signal_that_left_is_free_again(store: Any, signal: Make) -> None:
    now = signal().signal.timestamp
    store.append([signal(signal_id="old", timestamp=now - 40 * DAY), signal(signal_id="new")], now)
    assert list(sweep(store, RULE, now)) == [1]
    assert store.get("old") is None
    assert [v.status for v in store.append([signal(signal_id="old"), signal(signal_id="new")], now)] == [
        "stored", "duplicate",
    ]  # fmt: skip


def test_old_trades_leave_by_their_closing_time(store: Any, trade: Make) -> None:
    now = trade().trade.closed_at
    store.track([trade(closed_at=now - age * DAY, pnl=str(age)) for age in (40, 30, 1)], now)
    assert sum(sweep(store, Rule("performance", 30 * DAY), now)) == 1
    assert [int(line.pnl) for line in store.trades(TradeFilter())] == [30, 1]
    assert store.counts().performance == 2


def test_no_age_means_for_ever() -> None:
    assert rules(0, 0) == []
    assert rules(1, 0) == [Rule("signals", DAY)]


def test_a_running_service_sweeps_by_itself(tmp_path: Path) -> None:
    with ServiceProcess("database-service", {"RETENTION_SIGNALS_DAYS": "30"}, var_dir=tmp_path) as service:
        rows = json.dumps([_row("2020-01-01T00:00:00Z"), _row(None)])
        headers = {"Content-Type": "application/json"}
        assert urllib3.request("POST", f"{service.base_url}/signals/batch", body=rows, headers=headers).status == 200
        service.stop()
        service.start()
        wait_until(lambda: service.get("/stats")["data"]["signal_count"] == 1, 20, what="the old signal's leaving")


def _row(moment: str | None) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 1}
    return row if moment is None else row | {"timestamp": moment}


def test_by_hand_it_says_what_it_removed(open_sqlite: Any, tmp_path: Path, signal: Make) -> None:
    store = open_sqlite()
    store.append([signal()], signal().signal.timestamp)
    store.close()
    command = [sys.executable, "-m", "database_service.expire"]
    environ = {"VAR_DIR": str(tmp_path), "ENV_FILES": "false"}
    done = subprocess.run(command, env=environ, cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    assert "RETENTION_SIGNALS_DAYS" in done.stderr
    environ["RETENTION_SIGNALS_DAYS"] = "1"
    done = subprocess.run(command, env=environ, cwd=FOLDER.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "signals: 1 rows removed (retention: older than 1 days)\n"
    with sqlite_engine(sqlite_url(tmp_path / "database.sqlite3")).connect() as link:
        assert link.scalar(sa.text("SELECT count(*) FROM signals")) == 0
