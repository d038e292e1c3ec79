"""Moving from SQLite to PostgreSQL: everything arrives, to the last digit, or nothing does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from database_service import move as move_module
from database_service.migrate import FOLDER
from database_service.move import MoveError, Sum, move
from database_service.performance import TradeFilter
from database_service.storage import Store
from database_service.stores.postgres import postgres_store
from database_service.stores.schema import signals
from shared.sql.postgres import postgres_engine
from shared.testing.fakes import FakeClock
from shared.testing.servers import PostgresServer

from .client import NOW

pytestmark = [pytest.mark.integration, pytest.mark.database]
Make = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "database.sqlite3"


@pytest.fixture
def empty_url(postgres_server: PostgresServer) -> str:
    return postgres_server.create_database()


@pytest.fixture
def filled(open_sqlite: Callable[[], Store], signal: Make, trade: Make) -> Store:
    store = open_sqlite()
    metadata = {"text": "ç 日本 💥 \\ \t \n", "n": 0.1}
    store.append([signal("k", price=0.1, metadata=metadata), *(signal(price=n + 1.5) for n in range(3000))], NOW)
    store.track([trade(pnl=pnl) for pnl in ("0.10", "1E+15", "-0.000000000000000001", "0")], NOW)
    store.save_settings("ann", 0, '{"a":1}', NOW)
    return store


def test_everything_arrives_and_the_service_goes_on_from_there(
    filled: Store, path: Path, empty_url: str, signal: Make, trade: Make
) -> None:
    filled.close()
    sums = move(path, empty_url)
    rows = {name: found.rows for name, found in sums.items() if found.rows > 1}
    assert rows == {"signals": 3001, "signal_names": 3001, "performance": 4}
    store = postgres_store(empty_url, FakeClock())
    assert store.prepare()
    assert store.counts() == (3001, 4)
    assert [line.pnl for line in store.trades(TradeFilter())] == [line.pnl for line in filled_again(path)]
    assert store.verify(1, 10_000)[0].broken_at is None
    assert store.append([signal("k", price=0.1)], NOW)[0].status == "replayed"
    assert store.append([signal(price=1.5)], NOW)[0].status == "duplicate"
    store.append([signal(symbol="NEW")], NOW)
    store.track([trade(pnl="1")], NOW)
    assert store.verify(1, 10_000)[0].broken_at is None
    assert store.counts() == (3002, 5)
    store.close()


def filled_again(path: Path) -> list[Any]:
    from database_service.stores.sqlite import sqlite_store

    store = sqlite_store(path, FakeClock())
    assert store.prepare()
    lines = list(store.trades(TradeFilter()))
    store.close()
    return lines


def test_a_target_with_rows_is_refused(filled: Store, path: Path, empty_url: str) -> None:
    filled.close()
    move(path, empty_url)
    with pytest.raises(MoveError, match="not empty"):
        move(path, empty_url)


def test_a_difference_moves_nothing(filled: Store, path: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.close()
    real = move_module.summed

    def off_by_one(link: sa.Connection, table: sa.Table) -> Sum:
        found = real(link, table)
        return found._replace(rows=found.rows + 1) if link.dialect.name == "postgresql" else found

    monkeypatch.setattr(move_module, "summed", off_by_one)
    with pytest.raises(MoveError, match="differs"):
        move(path, empty_url)
    with postgres_engine(empty_url).connect() as link:
        assert link.scalar(sa.text("SELECT count(*) FROM signals")) == 0


def test_one_changed_value_changes_the_checksum(filled: Store, path: Path, empty_url: str) -> None:
    filled.close()
    sums = move(path, empty_url)
    with postgres_engine(empty_url).begin() as link:
        link.execute(sa.text("UPDATE signals SET price = price + 1e-9 WHERE id = 7"))
        changed = move_module.summed(link, signals)
    assert changed.rows == sums["signals"].rows
    assert changed.checksum != sums["signals"].checksum


def test_the_command_line_moves_and_shows_no_password(filled: Store, path: Path, empty_url: str) -> None:
    filled.close()

    def run(**environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "database_service.move"]
        environ = {"VAR_DIR": str(path.parent), "ENV_FILES": "false"} | environ
        return subprocess.run(command, env=environ, cwd=FOLDER.parent, capture_output=True, text=True, check=False)

    assert "DATABASE_URL" in run().stderr
    away = run(DATABASE_URL="postgresql://u:secret@127.0.0.1:1/x")
    assert (away.returncode, len(away.stderr.splitlines())) == (1, 1)
    assert "secret" not in away.stderr
    done = run(DATABASE_URL=empty_url)
    assert done.returncode == 0, done.stderr
    assert "signals: 3,001 rows" in done.stdout
    assert len(filled_again(path)) == 4
