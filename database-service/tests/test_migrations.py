"""Migrations: they make exactly the tables that the code expects, once, however many start at the same time."""

import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from database_service.audit import START, extend
from database_service.migrate import FOLDER, migrate, migrate_apart
from database_service.signals import SignalFilter, content_of, stored
from database_service.stores.open import open_store
from database_service.stores.schema import HEAD, audit_head, metadata, signal_names
from database_service.stores.sqlite import sqlite_store
from shared.errors import Unavailable
from shared.sql.columns import Moment
from shared.sql.sqlite import sqlite_url
from shared.testing.fakes import FakeClock
from shared.testing.migrations import alembic_config, differences, engine_for, heads
from shared.testing.servers import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "database.sqlite3")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


def test_the_code_knows_the_newest_migration() -> None:
    assert heads(FOLDER) == [HEAD]


def test_migrations_make_what_the_code_expects(empty_url: str) -> None:
    migrate(empty_url)
    assert differences(empty_url, metadata) == []


def test_many_at_once_migrate_once_and_all_succeed(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate_apart, [empty_url] * 4))
    engine = engine_for(empty_url)
    with engine.connect() as link:
        assert link.scalars(sa.text("SELECT version_num FROM alembic_version")).all() == [HEAD]
    engine.dispose()


def test_what_can_not_be_migrated_is_unavailable_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite3"
    path.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    with pytest.raises(Unavailable, match="file is not a database"):
        migrate_apart(sqlite_url(path))


def test_a_migration_may_take_as_long_as_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[Any] = []
    run = subprocess.run

    def noting(*words: Any, **options: Any) -> Any:
        bounds.append(options.get("timeout"))
        return run(*words, **options)

    monkeypatch.setattr(subprocess, "run", noting)
    migrate_apart(sqlite_url(tmp_path / "database.sqlite3"))
    assert bounds == [None]


def test_an_older_or_newer_schema_is_not_used(migrated_sqlite: bytes, tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite3"
    path.write_bytes(migrated_sqlite)
    with sqlite3.connect(path) as link:
        link.execute("UPDATE alembic_version SET version_num = '9999'")
    store = sqlite_store(path, FakeClock())
    assert not store.prepare()
    with pytest.raises(Unavailable, match="9999"):
        store.get("x")
    with pytest.raises(Unavailable, match="9999"):
        migrate_apart(sqlite_url(path))


def filled_at_0002(url: str, rows: list[Any]) -> None:
    """A database as the code of migration 0002 left it."""
    config, head = alembic_config(FOLDER), START
    engine = engine_for(url)
    with engine.execution_options(writes=True).begin() as link:
        config.attributes["connection"] = link
        command.upgrade(config, "0002")
        old = sa.Table("signals", sa.MetaData(), sa.Column("timestamp", Moment), autoload_with=link)
        for row in rows:
            head = extend(head, row.document)
            values = {name: getattr(row, name) for name in old.c.keys() if name not in {"id", "hash", "digest"}}  # noqa: SIM118  # columns, not names
            values["digest"] = content_of(row.document).digest
            link.execute(sa.insert(old).values(id=head.sequence, hash=head.hash, **values))
        link.execute(sa.insert(audit_head).values(id=1, sequence=head.sequence, hash=head.hash))
    engine.dispose()


def test_a_filled_database_loses_nothing_on_the_way_from_0002(
    empty_url: str, tmp_path: Path, signal: Callable[..., Any]
) -> None:
    place = "BTCUSDT:2025-11-01T12:00:00.000000"
    names = ["mine", place, "ç", f"{place}~2"]
    submissions = [signal(price=n + 0.1, metadata={"n": 5e-324}) for n in range(len(names))]
    rows = [stored(one.signal, name) for one, name in zip(submissions, names, strict=True)]
    filled_at_0002(empty_url, rows)
    migrate(empty_url)
    url = None if empty_url.startswith("sqlite") else empty_url
    store = open_store(url, tmp_path / "database.sqlite3", FakeClock())
    assert store.prepare()
    assert store.history(SignalFilter(), 10).documents == [row.document for row in reversed(rows)]
    assert [store.get(name) for name in names] == [row.document for row in rows]
    assert store.append([submissions[1]], NOON)[0].status == "duplicate"
    assert store.append([submissions[3]], NOON)[0].id == f"{place}~2"
    assert store.append([signal(signal_id="mine", price=7.0)], NOON)[0].status == "refused"
    assert store.append([signal(price=8.0)], NOON)[0].id == f"{place}~3"
    found, head = store.verify(1, 10)
    assert (found.broken_at, found.checked, head.sequence) == (None, 5, 5)
    store.close()


def test_two_signals_of_one_name_are_refused_by_the_database_itself(empty_url: str) -> None:
    migrate(empty_url)
    engine = engine_for(empty_url)
    row = {"signal_id": "a", "timestamp": NOON}
    with engine.execution_options(writes=True).begin() as link:
        link.execute(sa.insert(signal_names).values(id=1, **row))
        with pytest.raises(sa.exc.IntegrityError):
            link.execute(sa.insert(signal_names).values(id=2, **row))
        link.rollback()
    engine.dispose()
