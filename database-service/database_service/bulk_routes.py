"""The calls that move many signals at once."""

import hashlib
import time
from typing import Any

import orjson
from flask import Response

from database_service import answers, bodies
from database_service.batches import MAX_ROWS, Batch, BatchRefused
from database_service.config import DatabaseSettings
from database_service.idempotency import Key, KeyName
from database_service.routes import Desk, durability, new_signal
from database_service.signals import NewSignal
from shared.errors import FleetError, InvalidInput
from shared.service import Service
from shared.web.answers import error_document, json_answer
from shared.web.rows import PORTION, Rows

MAX_BATCH = 10_000_000  # bytes, inflated; the contract's


def add_bulk_routes(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    """Register the batch."""

    @service.route(
        "POST", "/signals/batch", limit=settings.RATE_LIMIT_SIGNALS_BATCH, body=bodies.SaveBody, max_rows=MAX_ROWS,
        max_body=MAX_BATCH, query=bodies.BatchQuery, headers=bodies.KeyHeader, answer=answers.BatchAnswer,
        summary="Save up to 10,000 signals: a JSON array or NDJSON, gzip or not",
    )  # fmt: skip
    def batch(
        body: Rows[bodies.SaveBody], query: bodies.BatchQuery, headers: bodies.KeyHeader
    ) -> dict[str, Any] | Response:
        signals = _signals(service, body)
        key = None
        if headers.key is not None:
            key = Key(KeyName("/signals/batch", headers.key), _hash(body, query.atomic))
        try:
            answer: str = desk.write(desk.store.append_batch, Batch(signals, key, query.atomic), service.clock.now())
        except BatchRefused as refused:
            return json_answer({**error_document(refused), **refused.counts}, refused.status)
        return {**orjson.loads(answer), **durability(desk.store)}


def _signals(service: Service, rows: Rows[bodies.SaveBody]) -> list[NewSignal | FleetError]:
    now = service.clock.now()
    signals: list[NewSignal | FleetError] = []
    for number, row in enumerate(rows.values):
        if number % PORTION == PORTION - 1:
            time.sleep(0)  # as in shared.web.rows
        try:
            signals.append(row if isinstance(row, FleetError) else new_signal(row, now))
        except InvalidInput as error:
            signals.append(error)
    return signals


def _hash(rows: Rows[bodies.SaveBody], atomic: bool) -> str:
    """Equal for the same rows in the same order, however they were written."""
    text = orjson.dumps([atomic, rows.documents], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()
