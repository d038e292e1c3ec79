"""Bring the database to the newest schema: `python -m database_service.migrate` (`shared.sql.migrate` says how).

Where PostgreSQL holds the extension timescaledb, the tables become hypertables (stores/timescale.py), also if it came
later.
"""

from pathlib import Path

from database_service.stores.timescale import adopt
from shared.sql.migrate import Migrations

FOLDER = Path(__file__).parent
MIGRATIONS = Migrations("database_service", FOLDER, lock=5_020_001, adopt=adopt)
migrate, migrate_apart = MIGRATIONS.run, MIGRATIONS.run_apart


def _configured_url() -> str:
    from database_service.config import DatabaseSettings

    return DatabaseSettings.read(folder=FOLDER.parent).store_url


if __name__ == "__main__":
    MIGRATIONS.command_line(_configured_url)
