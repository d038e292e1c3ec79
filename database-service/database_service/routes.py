"""The calls of the contract: JSON to values, the store, values to JSON. No rule and no SQL lives here."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter

from database_service import answers, bodies, performance
from database_service.config import DatabaseSettings
from database_service.cursors import encode_cursor
from database_service.idempotency import Key, KeyName, Verdict, hash_body
from database_service.performance import ClosedTrade, TradeFilter, Trades, TradeSubmission, earned
from database_service.plain_bodies import PlainSignal, plain_signal
from database_service.signals import NewSignal, Page, Submission
from database_service.statistics import statistics
from database_service.storage import Store
from database_service.user_settings import SavedSettings
from shared.clock import check_range
from shared.errors import InvalidInput, NotFound, Unavailable
from shared.later import Later
from shared.service import Service

MAX_USER = 128
POSTED = frozenset({"save", "batch"})  # paths of POST alone, which `/signals/<signal_id>` would take for ids
# Runs `function(*arguments)` so that it holds up nobody else. Untyped: mypy can't compare two generic signatures.
Worker = Callable[..., Any]


class AnyPath(BaseConverter):
    """An id that may hold slashes anywhere (`BTC/USDT:…`); werkzeug's own `path` refuses one in front."""

    regex = ".+"
    part_isolating = False


@dataclass(frozen=True, slots=True)
class Desk:
    """What the calls work with: the store, who runs its reads and its writes, and how single rows are written."""

    store: Store
    read: Worker
    write: Worker
    save: Callable[[Submission, datetime], Later[Verdict]]
    track: Callable[[TradeSubmission, datetime], Later[Verdict]]


