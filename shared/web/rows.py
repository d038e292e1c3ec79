"""Bodies of many rows, a JSON array or NDJSON, gzip or not: each row is checked by itself and may be wrong alone."""

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Generic, TypeVar

from flask import Request
from pydantic import BaseModel

from shared.errors import FleetError, InvalidInput, MalformedInput, TooLarge, UnsupportedMediaType
from shared.web.parsing import parse_json, validate

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
MEMBERS = 100  # of one gzip body: empty ones cost nothing to send and time to read
PORTION = 200  # rows (under 10 ms) between two breaths of the server's loop
M = TypeVar("M", bound=BaseModel)


QuickRows = Callable[[bytes, bool], "list[Any] | None"]  # a body, lines or an array, as what the function takes


@dataclass(frozen=True, slots=True)
class Rows(Generic[M]):
    """What came: `values` as checked or what is wrong, and how to `parse` it (a line that is no JSON stays text)."""

    values: Sequence[M | FleetError]
    parse: Callable[[], list[Any]] = field(compare=False)


def read_rows(
    request: Request, model: type[M], max_bytes: int, max_rows: int, quick: QuickRows | None = None
) -> Rows[M]:
    """The request's rows, each as `model` or with its error; blank NDJSON lines are no rows.

    `quick` decodes a body whose rows are all plain, to objects with the model's attributes, or says None.

    Raises what holds for the whole: TooLarge (bytes, inflated too, or rows), UnsupportedMediaType, MalformedInput (no
    gzip, no JSON), InvalidInput (no array, no rows).
    """
    data = _received(request, max_bytes)
    in_lines = not request.is_json
    plain = quick(data, in_lines) if quick else None
    if plain and len(plain) <= max_rows:
        return Rows(plain, lambda: _documents(data, in_lines, max_rows))
    documents = _documents(data, in_lines, max_rows)
    if not documents:
        raise InvalidInput.field("body", "must hold at least one row")
    values: list[M | FleetError] = []
    for number, document in enumerate(documents):
        if number % PORTION == PORTION - 1:
            time.sleep(0)  # under gevent this lets the other requests run
        values.append(_value(model, document))
    return Rows(values, lambda: [d.text if isinstance(d, _NoJson) else d for d in documents])


@dataclass(frozen=True, slots=True)
class _NoJson:
    text: str
    error: MalformedInput


def _value(model: type[M], document: Any) -> M | FleetError:
    if isinstance(document, _NoJson):
        return document.error
    if not isinstance(document, dict):
        return InvalidInput.field("row", "must be a JSON object")
    try:
        return validate(model, document)
    except InvalidInput as error:
        return error


def _documents(data: bytes, in_lines: bool, max_rows: int) -> list[Any]:
    rows = list(_lines(data, max_rows)) if in_lines else parse_json(data)
    if not isinstance(rows, list):
        raise InvalidInput.field("body", "must be a JSON array")
    if len(rows) > max_rows:
        raise TooLarge(f"the body holds more than {max_rows:,} rows")
    return rows


def _lines(data: bytes, max_rows: int) -> Iterator[Any]:
    """A row a line; as many blank lines may stand between, since millions of them would cost time too."""
    for number, line in enumerate(BytesIO(data)):
        if number > 2 * max_rows:
            raise TooLarge(f"the body holds more than {max_rows:,} rows")
        if number % PORTION == PORTION - 1:
            time.sleep(0)
        if not line.isspace():
            try:
                yield parse_json(line)
            except MalformedInput as error:
                yield _NoJson(line.decode(errors="replace"), error)


def _received(request: Request, max_bytes: int) -> bytes:
    """The body, inflated if need be."""
    if not request.is_json and request.mimetype not in NDJSON:
        raise UnsupportedMediaType(f"send the rows as application/json (an array) or {NDJSON[0]} (one a line)")
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in {"", "identity", "gzip", "x-gzip"}:
        raise UnsupportedMediaType("send the body as it is or with Content-Encoding: gzip")
    too_large = TooLarge(f"the body is over {max_bytes:,} bytes")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    data = request.get_data(cache=False)
    if coding in {"", "identity"}:
        return data
    inflated = _inflate(data, max_bytes + 1)
    if len(inflated) > max_bytes:
        raise too_large
    return inflated


def _inflate(data: bytes, most: int) -> bytes:
    """At most `most` bytes of what gzip `data` holds: a small body can inflate to a thousand times its size."""
    found = b""
    for _ in range(MEMBERS):
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            found += member.decompress(data, most - len(found))
        except zlib.error:
            break
        if len(found) >= most:
            return found
        if not member.eof:
            break
        data = member.unused_data
        if not data:
            return found
    raise MalformedInput("the body is not the gzip that Content-Encoding says, or is cut short")
