"""PostgreSQL, by DATABASE_URL or DB_HOST. Needs nothing but a database and a user that may create tables in it."""

import sqlalchemy as sa
from sqlalchemy import exc

from shared.sql.connections import Kind, TakeTurn

CONNECT_S = 2  # the least that libpq knows
STATEMENT_MS = 10_000  # of commands by hand
READ_MS = 3_500  # below connections.READ_S: a server that is alive ends a slow statement itself
WRITE_MS = 1_500  # below connections.WRITE_S, for the same reason
IDLE_MS = 10_000  # a transaction whose client vanished holds no lock for longer
SILENCE_MS = 10_000  # unacknowledged network traffic
BY_HAND = f"-c statement_timeout={STATEMENT_MS} -c lock_timeout=5000"
SERVING = f"-c statement_timeout={READ_MS} -c lock_timeout={WRITE_MS} -c idle_in_transaction_session_timeout={IDLE_MS}"
REASONS = {
    "53100": "PostgreSQL's disk is full",
    "53300": "PostgreSQL has no connection left",
    "57014": "PostgreSQL took too long",
    "55P03": "PostgreSQL waited too long for a lock",
    "25006": "PostgreSQL is read-only",
    "42501": "PostgreSQL's user may not do this",
}
UNDEFINED_TABLE = "42P01"
ROW_CLASSES = {"22", "23", "54"}  # data exception, integrity constraint, program limit (an index entry too long)
SHUTTING_DOWN = {"57P01", "57P02", "57P03"}


def postgres_url(url: str) -> sa.URL:
    """`url` (postgresql:// or postgres://) with the driver that is installed. Raises ValueError for other databases."""
    parsed = sa.make_url(url)
    if parsed.drivername.split("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("must begin with postgresql://")
    return parsed.set(drivername="postgresql+psycopg2")


def postgres_engine(url: str, pool_size: int = 5, bounds: str = BY_HAND, name: str = "trading-fleet") -> sa.Engine:
    """An engine with a bound on every wait. A connection is tried before use, so a restarted server is found again.

    `name` is what PostgreSQL shows of who is connected.
    """
    # synchronous_commit: a server may be configured to acknowledge before it has written; a success here must not be.
    options = f"{bounds} -c synchronous_commit=on -c timezone=UTC"
    arguments = {
        "connect_timeout": CONNECT_S,
        "options": options,
        "application_name": name,
        "tcp_user_timeout": SILENCE_MS,
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
    }
    return sa.create_engine(
        postgres_url(url), connect_args=arguments, pool_size=pool_size, pool_pre_ping=True, pool_timeout=5
    )


def turns(lock: int) -> TakeTurn:
    """How a service's writers take turns: all abreast, or one alone. `lock`: a number that only this service takes."""

    def take_turn(link: sa.Connection, alone: bool) -> None:
        # Under 20 writers at one place, repeating alone did not help: newcomers took the name each time.
        how = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        link.exec_driver_sql(f"SELECT {how}({lock}), set_config('statement_timeout', '{WRITE_MS}', true)")

    return take_turn


def explain(error: exc.SQLAlchemyError) -> tuple[str, Kind]:
    """See `connections.Explain`. The vendor's own message stays out: it may quote the address and the data."""
    if isinstance(error, exc.TimeoutError):
        return "all connections to PostgreSQL are busy", "failed"
    vendor = getattr(error, "orig", None)
    code = getattr(vendor, "pgcode", None)
    if code == UNDEFINED_TABLE:
        return "PostgreSQL's database does not hold the tables", "schema"
    if code in REASONS:
        return REASONS[code], "failed"
    if code is not None and code[:2] in ROW_CLASSES:
        return f"SQLSTATE {code}", "row"
    if code is not None and code not in SHUTTING_DOWN:
        return f"PostgreSQL refused (SQLSTATE {code})", "failed"
    text = str(vendor)
    if "authentication failed" in text or "no pg_hba.conf entry" in text:
        return "PostgreSQL refuses the login", "gone"
    if "database" in text and "does not exist" in text:
        return "PostgreSQL has no database of that name", "gone"
    return "PostgreSQL does not answer", "gone"
