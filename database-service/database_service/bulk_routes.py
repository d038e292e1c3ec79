"""The calls that move many signals at once."""

import errno
import hashlib
import time
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import orjson
from flask import Response

from database_service import answers, bodies
from database_service.batches import MAX_ROWS, ROUTE, Batch, BatchRefused, Turns
from database_service.config import DatabaseSettings
from database_service.exports import WRITERS, Writer
from database_service.idempotency import Key, KeyName
from database_service.plain_bodies import plain_signals
from database_service.routes import Desk, durability, new_signal
from database_service.signals import MAX_PORTION, Cursor, NewSignal, SignalFilter
from database_service.storage import Store
from shared.errors import FleetError, InvalidInput, Unavailable, error_document
from shared.service import Service
from shared.web.answers import json_answer
from shared.web.rows import PORTION, Rows

FIRST_ROWS = 100  # of an export, before it is known how long they are
MAX_BATCH = 10_000_000  # bytes, inflated; the contract's


def add_bulk_routes(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    """Register the batch and the export."""
    _add_batch(service, settings, desk)
    _add_export(service, settings, desk)


def _add_batch(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    turns = Turns()

    @service.route(
        "POST", "/signals/batch", limit=settings.RATE_LIMIT_SIGNALS_BATCH, body=bodies.SaveBody, max_rows=MAX_ROWS,
        quick_rows=plain_signals, max_body=MAX_BATCH, query=bodies.BatchQuery, headers=bodies.KeyHeader,
        answer=answers.BatchAnswer,
        summary="Save up to 10,000 signals: a JSON array or NDJSON, gzip or not",
    )  # fmt: skip
    def batch(
        body: Rows[bodies.SaveBody], query: bodies.BatchQuery, headers: bodies.KeyHeader
    ) -> Response:
        try:
            with turns.take(len(body.values)):
                rows = _batch(service, body, query.atomic, headers.key)
                answer: str = desk.write(desk.store.append_batch, rows, service.clock.now())
        except BatchRefused as refused:
            return json_answer({**error_document(refused), **refused.counts}, refused.status)
        return _ready_answer(answer, desk.store)


def _batch(service: Service, body: Rows[bodies.SaveBody], atomic: bool, key: str | None) -> Batch:
    signals = _signals(service, body)
    return Batch(signals, Key(KeyName(ROUTE, key), _hash(body, atomic)) if key is not None else None, atomic)


def _ready_answer(answer: str, store: Store) -> Response:
    """The stored answer's text with what belongs around it: of thousands of rows nothing is parsed again."""
    around = orjson.dumps({"success": True, **durability(store)}).decode()
    return Response(f"{around[:-1]},{answer[1:]}", mimetype="application/json")


def _add_export(service: Service, settings: DatabaseSettings, desk: Desk) -> None:
    kinds = [writer.content_type for writer in WRITERS.values()]

    @service.route(
        "GET", "/signals/export", limit=settings.RATE_LIMIT_SIGNALS_EXPORT, query=bodies.ExportQuery,
        content_type=kinds[0], other_types=tuple(kinds[1:]), summary="All signals of a filter, streamed, newest first",
    )  # fmt: skip
    def export(query: bodies.ExportQuery) -> Response:
        writer = WRITERS[query.format]()
        parts = _parts(desk, query.wanted(), writer)
        first = next(parts)  # what is wrong before the first row is an ordinary error
        name = f'attachment; filename="signals.{query.format}"'
        whole = chain([first], _or_cut(service, parts))
        return Response(whole, content_type=writer.content_type, headers={"Content-Disposition": name})


def _parts(desk: Desk, wanted: SignalFilter, writer: Writer) -> Iterator[bytes]:
    """The export piece by piece. Each is read and written in one go: between two of them no transaction is open,
    so a client may read as slowly as it likes; what is held for it is one portion (Parquet: a row group)."""
    part = Part(b"", min(FIRST_ROWS, writer.portion), None)
    while True:
        part = desk.read(_part, desk.store, wanted, writer, part.rows, part.next)
        if part.text:
            yield part.text
        if part.next is None:
            break
    yield desk.read(writer.end)


class Part(NamedTuple):
    """A piece of an export; how many rows the next may have, and where it begins (None: it was the last)."""

    text: bytes
    rows: int
    next: Cursor | None


def _part(store: Store, wanted: SignalFilter, writer: Writer, rows: int, after: Cursor | None) -> Part:
    portion = store.portion(wanted, rows, after)
    if not portion.complete:  # a file says nowhere that it is only a part
        raise Unavailable("the database is away: an export would miss what it holds")
    held, size = portion.lines.count(b"\n"), len(portion.lines)
    # Half of the bound, by what the last rows took: a portion over it is read in vain, and again with fewer.
    fitting = held * MAX_PORTION // (2 * size) if size else rows
    return Part(writer.rows(portion.lines), max(1, min(fitting, writer.portion)), portion.next)


def _or_cut(service: Service, parts: Iterator[bytes]) -> Iterator[bytes]:
    """`parts`; a failure in the middle cuts the connection: without its last chunk no client takes it for whole."""
    try:
        yield from parts
    except FleetError as error:
        service.logger.warning("an export was cut short: %s", error.message)
        raise BrokenPipeError(errno.EPIPE, "cut short") from None  # the server takes it for a client that left


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
    text = orjson.dumps([atomic, rows.parse()], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()
