"""From a request's bytes to validated values: whatever a client can get wrong becomes an error of the contract here."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import orjson
from flask import Request
from pydantic import BaseModel, ValidationError

from shared.errors import Detail, InvalidInput, MalformedInput, TooLarge, UnsupportedMediaType

M = TypeVar("M", bound=BaseModel)

MAX_DETAILS = 20  # named wrong fields in one answer
MAX_DEPTH = 64  # of a JSON body: deeper than any honest one, and shallow enough for every reader behind us
# What pydantic says to those who know Python, for those who don't.
PLAIN_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a JSON object",
    "extra_forbidden": "is not known here",
    "float_parsing": "must be a valid number",
    "int_parsing": "must be a valid integer",
    "int_parsing_size": "must be a valid integer",
    "missing": "is required",
    "model_type": "must be a JSON object",
}


Quick = Callable[[bytes], Any]  # a body's bytes as what the function takes; None where only the model can tell


def read_body(request: Request, model: type[M], max_bytes: int, quick: Quick | None = None) -> Any:
    """As `body_as`, of a request. Raises TooLarge, UnsupportedMediaType, MalformedInput or InvalidInput."""
    if (request.content_length or 0) > max_bytes:
        raise TooLarge(f"the body is over {max_bytes:,} bytes")
    if not request.is_json:
        raise UnsupportedMediaType("send the body as JSON, with Content-Type: application/json")
    return body_as(model, request.get_data(cache=False), quick)


def body_as(model: type[M], data: bytes, quick: Quick | None = None) -> Any:
    """A body's bytes as `model`, or as `quick` has them. Raises MalformedInput or InvalidInput."""
    if quick is not None and (value := quick(data)) is not None:
        return value
    document = parse_json(data)
    if not isinstance(document, dict):
        raise InvalidInput.field("body", "must be a JSON object")
    return validate(model, document)


def parse_json(data: bytes) -> Any:
    """JSON by RFC 8259, refusing what some reader behind us would choke on.

    NaN, numbers past a double, lone surrogates, a NUL character or nesting past `MAX_DEPTH` raise MalformedInput with
    line and column where they are known.
    """
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedInput(f"the body is not acceptable JSON: {error.msg} ({where})") from None
    _check_depth(document)
    if b"\\u0000" in data and _has_nul(document):
        raise MalformedInput("the body is not acceptable JSON: a text holds the character NUL")
    return document


def read_query(request: Request, model: type[M]) -> M:
    """The query parameters as `model`. Raises MalformedInput or InvalidInput, for repeated and unknown ones too."""
    try:
        repeated = [name for name, values in request.args.lists() if len(values) > 1]
    except UnicodeDecodeError:
        raise MalformedInput("the query string is not UTF-8; send other bytes percent-encoded") from None
    if repeated:
        raise InvalidInput.field(repeated[0][:64], "must be given once")
    values = {name: value for name, value in request.args.items() if value != ""}
    for name, value in values.items():
        if "\x00" in name + value:
            raise InvalidInput.field(name.replace("\x00", "")[:64] or "query", "must not hold the character NUL")
    return validate(model, values)


def read_headers(request: Request, model: type[M]) -> M:
    """The headers that `model` names by alias. Raises InvalidInput."""
    aliases = [field.alias or name for name, field in model.model_fields.items()]
    return validate(model, {alias: request.headers[alias] for alias in aliases if alias in request.headers})


def validate(model: type[M], values: Mapping[str, Any]) -> M:
    """`values` as `model`. Raises InvalidInput that names every wrong field (at most `MAX_DETAILS`)."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = [_detail(item) for item in error.errors(include_url=False, include_input=False)[:MAX_DETAILS]]
        shown = "; ".join(f"{detail['field']}: {detail['message']}" for detail in details[:3])
        raise InvalidInput(shown, details=details) from None


def _detail(item: Mapping[str, Any]) -> Detail:
    message = PLAIN_WORDS.get(item["type"]) or str(item["msg"]).removeprefix("Value error, ")
    message = re.sub(r"^[A-Z][a-z]+ should", "must", message).partition(" after validation")[0]
    field = ".".join(str(part)[:64] for part in item["loc"][:8])
    return {"field": field or "body", "message": message}


def _check_depth(document: Any) -> None:
    """Level by level, without recursion: the depth is what is in doubt."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent) if isinstance(child, dict | list)]
        if not level:
            return
    raise MalformedInput(f"the body is not acceptable JSON: nested more than {MAX_DEPTH} deep")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _has_nul(value: Any) -> bool:
    """Recursive: the depth is known to be bounded."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key for key in value) or any(map(_has_nul, value.values()))
    return isinstance(value, list) and any(map(_has_nul, value))
