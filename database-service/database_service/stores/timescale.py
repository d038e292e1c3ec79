"""What TimescaleDB adds where its extension is in the database: chunks of time, compressed when old, and daily sums.

Whether it is there is the database owner's decision (`CREATE EXTENSION timescaledb`); nothing here makes it, and every
answer of the service is the same without it. Retention stays our own sweep: TimescaleDB's policy drops whole chunks,
and with them the links of the audit chain (sequence, hash, reason) that have to stay.
"""

from datetime import datetime

import sqlalchemy as sa

from database_service.retention import Aged

CHUNK = "30 days"  # every statement that is not bound in time plans over all chunks: 12 a year, not 52
COMPRESS_AFTER = "60 days"  # what is older is hardly changed; it still can be
REFRESH_EVERY = "1 hour"
TIMES: dict[Aged, str] = {"signals": "timestamp", "performance": "closed_at"}

# Real-time: days that are not summed yet, today's among them, are summed when asked for.
DAILY = """
    CREATE MATERIALIZED VIEW IF NOT EXISTS performance_daily
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(INTERVAL '1 day', closed_at) AS day, strategy, count(*) AS trades,
           count(*) FILTER (WHERE pnl > 0) AS wins, count(*) FILTER (WHERE pnl < 0) AS losses,
           sum(pnl) AS pnl, sum(pnl) FILTER (WHERE pnl > 0) AS profit, -sum(pnl) FILTER (WHERE pnl < 0) AS loss
    FROM performance GROUP BY day, strategy
    WITH NO DATA
"""


def adopt(link: sa.Connection) -> None:
    """Make the tables hypertables and set their policies. `link` commits each statement; what is there already stays.

    Rows that are there move into chunks, during which the table is locked.
    """
    if not installed(link):
        return
    for table, time in TIMES.items():
        link.exec_driver_sql(
            f"SELECT create_hypertable('{table}', by_range('{time}', INTERVAL '{CHUNK}'), if_not_exists => true, "
            "migrate_data => true, create_default_indexes => false)"
        )
    if link.scalar(sa.text("SELECT current_setting('timescaledb.license', true)")) != "timescale":
        return  # the Apache edition has neither compression nor continuous aggregates
    for table, time in TIMES.items():
        _compress(link, table, time)
    link.exec_driver_sql(DAILY)
    link.exec_driver_sql(
        "SELECT add_continuous_aggregate_policy('performance_daily', start_offset => NULL, end_offset => "
        f"INTERVAL '1 day', schedule_interval => INTERVAL '{REFRESH_EVERY}', if_not_exists => true)"
    )


def installed(link: sa.Connection) -> bool:
    """True in a database that holds the extension."""
    if link.dialect.name != "postgresql":
        return False
    return bool(link.scalar(sa.text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')")))


def drop_emptied_chunks(link: sa.Connection, table: Aged, before: datetime) -> None:
    """Drop the chunks from before that moment, from which retention has just removed every row.

    Of signals it must be every row: whoever appends waits for this transaction (`Connections.transact`, alone).
    """
    if installed(link) and _is_hypertable(link, table):
        link.execute(sa.text(f"SELECT drop_chunks('{table}', older_than => :before)"), {"before": before})


def _compress(link: sa.Connection, table: Aged, time: str) -> None:
    # No column to segment by: clients choose symbols and strategies, and a thousand of them would make a thousand
    # near-empty batches in a chunk. In time's order, retention and pages of history unpack what they read alone.
    done = sa.text("SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = :table")
    if not link.scalar(done, {"table": table}):
        link.exec_driver_sql(
            f"ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = '', "
            f"timescaledb.compress_orderby = '{time} DESC, id DESC')"
        )
    link.exec_driver_sql(
        f"SELECT add_compression_policy('{table}', compress_after => INTERVAL '{COMPRESS_AFTER}', "
        "if_not_exists => true)"
    )


def _is_hypertable(link: sa.Connection, table: Aged) -> bool:
    query = "SELECT EXISTS (SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = :table)"
    return bool(link.scalar(sa.text(query), {"table": table}))
