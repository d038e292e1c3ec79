"""Every error that crosses a module border, in one small tree, and the wire's shape of one.

    FleetError
    ├── MalformedInput        400  not JSON, or JSON that no reader should accept
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404
    ├── MethodNotAllowed      405
    ├── Conflict              409  someone else was faster; read again, then retry
    ├── TooLarge              413
    ├── UnsupportedMediaType  415
    ├── InvalidInput          422  well-formed but not acceptable; names the fields
    ├── RateLimited           429  retry after `retry_after_s`
    └── Unavailable           503  a dependency is away; retry after `retry_after_s`

    ConfigError                    ends the start of a service, before there is anybody to answer
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Self, TypedDict


class Detail(TypedDict):
    """One field that is wrong and what is wrong with it."""

    field: str
    message: str


class ConfigError(SystemExit):
    """A setting is wrong. Being a SystemExit, it ends the start with its one line and exit code 1."""


class FleetError(Exception):
    """An error with a place in the contract. Raised below, answered once by the hall."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, details: Sequence[Detail] = (), retry_after_s: float | None = None):
        super().__init__(message)
        self.message = message
        self.details = list(details)
        self.retry_after_s = retry_after_s

    @classmethod
    def field(cls, name: str, message: str) -> Self:
        """The error about one field."""
        return cls(f"{name}: {message}", details=[{"field": name, "message": message}])


class MalformedInput(FleetError):
    """Not JSON, or JSON that no reader should accept (NaN, too deep, lone surrogates). Don't retry unchanged."""

    code = "malformed"
    status = 400


class Unauthorized(FleetError):
    """Who you are is not known."""

    code = "unauthorized"
    status = 401


class Forbidden(FleetError):
    """Known or not, this is not allowed (a foreign Host or Origin too)."""

    code = "forbidden"
    status = 403


class NotFound(FleetError):
    """There is no such thing, or no such path."""

    code = "not_found"
    status = 404


class MethodNotAllowed(FleetError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"
    status = 405


class Conflict(FleetError):
    """The thing changed meanwhile; read it again, then retry."""

    code = "conflict"
    status = 409


class TooLarge(FleetError):
    """The body is over its bound."""

    code = "too_large"
    status = 413


class UnsupportedMediaType(FleetError):
    """The body is not sent as JSON."""

    code = "unsupported_media_type"
    status = 415


class InvalidInput(FleetError):
    """Well-formed, but not acceptable; `details` names every field. Don't retry unchanged."""

    code = "validation_error"
    status = 422


class RateLimited(FleetError):
    """Too many calls; retry after `retry_after_s` seconds."""

    code = "rate_limited"
    status = 429


class Unavailable(FleetError):
    """A dependency is away; nothing was stored; retry after `retry_after_s` seconds."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str, *, details: Sequence[Detail] = (), retry_after_s: float | None = 1.0):
        super().__init__(message, details=details, retry_after_s=retry_after_s)


def error_document(error: FleetError) -> dict[str, Any]:
    """The contract's shape of an error."""
    body: dict[str, Any] = {"code": error.code, "message": error.message, "details": error.details}
    return {"success": False, "error": body}
