"""What Prometheus is shown of the store: how much is in it, what waits to be written, what waits in the spool."""

from database_service.group_commit import GroupCommit
from database_service.routes import Desk
from database_service.stores.spooling import SpoolingStore
from shared.service import Service

GAUGES = {
    "database_signals": "Signals stored",
    "database_closed_trades": "Closed trades stored",
    "database_writes_waiting": "Saves that wait for their commit",
    "database_spool_rows": "Signals and trades that wait locally for the database to come back",
    "database_spool_age_seconds": "For how long something has waited in the spool; 0 while nothing does",
}


def show_store(service: Service, desk: Desk) -> None:
    """Put it on the service."""
    for name, text in GAUGES.items():
        service.metrics.describe(name, text)

    def show() -> None:
        counts, store = desk.store.counts(), desk.store
        waiting = sum(one.waiting for one in (desk.save, desk.track) if isinstance(one, GroupCommit))
        spooled, age_s = store.spooled if isinstance(store, SpoolingStore) else (0, 0.0)
        values = (counts.signals, counts.performance, waiting, spooled, age_s)
        for name, value in zip(GAUGES, values, strict=True):
            service.metrics.set_gauge(name, value)

    service.on_scrape(show)
