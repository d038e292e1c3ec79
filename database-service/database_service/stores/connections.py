"""Connections to a SQL database: which calls may use one, and what a vendor's errors mean to them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from shared.clock import Clock
from shared.errors import InvalidInput, Unavailable

RACES = 5  # tries of a transaction whose names other writers took; from the second on it runs alone
FAIL_FAST_S = 0.5  # after a failed connection, so that a queue of requests does not wait for one time-out each
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


class Connections:
    """An engine's connections. `why_not` says why nobody may use them; None: the schema is known to be ours."""

    def __init__(self, engine: sa.Engine, clock: Clock, explain: Explain, take_turn: TakeTurn = lambda *_: None):
        """`take_turn(link, alone)` begins a write where the database lets several run abreast.

        Alone it waits until no other runs: a writer that lost a race then wins.
        """
        self._engine, self._writing = engine, engine.execution_options(writes=True)
        self._clock, self._explain, self._take_turn = clock, explain, take_turn
        self._down_until, self._down_reason = float("-inf"), ""
        self.why_not: str | None = "the database is not prepared yet"
        self.write_failed = False

    def schema_version(self) -> str | None:
        """The migration that the database is at; None for an empty database. Raises Unavailable."""
        with self.translating(), self._engine.connect() as link:
            if not sa.inspect(link).has_table("alembic_version"):
                return None
            version: str | None = link.scalar(sa.text("SELECT version_num FROM alembic_version"))
            return version

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for reading."""
        self._require()
        with self.translating(), self._engine.connect() as link:
            yield link

    def transact(self, work: Callable[[sa.Connection], T], alone: bool = False) -> T:
        """`work` in one transaction, again if another writer took a name between our look and our insert.

        `alone`: no other writer, of whatever process, until it ends.
        """
        self._require()
        return self.noting(lambda: self._translated(work, alone))

    def _translated(self, work: Callable[[sa.Connection], T], alone: bool) -> T:
        with self.translating():
            return self._race(work, alone)

    def noting(self, write: Callable[[], T]) -> T:
        """What `write` returns; whether it failed is remembered, since a full disk can still be read."""
        try:
            result = write()
        except Unavailable:
            self.write_failed = True
            raise
        self.write_failed = False
        return result

    def _race(self, work: Callable[[sa.Connection], T], alone: bool) -> T:
        for attempt in range(RACES):
            try:
                with self._writing.begin() as link:
                    self._take_turn(link, alone or attempt > 0)
                    return work(link)
            except (exc.IntegrityError, LostRace):
                continue
        raise Unavailable("other writers keep taking the same names; retry")

    def _require(self) -> None:
        if self.why_not is not None:
            raise Unavailable(f"the database is not available: {self.why_not}")
        if self._clock.monotonic() < self._down_until:
            raise Unavailable(f"the database is not available: {self._down_reason}")

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Vendor errors as Unavailable, or InvalidInput for a row that passed every check of ours, but not theirs."""
        try:
            yield
        except exc.SQLAlchemyError as error:
            reason, kind = self._explain(error)
            if kind == "row":
                raise InvalidInput(f"the database does not take this row: {reason}") from error
            if kind == "schema" or self.why_not is not None:
                self.why_not = reason
            if kind == "gone":
                self._down_until, self._down_reason = self._clock.monotonic() + FAIL_FAST_S, reason
            raise Unavailable(f"the database is not available: {reason}") from error
