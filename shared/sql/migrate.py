"""Bring a service's tables to its newest migration (Alembic), by hand or from a starting service.

A service runs this as a process of its own, since Alembic would add 10 MB to a process that needs it once. Several
may run at a time: they wait for each other under a lock, and the later ones find nothing left to do.
"""

import argparse
import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from shared.errors import Unavailable
from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import sqlite_engine

LOCK_WAIT = "240s"


@dataclass(frozen=True, slots=True)
class Migrations:
    """A service's migrations: `package.migrate` is the module that runs them, `folder` the package's.

    `lock` is any number that all processes of this service agree on and no other service takes. `adopt` runs on
    PostgreSQL after them, outside a transaction and under the same lock.
    """

    package: str
    folder: Path
    lock: int
    adopt: Callable[[sa.Connection], None] | None = None

    def run(self, url: str) -> None:
        """Run what is missing on the database at `url` (sqlite:/// or postgresql://). Raises its own errors."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(self.folder / "migrations"))
        with self._locked(url) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        if self.adopt is not None and not url.startswith("sqlite"):
            self._adopt(url, self.adopt)

    def _adopt(self, url: str, adopt: Callable[[sa.Connection], None]) -> None:
        """Outside a transaction, so the lock is the session's."""
        engine = postgres_engine(url)
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_WAIT}'")
                connection.exec_driver_sql("SET statement_timeout = 0")
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({self.lock})")
                try:
                    adopt(connection)
                finally:
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({self.lock})")
        finally:
            engine.dispose()

    @contextmanager
    def _locked(self, url: str) -> Iterator[sa.Connection]:
        """A connection in a transaction, while no other process migrates this database."""
        embedded = url.startswith("sqlite")
        engine = sqlite_engine(url) if embedded else postgres_engine(url)
        try:
            lock = _file_lock(url) if embedded else nullcontext()
            with lock, engine.execution_options(writes=True).begin() as connection:
                if not embedded:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self.lock})")
                yield connection
        finally:
            engine.dispose()

    def run_apart(self, url: str) -> None:
        """`run` in a process of its own. Raises Unavailable with its last line when it fails.

        However long it takes: a big table that is rewritten is rolled back if it is cut, and would be cut again and
        again. Only waiting for locks ends (LOCK_WAIT).
        """
        # The address may hold a password: standard input shows in no list of processes.
        command = [sys.executable, "-m", f"{self.package}.migrate", "--from-stdin"]
        try:
            done = subprocess.run(  # noqa: S603  # fixed words; the address goes by standard input
                command, input=url, text=True, capture_output=True, cwd=self.folder.parent, check=False
            )
        except OSError as error:
            raise Unavailable(f"the database could not be migrated: {type(error).__name__}") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unavailable(f"the database could not be migrated: {last[:200]}")

    def command_line(self, configured_url: Callable[[], str]) -> None:
        """`python -m package.migrate`; `configured_url` says which database the settings mean."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.package}.migrate", description="Migrate the database.")
        parser.add_argument("--from-stdin", action="store_true", help="read the database's URL from standard input")
        url = sys.stdin.read().strip() if parser.parse_args().from_stdin else configured_url()
        try:
            self.run(url)
        except sa.exc.DBAPIError as error:  # one line, without the statement and the address
            sys.exit(f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0]}")
        except OSError as error:
            sys.exit(f"{type(error).__name__}: {error.strerror}")
        print("The database is at the newest migration.")


@contextmanager
def _file_lock(url: str) -> Iterator[None]:
    beside = Path(f"{sa.make_url(url).database}.migrating")
    beside.parent.mkdir(parents=True, exist_ok=True)
    with beside.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
