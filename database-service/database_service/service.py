"""Puts database-service together: which store, who runs its blocking calls, what health and counters say."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from database_service.audit_routes import add_audit_routes
from database_service.bulk_routes import add_bulk_routes
from database_service.calibration_routes import add_calibration_routes
from database_service.config import DatabaseSettings
from database_service.group_commit import GroupCommit
from database_service.idempotency import Verdict
from database_service.migrate import migrate_apart
from database_service.prices.market import MarketHistory, market_client
from database_service.retention import Retention, rules
from database_service.routes import Desk, Worker, add_routes
from database_service.shown import show_store
from database_service.storage import Store
from database_service.stores.apart import Apart
from database_service.stores.cache import CacheStore
from database_service.stores.drain import Drain, Drainer
from database_service.stores.memory import MemoryStore
from database_service.stores.open import open_store
from database_service.stores.spool import Spool
from database_service.stores.spooling import SpoolingStore
from database_service.stores.sql import SqlStore
from shared.clock import Clock
from shared.later import Later
from shared.offload import Offload
from shared.redis_cache import RedisCache
from shared.service import Service, create_service
from shared.sql.keeper import Keeper
from shared.sql.leash import Leash
from shared.sql.sqlite import sqlite_url

NAME = "database-service"
READERS = 4  # native threads that read; SQLite and PostgreSQL let them work side by side


def build(settings: DatabaseSettings | None = None, clock: Clock | None = None) -> Service:
    """The service, wired; nothing is opened before it starts. Raises ConfigError when a setting is wrong."""
    settings = settings or DatabaseSettings.read()
    service = create_service(
        NAME, settings, import_name="database_service", clock=clock,
        about="keeps signals and closed trades: nothing acknowledged is ever lost",
        first_call="/signals/history?limit=1",
    )  # fmt: skip
    cache = RedisCache.from_settings(settings)
    desk = _durable(service, settings) if settings.DB_ENABLED else _volatile(service, settings, cache)
    service.health.add_dependency("cache", cache.status)
    service.health.metrics(lambda: _counts(desk))
    show_store(service, desk)
    service.stats(lambda: {**_counts(desk), "storage_mode": desk.store.source})
    service.on_stop(cache.close)
    service.on_stop(desk.store.close)
    add_routes(service, settings, desk)
    add_bulk_routes(service, settings, desk)
    history = MarketHistory(lambda: market_client(settings, service.clock), service.clock)
    add_calibration_routes(service, settings, desk, history)
    chain = desk.store if isinstance(desk.store, SqlStore | SpoolingStore) else None
    conflicts = desk.store.conflicts if isinstance(desk.store, SpoolingStore) else list
    add_audit_routes(service, settings, chain, conflicts, desk.read)
    return service


def _durable(service: Service, settings: DatabaseSettings) -> Desk:
    """A database. One writer at a time: SQLite allows no more, and group commit wants no more."""
    url = settings.database_url
    leash = Leash(service.clock.monotonic)
    store = open_store(url, settings.sqlite_path, service.clock, leash)
    reader, writer = Offload(threads=READERS), Offload(threads=1)
    read, write = reader.call, writer.call
    keeper = Keeper(store, lambda: migrate_apart(settings.store_url), read, service.logger)
    if url:
        service.on_start(leash.start)
    service.on_start(keeper.start)
    service.on_start(lambda: service.logger.info("storing in %s", "PostgreSQL" if url else settings.sqlite_path))
    if settings.WRITER_PROCESS:
        apart = Apart(store, settings.store_url, read, service.logger)
        store.append_with = apart.append
        service.on_start(apart.start)
        service.on_stop(apart.stop)
    in_force = rules(settings.RETENTION_SIGNALS_DAYS, settings.RETENTION_PERFORMANCE_DAYS)
    retention = Retention(store, in_force, service.clock.now, write, service.logger)
    service.on_start(retention.start)
    service.on_stop(leash.stop)  # last: until then it ends what hangs
    service.on_stop(reader.close)
    service.on_stop(writer.close)
    service.on_stop(keeper.stop)
    service.on_stop(retention.stop)
    if url and settings.SPOOL_MAX_ROWS:
        spooling = _spooling(service, settings, store, write)
        service.health.add_dependency("database", lambda: read(spooling.state), timeout_s=5.0)
        return _desk(service, settings, spooling, read, write)
    service.health.add_dependency("database", lambda: read(store.probe), timeout_s=2.0)
    return _desk(service, settings, store, read, write)


def _spooling(service: Service, settings: DatabaseSettings, store: SqlStore, write: Worker) -> SpoolingStore:
    """The database with a spool before it, and who drains that."""
    spool = Spool(settings.spool_path, service.clock, settings.SPOOL_MAX_ROWS)
    spooling = SpoolingStore(store, spool)
    aside = Offload(threads=1)
    keeper = Keeper(spool, lambda: migrate_apart(sqlite_url(settings.spool_path)), write, service.logger)
    drain = Drain(store, spool, service.clock)
    drainer = Drainer(drain, spool, store.probe, aside.call, write, service.logger)
    service.on_start(keeper.start)
    service.on_start(drainer.start)
    service.on_stop(aside.close)
    service.on_stop(keeper.stop)
    service.on_stop(drainer.stop)
    return spooling


def _desk(service: Service, settings: DatabaseSettings, store: Store, read: Worker, write: Worker) -> Desk:
    save, track = _alone(write, store.append), _alone(write, store.track)
    if settings.GROUP_COMMIT:
        monotonic = service.clock.monotonic
        save = GroupCommit(lambda rows, now: write(store.append, rows, now), monotonic)
        track = GroupCommit(lambda rows, now: write(store.track, rows, now), monotonic)
    return Desk(store, read, write, save, track)


def _volatile(service: Service, settings: DatabaseSettings, cache: RedisCache) -> Desk:
    """DB_ENABLED=false: the newest rows, in Redis if there is one. Neither blocks, so nothing is offloaded."""
    store = MemoryStore() if settings.REDIS_ENABLED is False else CacheStore(cache.run)

    def state() -> dict[str, str]:
        store.probe()
        detail = f"switched off (DB_ENABLED=false): nothing is durable, {store.source} only"
        return {"status": "unhealthy", "detail": detail}

    service.on_start(store.probe)
    service.on_start(lambda: service.logger.warning("DB_ENABLED=false: storing in %s only", store.source))
    service.health.add_dependency("database", state)
    return Desk(store, _directly, _directly, _alone(_directly, store.append), _alone(_directly, store.track))


def _alone(write: Worker, function: Callable[..., list[Verdict]]) -> Callable[..., Later[Verdict]]:
    """Each row in a transaction of its own: what GroupCommit does, without sharing."""

    def call(row: Any, now: datetime) -> Later[Verdict]:
        verdicts: list[Verdict] = write(function, [row], now)
        return Later.of(verdicts[0])

    return call


def _directly(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _counts(desk: Desk) -> dict[str, int]:
    counts = desk.store.counts()
    return {"signal_count": counts.signals, "performance_count": counts.performance}