def add_routes(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    """Register every call of the contract."""
    service.app.url_map.converters["any"] = AnyPath
    _add_signals(service, settings, desk)
    _add_performance(service, settings, desk)
    _add_settings(service, settings, desk)


def _add_signals(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    @service.route(
        "POST", "/signals/save", limit=settings.RATE_LIMIT_SIGNALS_SAVE, body=bodies.SaveBody, quick=plain_signal,
        headers=bodies.KeyHeader, answer=answers.SaveAnswer, summary="Save one signal", hot=True,
    )  # fmt: skip
    def save(body: bodies.SaveBody | PlainSignal, headers: bodies.KeyHeader) -> Later[dict[str, Any]]:
        now = service.clock.now()
        key = _key("/signals/save", headers, PlainSignal.__struct_fields__, body)
        submission = Submission(new_signal(body, now), key)
        return desk.save(submission, now).map(saved)

    def saved(verdict: Verdict) -> dict[str, Any]:
        return {"message": "Signal saved successfully", "signal_id": _accepted(verdict).id, **durability(desk.store)}

    @service.route(
        "GET", "/signals/history", limit=settings.RATE_LIMIT_SIGNALS_HISTORY, query=bodies.HistoryQuery,
        answer=answers.HistoryAnswer, summary="Signals, newest first", hot=True,
    )  # fmt: skip
    def history(query: bodies.HistoryQuery) -> dict[str, Any]:
        page: Page = desk.read(desk.store.history, query.wanted(), query.limit, query.cursor)
        data = {
            "count": len(page.documents),
            "source": desk.store.source,
            "next_cursor": page.next and encode_cursor(page.next),
            "signals": [orjson.Fragment(document) for document in page.documents],
            **completeness(page),
        }
        return {"data": data}

    @service.route(
        "GET", "/signals/<any:signal_id>", limit=settings.RATE_LIMIT_SIGNALS_GET, answer=answers.SignalAnswer,
        summary="One signal",
    )  # fmt: skip
    def one(signal_id: str) -> dict[str, Any]:
        if signal_id in POSTED:
            raise MethodNotAllowed(["POST"])
        document: str | None = desk.read(desk.store.get, signal_id)
        if document is None:
            raise NotFound("there is no signal of that id")
        return {"data": orjson.Fragment(document), "source": desk.store.source}


def _add_performance(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    @service.route(
        "POST", "/performance/track", limit=settings.RATE_LIMIT_PERFORMANCE_TRACK, body=bodies.TrackBody,
        headers=bodies.KeyHeader, answer=answers.TrackAnswer, summary="Record one closed trade",
    )  # fmt: skip
    def track(body: bodies.TrackBody, headers: bodies.KeyHeader) -> Later[dict[str, Any]]:
        now = service.clock.now()
        key = _key(performance.ROUTE, headers, bodies.TrackBody.model_fields, body)
        submission = TradeSubmission(_closed_trade(body, now), key)
        return desk.track(submission, now).map(tracked)

    def tracked(verdict: Verdict) -> dict[str, Any]:
        return {
            "message": "Performance tracked successfully",
            "performance_id": _accepted(verdict).id,
            **durability(desk.store),
        }

    @service.route(
        "GET", "/performance/stats", limit=settings.RATE_LIMIT_PERFORMANCE_STATS, query=bodies.StatsQuery,
        answer=answers.StatsAnswer, summary="What the closed trades say",
    )  # fmt: skip
    def stats(query: bodies.StatsQuery) -> dict[str, Any]:
        wanted = TradeFilter(**{name: getattr(query, name) for name in TradeFilter.__slots__})
        figures: dict[str, Any] = desk.read(_figures, desk.store, wanted)
        return {"data": {"strategy": query.strategy, **figures, "source": desk.store.source}}


def _add_settings(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    limit = settings.RATE_LIMIT_SETTINGS

    @service.route("GET", "/settings/<user>", limit=limit, answer=answers.SettingsAnswer, summary="A user's settings")
    def read(user: str) -> dict[str, Any]:
        saved: SavedSettings | None = desk.read(desk.store.settings, _user(user))
        if saved is None:
            raise NotFound("this user has no saved settings")
        return {"version": saved.version, "settings": orjson.Fragment(saved.document)}

    @service.route(
        "PUT", "/settings/<user>", limit=limit, body=bodies.SettingsBody, answer=answers.SettingsAnswer, errors=(409,),
        summary="Save a user's settings",
    )  # fmt: skip
    def save(user: str, body: bodies.SettingsBody) -> dict[str, Any]:
        document = orjson.dumps(body.settings).decode()
        change = (_user(user), body.version, document, service.clock.now())
        saved: SavedSettings = desk.write(desk.store.save_settings, *change)
        return {"version": saved.version, "settings": body.settings}


def _figures(store: Store, wanted: TradeFilter) -> dict[str, Any]:
    try:
        trades = store.trades(wanted)
        return {**statistics(trades), **completeness(trades)}
    except Unavailable:  # a database that went away in the middle: what waits for it may be known
        trades = store.trades(wanted)
        return {**statistics(trades), **completeness(trades)}


def new_signal(body: bodies.SaveBody | PlainSignal, now: datetime) -> NewSignal:
    """The signal of a body; `now` if it names no time. Raises InvalidInput for one out of range."""
    moment = body.timestamp
    if moment is not None:
        _in_range("timestamp", moment, now)
    indicators: Any = body.indicators  # a PlainSignal's is a value by now
    metadata: Any = body.metadata
    return NewSignal(
        body.symbol, body.signal_type, body.confidence, body.price, moment or now, moment is not None, body.strategy,
        body.bot_id, body.timeframe, body.stop_loss, body.take_profit, body.leverage, indicators, metadata,
        body.signal_id,
    )  # fmt: skip


def _closed_trade(body: bodies.TrackBody, now: datetime) -> ClosedTrade:
    closed_at = _in_range("closed_at", body.closed_at, now) or now
    opened_at = _in_range("opened_at", body.opened_at, now)
    if opened_at is not None and opened_at > closed_at:
        raise InvalidInput.field("opened_at", "must not be after closed_at")
    fields = body.model_dump(exclude={"pnl", "pnl_pct", "closed_at", "opened_at"})
    parts = (body.side, body.entry_price, body.exit_price, body.quantity, body.fees)
    pnl, pnl_pct = earned(body.pnl, body.pnl_pct, *parts)
    return ClosedTrade(
        **fields, performance_id=uuid.uuid4().hex, pnl=pnl, pnl_pct=pnl_pct, closed_at=closed_at, opened_at=opened_at
    )


def _in_range(field: str, moment: datetime | None, now: datetime) -> datetime | None:
    if moment is not None:
        try:
            check_range(moment, now)
        except ValueError as error:
            raise InvalidInput.field(field, str(error)) from None
    return moment


def _key(route: str, headers: bodies.KeyHeader, names: Iterable[str], body: object) -> Key | None:
    """The key, with a hash of those fields of the body that were given."""
    if headers.key is None:
        return None
    given = {name: value for name in names if (value := getattr(body, name)) is not None}
    return Key(KeyName(route, headers.key), hash_body(given))


def _accepted(verdict: Verdict) -> Verdict:
    if verdict.error is not None:
        raise verdict.error
    return verdict


def completeness(found: Page | Trades) -> dict[str, bool]:
    """Said only where it is missing, as durability is."""
    return {} if found.complete else {"complete": False}


def durability(store: Store) -> dict[str, bool]:
    """Said only where it is missing, as the contract has it."""
    return {} if store.durable else {"durable": False}


def _user(user: str) -> str:
    if len(user) > MAX_USER or not user.isprintable():
        raise InvalidInput.field("user", f"must be 1 to {MAX_USER} printable characters")
    return user
