"""The embedded database: one SQLite file, journalled ahead (WAL), synced to disk at every commit.

`synchronous=FULL` is what makes an answered success survive a power cut; it is read back on every connection, since
SQLite ignores what it can't do.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from shared.sql.connections import Kind
from shared.sql.leash import read_is_over

PREFIX = "sqlite:///"
BUSY_S = 3.0  # how long to wait for another program that holds the file
FULL = 2  # PRAGMA synchronous
LOOK_STEPS = 100_000  # of SQLite's machine, about 20 ms, between two looks at a read's time
REASONS = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the database file is read-only",
    "SQLITE_BUSY": "another program keeps the database file locked",
    "SQLITE_LOCKED": "another program keeps the database file locked",
    "SQLITE_CANTOPEN": "the database file can't be opened",
    "SQLITE_PERM": "the database file can't be opened",
    "SQLITE_IOERR": "the disk fails",
    "SQLITE_CORRUPT": "the database file is damaged",
    "SQLITE_NOTADB": "the database file is not a database",
    "SQLITE_INTERRUPT": "looking through so many rows takes too long; narrow it by symbol, from and to",
}
ROW_FAULTS = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_RANGE")


def sqlite_url(path: Path) -> str:
    """The file as SQLAlchemy names it."""
    return f"{PREFIX}{path}"


def sqlite_engine(url: str) -> sa.Engine:
    """An engine for the file: every transaction begun by hand, writers in line from their first statement."""
    # isolation_level None: Python's own begin would leave DDL and the first SELECT outside the transaction.
    arguments = {"timeout": BUSY_S, "isolation_level": None, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=arguments, poolclass=sa.QueuePool, pool_timeout=5)
    event.listen(engine, "do_connect", _make_folder)
    event.listen(engine, "connect", _furnish)
    event.listen(engine, "begin", _begin)
    return engine


def explain(error: exc.SQLAlchemyError) -> tuple[str, Kind]:
    """See `connections.Explain`. A file is never gone in the sense that asking again would wait."""
    if isinstance(error, exc.TimeoutError):
        return "all connections are busy", "failed"
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "") or ""
    for prefix, reason in REASONS.items():
        if name.startswith(prefix):
            return reason, "failed"
    if name.startswith(ROW_FAULTS):
        return name, "row"
    if name == "SQLITE_ERROR":  # all our statements are tested: a table is missing
        return "the database file does not hold the tables", "schema"
    return f"SQLite failed ({name or type(error).__name__})", "failed"


def _make_folder(_dialect: Any, _record: Any, arguments: tuple[str], _options: Any) -> None:
    with suppress(OSError):  # SQLite then says itself that it can't open the file
        Path(arguments[0]).parent.mkdir(parents=True, exist_ok=True)


def _furnish(connection: Any, record: Any) -> None:
    # No watcher is needed: SQLite works in our own thread and asks now and then whether it may go on.
    connection.set_progress_handler(lambda: read_is_over(record.info), LOOK_STEPS)
    # secure_delete: Debian's SQLite overwrites what is deleted, so a disk that is all but full could free nothing.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    journal, sync = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))
    if (journal, sync) != ("wal", FULL):
        raise connection.OperationalError(f"journal_mode={journal}, synchronous={sync}: a success would not be durable")


def _begin(connection: sa.Connection) -> None:
    # A reader that becomes a writer in the middle would fail at once where it should wait its turn.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
