"""Bring the database to the newest schema: `python -m auth_gateway.migrate` (`shared.sql.migrate` says how)."""

from pathlib import Path

from shared.sql.migrate import Migrations

FOLDER = Path(__file__).parent
MIGRATIONS = Migrations("auth_gateway", FOLDER, lock=5_022_001)
migrate, migrate_apart = MIGRATIONS.run, MIGRATIONS.run_apart


def _configured_url() -> str:
    from auth_gateway.settings import AuthSettings

    return AuthSettings.read(folder=FOLDER.parent).store_url


if __name__ == "__main__":
    MIGRATIONS.command_line(_configured_url)
