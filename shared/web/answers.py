"""How answers leave: JSON by one encoder, errors in the contract's one shape."""

import math
from typing import Any

import orjson
from flask import Response

from shared.errors import FleetError


def json_answer(document: Any, status: int = 200) -> Response:
    """Any plain document as JSON. NaN and infinities leave as null, as the contract asks."""
    return Response(orjson.dumps(document), status, mimetype="application/json")


def success(values: dict[str, Any]) -> Response:
    """`{"success": true, …values}`."""
    return json_answer({"success": True, **values})


def error_document(error: FleetError) -> dict[str, Any]:
    """The contract's shape of an error."""
    body: dict[str, Any] = {"code": error.code, "message": error.message, "details": error.details}
    return {"success": False, "error": body}


def error_answer(error: FleetError) -> Response:
    """An error as an answer, with Retry-After where a retry can help."""
    answer = json_answer(error_document(error), error.status)
    answer.headers.update(retry_after(error))
    return answer


def retry_after(error: FleetError) -> dict[str, str]:
    """The header Retry-After, where a retry can help."""
    return {} if error.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
