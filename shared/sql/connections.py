"""Connections to a SQL database: which calls may use one, and what a vendor's errors mean to them."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from shared.clock import Clock
from shared.errors import InvalidInput, Unavailable
from shared.sql.leash import Hold, Leash, renew

RACES = 5  # tries of a transaction whose names other writers took; from the second on it runs alone
FAIL_FAST_S = 0.5  # after a failed connection, so that a queue of requests does not wait for one time-out each
READ_S = 4.0  # the longest that a read may wait for the database's next rows, or SQLite may look for them
PROBE_S = 2.0
WRITE_S = 2.0  # the longest that a write may take, and what each of its rows adds
WRITE_ROW_S = 0.0002
PORTION = 1000  # rows that are in memory at a time where an answer is long
Kind = Literal["failed", "gone", "schema", "row"]
TakeTurn = Callable[[sa.Connection, bool], None]
T = TypeVar("T")


class Explain(Protocol):
    """What an adapter knows of its vendor's errors."""

    def __call__(self, error: exc.SQLAlchemyError) -> tuple[str, Kind]:
        """A reason for people, without secrets, and what it means for the next call.

        gone: nobody is there (any more); schema: the tables are not ours, someone exchanged the database; row: what
        was to be written is the fault, everything else is well.
        """
        ...


class LostRace(Exception):
    """Another writer changed the row between our look and our update."""


class TooLong(Exception):
    """A value would be longer than the caller allows."""


