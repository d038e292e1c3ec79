"""Commands of a socket (binance-wire.md 3.2 and 3.3): text to a checked command, and its answers. Pure."""

import re
from dataclasses import dataclass
from typing import Any

import orjson

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
PROPERTIES = ("combined",)
Id = int | str | None


class CommandError(Exception):
    """0 unknown property, 1 value of a wrong type, 2 bad request, 3 not JSON."""

    def __init__(self, code: int, msg: str, id: Id = None):
        super().__init__(msg)
        self.code, self.msg, self.id = code, msg, id

    def document(self, nested: bool) -> dict[str, Any]:
        """The answer: flat as documented, or nested as clients have seen it."""
        if nested:
            return {"error": {"code": self.code, "msg": self.msg}, "id": self.id}
        return {"code": self.code, "msg": self.msg, "id": self.id}


@dataclass(frozen=True, slots=True)
class Command:
    """A well-formed command. `names` of SUBSCRIBE and UNSUBSCRIBE; `property` and `value` of the other two."""

    method: str
    id: Id
    names: tuple[str, ...] = ()
    property: str = ""
    value: bool = False


def parse_command(text: str | bytes) -> Command:
    """Raises CommandError."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CommandError(3, f"Invalid JSON: expected value at line {error.lineno} column {error.colno}") from None
    if not isinstance(document, dict):
        raise CommandError(2, "Invalid request: expected an object")
    id = _id(document.get("id"))
    method = document.get("method")
    if "method" not in document:
        raise CommandError(2, "Invalid request: missing field `method`", id)
    if method not in METHODS:
        raise CommandError(2, f"Invalid request: unknown variant, expected one of {', '.join(METHODS)}", id)
    params = document.get("params")
    if params is not None and not isinstance(params, list):
        raise CommandError(2, "Invalid request: params must be an array", id)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        return Command(method, id, names=_names(params, id))
    if method == "LIST_SUBSCRIPTIONS":
        if params:
            raise CommandError(2, "Invalid request: too many parameters", id)
        return Command(method, id)
    return _property(method, params or [], id)


def _id(value: Any) -> Id:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_\-]{1,36}", value):
        return value
    raise CommandError(2, "Invalid request: request ID must be an integer, a string of at most 36 letters, or null")


def _names(params: list[Any] | None, id: Id) -> tuple[str, ...]:
    if not params:
        raise CommandError(2, "Invalid request: missing field `params`", id)
    if not all(isinstance(name, str) for name in params):
        raise CommandError(2, "Invalid request: stream names must be strings", id)
    return tuple(params)


def _property(method: str, params: list[Any], id: Id) -> Command:
    wanted = 2 if method == "SET_PROPERTY" else 1
    if len(params) > wanted:
        raise CommandError(2, "Invalid request: too many parameters", id)
    if len(params) < wanted:
        raise CommandError(2, "Invalid request: missing parameters", id)
    name = params[0]
    if not isinstance(name, str):
        raise CommandError(2, "Invalid request: property name must be a string", id)
    if name not in PROPERTIES:
        raise CommandError(0, "Unknown property", id)
    if method == "SET_PROPERTY" and not isinstance(params[1], bool):
        raise CommandError(1, "Invalid value type: expected Boolean", id)
    return Command(method, id, property=name, value=wanted == 2 and params[1])
