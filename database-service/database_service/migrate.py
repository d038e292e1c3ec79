"""Bring a database to the newest schema: `python -m database_service.migrate`, by hand or from a starting service.

A service runs this as a process of its own, since Alembic would add 10 MB to a process that needs it once. Several
may run at a time: they wait for each other under a lock, and the later ones find nothing left to do. Where PostgreSQL
holds the extension timescaledb, the tables become hypertables (stores/timescale.py), also if it came later.
"""

import argparse
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa

from database_service.stores.postgres import postgres_engine
from database_service.stores.sqlite import sqlite_engine
from database_service.stores.timescale import adopt
from shared.errors import Unavailable

FOLDER = Path(__file__).parent
ADVISORY_LOCK = 5_020_001  # any number that all processes of this service agree on
LOCK_WAIT = "240s"


def migrate(url: str) -> None:
    """Run what is missing on the database at `url` (sqlite:/// or postgresql://). Raises the database's own errors."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER / "migrations"))
    with _locked(url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    if not url.startswith("sqlite"):
        _adopt(url)


def _adopt(url: str) -> None:
    """TimescaleDB's part. Its views are made outside a transaction, so the lock is the session's."""
    engine = postgres_engine(url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_WAIT}'")
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({ADVISORY_LOCK})")
            try:
                adopt(connection)
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({ADVISORY_LOCK})")
    finally:
        engine.dispose()


@contextmanager
def _locked(url: str) -> Iterator[sa.Connection]:
    """A connection in a transaction, while no other process migrates this database."""
    embedded = url.startswith("sqlite")
    engine = sqlite_engine(url) if embedded else postgres_engine(url)
    try:
        lock = _file_lock(url) if embedded else nullcontext()
        with lock, engine.execution_options(writes=True).begin() as connection:
            if not embedded:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _file_lock(url: str) -> Iterator[None]:
    beside = Path(f"{sa.make_url(url).database}.migrating")
    beside.parent.mkdir(parents=True, exist_ok=True)
    with beside.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate_apart(url: str) -> None:
    """Run `migrate` in a process of its own. Raises Unavailable with its last line when it fails.

    However long it takes: a big table that is rewritten is rolled back if it is cut, and would be cut again and again.
    Only waiting for locks ends (LOCK_WAIT).
    """
    # The address may hold a password: standard input shows in no list of processes.
    command = [sys.executable, "-m", "database_service.migrate", "--from-stdin"]
    try:
        done = subprocess.run(  # noqa: S603  # fixed words; the address goes by standard input
            command, input=url, text=True, capture_output=True, cwd=FOLDER.parent, check=False
        )
    except OSError as error:
        raise Unavailable(f"the database could not be migrated: {type(error).__name__}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unavailable(f"the database could not be migrated: {last[:200]}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m database_service.migrate", description="Migrate the database.")
    parser.add_argument("--from-stdin", action="store_true", help="read the database's URL from standard input")
    if parser.parse_args().from_stdin:
        url = sys.stdin.read().strip()
    else:
        from database_service.config import DatabaseSettings

        url = DatabaseSettings.read(folder=FOLDER.parent).store_url
    try:
        migrate(url)
    except sa.exc.DBAPIError as error:  # one line, without the statement and the address
        sys.exit(f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0]}")
    except OSError as error:
        sys.exit(f"{type(error).__name__}: {error.strerror}")
    print("The database is at the newest migration.")


if __name__ == "__main__":
    main()
