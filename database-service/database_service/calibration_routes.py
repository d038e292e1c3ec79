"""Calibration's calls: how often signals of a confidence were right, by the market's prices or by given ones."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any

import orjson

from database_service import answers, bodies
from database_service.calibration import MIN_CONFIDENCE, Claim, GivenPrices, PricePoint, PriceSource, calibrate
from database_service.config import DatabaseSettings
from database_service.routes import Desk
from database_service.signals import Cursor, SignalFilter
from database_service.storage import Store
from shared.clock import parse_time
from shared.errors import Unavailable
from shared.service import Service

MAX_SIGNALS = 5_000  # the newest ones of a filter: about 0.1 s of computing
PORTION = 1_000


def add_calibration_routes(
    service: Service, settings: DatabaseSettings, desk: Desk, market: PriceSource
) -> None:
    """Register both ways to ask."""
    limit = settings.RATE_LIMIT_SIGNALS_CALIBRATION

    @service.route(
        "GET", "/signals/calibration", limit=limit, query=bodies.CalibrationQuery, answer=answers.CalibrationAnswer,
        summary="How many signals of each confidence were right, by the market's prices",
    )  # fmt: skip
    def by_market(query: bodies.CalibrationQuery) -> dict[str, Any]:
        claims, all_read = desk.read(_claims, desk.store, query.wanted())
        prices = market.prices(query.market)
        found = calibrate(claims, prices, service.clock.now())
        if prices.trouble is not None and not any(one["judged"] for one in found["horizons"].values()):
            raise prices.trouble
        return _answer(desk, found, all_read and prices.complete)

    @service.route(
        "POST", "/signals/calibration", limit=limit, query=bodies.SignalsQuery, body=bodies.CalibrationBody,
        answer=answers.CalibrationAnswer, summary="The same, by prices that are given; nothing is stored",
    )  # fmt: skip
    def by_given(query: bodies.SignalsQuery, body: bodies.CalibrationBody) -> dict[str, Any]:
        def found() -> tuple[dict[str, Any], bool]:
            claims, all_read = _claims(desk.store, query.wanted())
            points = ((one.symbol, PricePoint(one.timestamp, one.price)) for one in body.prices)
            prices = GivenPrices(points, timedelta(seconds=body.max_age_s))
            return calibrate(claims, prices, service.clock.now()), all_read

        return _answer(desk, *desk.read(found))


def _answer(desk: Desk, found: dict[str, Any], complete: bool) -> dict[str, Any]:
    return {"data": {**found, "complete": complete, "source": desk.store.source}}


def _claims(store: Store, wanted: SignalFilter) -> tuple[list[Claim], bool]:
    """The newest claims of the filter, and whether these are all."""
    if wanted.min_confidence is None or wanted.min_confidence < MIN_CONFIDENCE:
        wanted = replace(wanted, min_confidence=MIN_CONFIDENCE)
    found = list(islice(_walk(store, wanted), MAX_SIGNALS + 1))
    return found[:MAX_SIGNALS], len(found) <= MAX_SIGNALS


def _walk(store: Store, wanted: SignalFilter) -> Iterator[Claim]:
    after: Cursor | None = None
    while True:
        page = store.history(wanted, PORTION, after)
        if not page.complete:  # what waits is too young to be judged: its hit rate would mislead
            raise Unavailable("the database is away: how good its signals were is not known now")
        for document in page.documents:
            s = orjson.loads(document)
            moment = parse_time(s["timestamp"])
            yield Claim(s["symbol"], s["signal_type"], s["confidence"], s["price"], moment, s.get("strategy"))
        if (after := page.next) is None:
            return
