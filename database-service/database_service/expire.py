"""Retention by hand: `python -m database_service.expire` removes now what the settings say is too old."""

import sys
from pathlib import Path

from database_service.config import DatabaseSettings
from database_service.retention import rules, sweep
from database_service.stores.open import open_store
from shared.clock import SystemClock
from shared.errors import Unavailable


def main() -> None:
    """The command line."""
    settings, clock = DatabaseSettings.read(folder=Path(__file__).parent.parent), SystemClock()
    in_force = rules(settings.RETENTION_SIGNALS_DAYS, settings.RETENTION_PERFORMANCE_DAYS)
    if not in_force:
        sys.exit("Nothing has an age: set RETENTION_SIGNALS_DAYS or RETENTION_PERFORMANCE_DAYS.")
    store = open_store(settings.database_url, settings.sqlite_path, clock)
    try:
        if not store.prepare():
            sys.exit("The database needs its migrations first: python -m database_service.migrate")
        for rule in in_force:
            print(f"{rule.table}: {sum(sweep(store, rule, clock.now())):,} rows removed ({rule.reason})")
    except Unavailable as away:
        sys.exit(away.message)
    finally:
        store.close()


if __name__ == "__main__":
    main()
