"""Puts auth-gateway together: where accounts lie, who checks passwords, what health and counters say."""

import functools
import socket
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from auth_gateway.attempts import Attempts
from auth_gateway.audit import Event
from auth_gateway.audit_routes import add_audit_routes
from auth_gateway.call_log import CallLog
from auth_gateway.denylist import Denylist
from auth_gateway.descriptions import Descriptions
from auth_gateway.forwarding.forwarder import Answer, Forwarder
from auth_gateway.hashing.argon2_hasher import Argon2Hasher
from auth_gateway.hashing.common import is_common
from auth_gateway.headers import Pairs
from auth_gateway.hook_routes import add_hook_routes
from auth_gateway.identity import Doorkeeper, Identity
from auth_gateway.keyring import Keyring
from auth_gateway.login import Login, PasswordRules
from auth_gateway.migrate import migrate_apart
from auth_gateway.overview_routes import add_overview_routes
from auth_gateway.passage import Passage
from auth_gateway.proxy_routes import Book, Door, Vouch, add_proxy_routes, add_vouch_route
from auth_gateway.retention import Retention
from auth_gateway.routes import add_routes
from auth_gateway.settings import AuthSettings
from auth_gateway.stores.accounts import SqlAccounts
from auth_gateway.stores.api_keys import SqlApiKeys
from auth_gateway.stores.audit_log import SqlAuditLog
from auth_gateway.stores.database import Database
from auth_gateway.stores.hooks import SqlHooks
from auth_gateway.stores.looks import Looks
from auth_gateway.stores.sessions import SqlSessions
from auth_gateway.stores.shared_denials import RedisDenials
from auth_gateway.streams import Streams
from auth_gateway.tokens import AccessTokens
from auth_gateway.unhurried import Unhurried
from auth_gateway.upstream import read_whole
from auth_gateway.webhooks import DATABASE, Deliver, Webhooks, signal_id_in
from shared.clock import Clock
from shared.fleet import read_fleet
from shared.logger import request_id
from shared.offload import Offload
from shared.redis_cache import RedisCache
from shared.service import Service, create_service
from shared.sql.keeper import Keeper
from shared.sql.leash import Leash
from shared.voucher import HEADER, Voucher, make_voucher
from shared.web.parsing import parse_json
from shared.web.tunnel import Ending, tunnel

NAME = "auth-gateway"
ASK_S = 3.0
DELIVER_S = 5.0  # for a signal of a webhook; past it the event is kept as a dead letter
MAX_VERDICT = 100_000  # bytes of what database-service says to it
OURSELVES = "127.0.0.1"
GUEST = "guest"  # who calls without a login or a key, where that is allowed
THREADS = 4  # native threads for the database
UNHURRIED = (("POST", "/auth/login"), ("POST", "/auth/register"), ("POST", "/auth/password"))  # they hash
LOOKS = 2  # further ones for who is calling, so that nobody who is logged in waits behind others' logins


def build(settings: AuthSettings | None = None, clock: Clock | None = None) -> Service:
    """The service, wired; nothing is opened before it starts. Raises ConfigError when a setting is wrong."""
    settings = settings or AuthSettings.read()
    service = create_service(
        NAME, settings, import_name="auth_gateway", clock=clock,
        about="one door: logins, API keys, limits, the way to every service below /api/",
        first_call="/api/health",
    )  # fmt: skip
    service.unvouched.append("/")  # it judges every call itself
    now, monotonic = service.clock.now, service.clock.monotonic
    leash = Leash(monotonic)
    database = Database.open(settings.database_url, settings.sqlite_path, service.clock, leash)
    offload, reading = Offload(THREADS), Offload(LOOKS)
    hasher, cache = Argon2Hasher(), RedisCache.from_settings(settings)
    accounts, sessions = SqlAccounts(database.connections), SqlSessions(database.connections)
    keys, log = SqlApiKeys(database.connections), SqlAuditLog(database.connections)
    tokens = AccessTokens(settings.signing_keys(), settings.ACCESS_TOKEN_S, now)
    looks = Looks(database.connections, database.glance, reading.call)
    denylist = Denylist(
        settings.ACCESS_TOKEN_S, RedisDenials(cache), looks.ended_at_a_glance, looks.has_ended,
        lambda moment: reading.call(sessions.ended_since, moment), now, monotonic,
    )  # fmt: skip
    doorkeeper = Doorkeeper(tokens, denylist, looks.key, now, monotonic)
    rules = PasswordRules(settings.PASSWORD_MIN_LENGTH, is_common)
    login = Login(
        accounts, sessions, log, hasher, tokens, denylist, Attempts(cache), rules, offload.call, now,
        timedelta(days=settings.SESSION_DAYS),
    )  # fmt: skip
    names = [member.name for member in read_fleet().services]
    keyring = Keyring(keys, doorkeeper, names, offload.call, now)
    add_routes(service, settings, login, keyring, doorkeeper)
    writer = Offload(1)  # of its own, since the others may have to wait for logins
    call_log = CallLog(lambda events: writer.call(log.record, events), service.logger)
    streams = Streams(
        lambda ids, at: reading.call(sessions.still_open, ids, at),
        lambda hashes, at: reading.call(keys.still_open, hashes, at), now, monotonic, service.logger,
    )  # fmt: skip
    retention = Retention(log, settings.RETENTION_AUDIT_DAYS, now, offload.call, service.logger)
    add_audit_routes(service, doorkeeper, log, offload.call)
    deliver = _add_fleet(service, settings, doorkeeper, _book(service, call_log), streams)
    webhooks = Webhooks(
        SqlHooks(database.connections), accounts, settings.signing_keys, parse_json, deliver,
        functools.partial(_count_event, service, settings), offload.call, now,
    )  # fmt: skip
    add_hook_routes(service, settings, doorkeeper, webhooks)
    service.app.wsgi_app = Unhurried(service.app.wsgi_app, UNHURRIED)  # type: ignore[method-assign]  # Flask's own way
    service.on_stop(reading.close)
    _live(service, settings, database, offload, hasher, leash, cache)
    for start in (call_log.start, retention.start, streams.start):
        service.on_start(start)
    for stop in (writer.close, call_log.stop, retention.stop, streams.stop):
        service.on_stop(stop)
    return service