class Connections:
    """An engine's connections. `why_not` says why nobody may use them; None: the schema is known to be ours."""

    def __init__(
        self,
        engine: sa.Engine,
        clock: Clock,
        explain: Explain,
        take_turn: TakeTurn = lambda *_: None,
        leash: Leash | None = None,
        version_table: str = "alembic_version",
    ):
        """`take_turn(link, alone)` begins a write where the database lets several run abreast.

        Alone it waits until no other runs: a writer that lost a race then wins. `leash` bounds every use, for a
        database that can hang. `version_table`: where Alembic notes the migration; services may share a database.
        """
        self._engine, self._writing = engine, engine.execution_options(writes=True)
        self._clock, self._explain, self._take_turn = clock, explain, take_turn
        self._leash = leash or Leash(clock.monotonic)
        self._version_table = version_table
        self._down_until, self._down_reason = float("-inf"), ""
        self.why_not: str | None = "the database is not prepared yet"
        self.write_failed = False
        self._errors: type[Exception] = engine.dialect.loaded_dbapi.Error

    @property
    def embedded(self) -> bool:
        """Whether it is SQLite."""
        return self._engine.dialect.name == "sqlite"

    def schema_version(self) -> str | None:
        """The migration that the database is at; None for an empty database. Raises Unavailable."""
        with self._leash.hold(PROBE_S), self.translating(), self._engine.connect() as link:
            if not sa.inspect(link).has_table(self._version_table):
                return None
            version: str | None = link.scalar(
                sa.select(sa.column("version_num")).select_from(sa.table(self._version_table))
            )
            return version

    def require_version(self, head: str) -> bool:
        """Look which migration the database is at: any but `head` keeps everybody out. Raises Unavailable."""
        version = self.schema_version()
        self.why_not = None if version == head else f"the database is at migration {version}, not {head}"
        return self.why_not is None

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @property
    def known_away(self) -> bool:
        """True if the last call found nobody, or a database that isn't ours."""
        return self.why_not is not None or bool(self._down_reason)

    @contextmanager
    def reading(self, within_s: float = READ_S) -> Iterator[sa.Connection]:
        """A connection for reading. `within_s` bounds the whole, or each portion of what `streamed` reads."""
        self._require()
        with self._leash.hold(within_s) as hold, self.translating(), self._engine.connect() as link:
            hold.on(link)
            yield link

    def fetch(
        self, text: str, values: tuple[Any, ...], within_s: float = READ_S, longest: int | None = None
    ) -> list[Any]:
        """The rows of one statement, past SQLAlchemy's own connection, which takes longer than a page's query.

        It sees what is committed when it runs. No transaction outlives it: SQLite's is the statement itself, psycopg2's
        ends as the pool takes the connection back. `longest`: the bytes of the longest value that SQLite may make;
        TooLong past it.
        """
        self._require()
        with self._leash.hold(within_s) as hold, self.translating():
            try:
                link = self._engine.raw_connection()
                try:
                    hold.on_pooled(link)
                    with _at_most(link.driver_connection, longest):
                        return self._fetched(link, text, values)
                finally:
                    link.close()
            except self._errors as error:  # as SQLAlchemy would hand it on
                raise exc.DBAPIError(text, None, error) from error

    def _fetched(self, link: sa.PoolProxiedConnection, text: str, values: tuple[Any, ...]) -> list[Any]:
        cursor = link.cursor()
        try:
            cursor.execute(text, values)
            return list(cursor.fetchall())
        except self._errors as error:
            if self._engine.dialect.is_disconnect(error, link, None):  # type: ignore[arg-type]  # it calls itself so
                link.invalidate(error)
            raise

    def transact(self, work: Callable[[sa.Connection], T], alone: bool = False, rows: int = 0) -> T:
        """`work` in one transaction, again if another writer took a name between our look and our insert.

        `alone`: no other writer, of whatever process, until it ends. `rows`: how many there are, where it may be
        thousands. A write that took too long is cut, and may have been committed nevertheless.
        """
        self._require()
        return self.noting(lambda: self._held(work, alone, rows))

    def _held(self, work: Callable[[sa.Connection], T], alone: bool, rows: int) -> T:
        with self._leash.hold(WRITE_S + rows * WRITE_ROW_S, writes=True) as hold, self.translating():
            return self._race(work, alone, hold)

    def noting(self, write: Callable[[], T]) -> T:
        """What `write` returns; whether it failed is remembered, since a full disk can still be read."""
        try:
            result = write()
        except Unavailable:
            self.write_failed = True
            raise
        self.write_failed = False
        return result

    def _race(self, work: Callable[[sa.Connection], T], alone: bool, hold: Hold) -> T:
        for attempt in range(RACES):
            try:
                with self._writing.begin() as link:
                    hold.on(link)
                    self._take_turn(link, alone or attempt > 0)
                    return work(link)
            except (exc.IntegrityError, LostRace):
                continue
        raise Unavailable("other writers keep taking the same names; retry")

    def _require(self) -> None:
        if self.why_not is not None:
            raise Unavailable(f"the database is not available: {self.why_not}")
        now = self._clock.monotonic()
        if now < self._down_until:
            raise Unavailable(f"the database is not available: {self._down_reason}")
        if self._down_reason:  # this caller looks whether it is back; the others need not wait with it
            self._down_until = now + READ_S

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Vendor errors as Unavailable, or InvalidInput for a row that passed every check of ours, but not theirs."""
        try:
            yield
        except exc.SQLAlchemyError as error:
            reason, kind = self._explain(error)
            self._note_answer(reason, kind)
            if kind == "row":
                raise InvalidInput(f"the database does not take this row: {reason}") from error
            raise Unavailable(f"the database is not available: {reason}") from error
        except BaseException:
            self._note_answer()  # the caller's own error: the database answered
            raise
        self._note_answer()

    def _note_answer(self, reason: str = "", kind: Kind = "failed") -> None:
        if kind == "schema" or (kind != "row" and reason and self.why_not is not None):
            self.why_not = reason
        away = kind == "gone"
        self._down_reason = reason if away else ""
        self._down_until = self._clock.monotonic() + FAIL_FAST_S if away else float("-inf")


@contextmanager
def _at_most(connection: Any, longest: int | None) -> Iterator[None]:
    """SQLite makes no value longer than this meanwhile."""
    if longest is None:
        yield
        return
    before = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
    try:
        yield
    except sqlite3.DataError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_TOOBIG:
            raise TooLong from None
        raise
    finally:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)


def streamed(link: sa.Connection, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> Iterator[sa.Row[Any]]:
    """The rows of one snapshot in portions, so that memory stays flat. Each portion has the time of a read."""
    for portion in link.execution_options(yield_per=PORTION).execute(query).partitions():
        renew(link)
        yield from portion
