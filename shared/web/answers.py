"""How answers leave: JSON by one encoder, errors in the contract's one shape."""

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response

from shared.errors import FleetError, Unauthorized, error_document


def json_answer(document: Any, status: int = 200) -> Response:
    """Any plain document as JSON. NaN and infinities leave as null, as the contract asks."""
    return Response(orjson.dumps(document), status, mimetype="application/json")


def success(values: dict[str, Any]) -> Response:
    """`{"success": true, …values}`."""
    return json_answer({"success": True, **values})


def error_answer(error: FleetError) -> Response:
    """An error as an answer, with Retry-After where a retry can help."""
    answer = json_answer(error_document(error), error.status)
    answer.headers.update(advice(error))
    return answer


def advice(error: FleetError) -> dict[str, str]:
    """The headers that tell a client what can help.

    With 401 how to say who one is; Retry-After where a retry can help: always with 503, in a second if nobody knows
    better.
    """
    if error.status == Unauthorized.status:
        return {"WWW-Authenticate": "Bearer"}
    seconds = 1.0 if error.retry_after_s is None and error.status == 503 else error.retry_after_s
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def refuse(error: FleetError, start_response: Callable[..., Any], more: Mapping[str, str] | None = None) -> list[bytes]:
    """An error as the answer of WSGI middleware, before Flask; `more` are further headers."""
    body = orjson.dumps(error_document(error))
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= advice(error) | dict(more or {})
    start_response(f"{error.status} {HTTPStatus(error.status).phrase}", list(headers.items()))
    return [body]