def _book(service: Service, call_log: CallLog) -> Book:
    """Where calls are noted."""

    def note(action: str, who: Identity | None, address: str, what: Mapping[str, str | int]) -> None:
        by_key = {"key": who.key_id} if who is not None and who.key_id is not None else {}
        actor = GUEST if who is None else who.account_id
        call_log.add(Event(service.clock.now(), action, actor, address, more={**by_key, **what}))

    return Book(call_log.require_room, note)


def _add_fleet(
    service: Service, settings: AuthSettings, doorkeeper: Doorkeeper, book: Book, streams: Streams
) -> Deliver:  # fmt: skip
    """The way to the other services, and what is said of all of them. Returns the way for webhooks' signals."""
    urls = settings.service_urls
    forwarder = Forwarder(urls, service.clock.monotonic)
    service.on_stop(forwarder.close)
    secret = functools.cache(settings.fleet_secret)

    def vouch(name: str, who: Identity | None, address: str) -> str:
        voucher = Voucher(address, who.account_id, who.role) if who else Voucher(address)
        return make_voucher(secret(), name, voucher, service.clock.now().timestamp())

    def ask(name: str, target: str) -> Answer:
        """What the gateway itself wants to know of a service."""
        return forwarder.send(name, "GET", target, [(HEADER, vouch(name, None, OURSELVES))], b"", ASK_S)

    check = service.limiter.check if settings.RATE_LIMIT_ENABLED else None
    descriptions = Descriptions(ask, urls, service.clock.monotonic)
    passage = Passage(doorkeeper, descriptions.needs, check, settings.RATE_LIMIT_API_IP, settings.AUTH_REQUIRED)
    add_overview_routes(service, descriptions, list(urls), ask, passage, settings.RATE_LIMIT_OVERVIEW)

    def connect(url: str, target: str, headers: Pairs, client: socket.socket, who: Identity | None) -> None:
        ending = Ending()
        with streams.opened(who, ending.tell):
            tunnel(url, target, headers, client, ending)

    door = Door(urls, passage, vouch, forwarder.send, connect, book)
    add_proxy_routes(service, door)
    add_vouch_route(service, door)
    return _deliverer(forwarder, vouch)


def _deliverer(forwarder: Forwarder, vouch: Vouch) -> Deliver:
    def deliver(owner: Identity, address: str, signal: dict[str, Any], key: str) -> str:
        headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
            ("X-Request-ID", request_id.get() or uuid.uuid4().hex),
            (HEADER, vouch(DATABASE, owner, address)),
        ]
        answer = forwarder.send(DATABASE, "POST", "/signals/save", headers, orjson.dumps(signal), DELIVER_S)
        return signal_id_in(answer.status, read_whole(answer.body, MAX_VERDICT))

    return deliver


def _count_event(service: Service, settings: AuthSettings, hook_id: str) -> None:
    if settings.RATE_LIMIT_ENABLED:
        decision = service.limiter.check("hooks:hook", hook_id, settings.RATE_LIMIT_HOOKS)
        if not decision.allowed:
            raise decision.refusal()


def _live(
    service: Service, settings: AuthSettings, database: Database, offload: Offload, hasher: Argon2Hasher,
    leash: Leash, cache: RedisCache,
) -> None:  # fmt: skip
    """What starts and stops with the service, and what its health says."""
    keeper = Keeper(database, lambda: migrate_apart(settings.store_url), offload.call, service.logger)

    def state() -> dict[str, str]:
        offload.call(database.probe)
        return {"status": "healthy", "detail": "PostgreSQL" if settings.database_url else "SQLite"}

    service.health.add_dependency("cache", cache.status)
    service.health.add_dependency("database", state, timeout_s=2.0)
    if settings.database_url:
        service.on_start(leash.start)
        service.on_stop(leash.stop)
    service.on_start(keeper.start)
    for close in (cache.close, database.close, offload.close, hasher.close, keeper.stop):
        service.on_stop(close)
