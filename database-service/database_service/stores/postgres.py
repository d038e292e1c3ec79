"""The store in PostgreSQL (`shared.sql.postgres` says how it is reached)."""

from database_service.stores.postgres_statements import PostgresStatements
from database_service.stores.sql import SqlStore
from shared.clock import Clock
from shared.sql.connections import Connections
from shared.sql.leash import Leash
from shared.sql.postgres import SERVING, explain, postgres_engine, turns

WRITING = 5_020_002  # advisory lock that writers share; any number that all processes agree on


def postgres_store(url: str, clock: Clock, leash: Leash | None = None) -> SqlStore:
    """The store in this database. Opens nothing yet. `leash`: how long a server that hangs is waited for."""
    engine = postgres_engine(url, bounds=SERVING)
    if leash is not None:
        leash.watch_over(engine)
    return SqlStore(Connections(engine, clock, explain, turns(WRITING), leash), clock, PostgresStatements())
