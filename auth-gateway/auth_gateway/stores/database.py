"""The database that holds the gateway's tables: a SQLite file of its own, or the fleet's PostgreSQL."""

from pathlib import Path

import sqlalchemy as sa

from auth_gateway.stores.schema import HEAD, VERSION_TABLE
from shared.clock import Clock
from shared.sql import postgres, sqlite
from shared.sql.connections import PROBE_S, Connections
from shared.sql.glance import Glance
from shared.sql.leash import Leash

WRITING = 5_022_002  # the lock by which writers take turns in PostgreSQL; any number that no other service takes


class Database:
    """Its connections, and whether they may be used. `prepare` comes first; until then every call is Unavailable."""

    def __init__(self, connections: Connections, glance: Glance | None = None):
        self.connections, self.glance = connections, glance

    @classmethod
    def open(cls, url: str | None, path: Path, clock: Clock, leash: Leash) -> "Database":
        """PostgreSQL at `url`; without one the embedded file. Opens nothing yet."""
        if url is None:
            engine = sqlite.sqlite_engine(sqlite.sqlite_url(path))
            return cls(Connections(engine, clock, sqlite.explain, version_table=VERSION_TABLE), Glance(path))
        engine = postgres.postgres_engine(url, bounds=postgres.SERVING, name="auth-gateway")
        leash.watch_over(engine)
        turns = postgres.turns(WRITING)
        return cls(Connections(engine, clock, postgres.explain, turns, leash, version_table=VERSION_TABLE))

    @property
    def prepared(self) -> bool:
        """True when the schema is known to be the newest."""
        return self.connections.why_not is None

    def prepare(self) -> bool:
        """Look; False if the migrations must run. Raises Unavailable."""
        return self.connections.require_version(HEAD)

    def probe(self) -> None:
        """Raises Unavailable unless the database answers; after a write failed, unless it takes one."""
        if self.connections.write_failed:
            note = sa.text(f"UPDATE {VERSION_TABLE} SET version_num = version_num")  # noqa: S608  # a constant of ours
            self.connections.transact(lambda link: link.execute(note))
        with self.connections.reading(PROBE_S) as link:
            link.execute(sa.select(1))

    def close(self) -> None:
        """Close every connection."""
        if self.glance is not None:
            self.glance.close()
        self.connections.close()
