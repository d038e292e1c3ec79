"""What requests may hold and what answers look like."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from auth_gateway.accounts import MAX_PASSWORD
from auth_gateway.api_keys import MAX_SYMBOLS
from auth_gateway.hooks import Proof
from auth_gateway.permissions import MAX_SCOPES
from shared.clock import parse_time
from shared.web.models import Body, Headers, Query, Shape

EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(?:\.[^@\s\x00-\x1f.]+)*")


def _email(value: str) -> str:
    if not EMAIL.fullmatch(value):
        raise ValueError("must be an email address")
    return value


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("must hold printable characters only, no blanks at its ends")
    return value


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a time in ISO 8601, such as 2027-01-01T00:00:00Z")
    return parse_time(value)


Email = Annotated[str, Field(max_length=254, examples=["ada@example.org"]), AfterValidator(_email)]
Username = Annotated[
    str,
    Shape(
        r"^[A-Za-z0-9][A-Za-z0-9_.-]{1,39}$",
        "must be 2 to 40 of the letters A to Z and a to z, digits and _ . -, and begin with a letter or digit",
    ),
    Field(examples=["ada"]),
]
Password = Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD)]
Scope = Annotated[str, Field(max_length=60, examples=["database-service:write"])]
Symbol = Annotated[str, Shape(r"^[A-Z0-9_/-]{1,32}$", "must be 1 to 32 capital letters, digits and _ / -")]

BodyPath = Annotated[
    str,
    Shape(
        r"^[A-Za-z0-9_.-]{1,100}$", "must be 1 to 100 of the letters A to Z and a to z, digits and _ . -"
    ),
    Field(examples=["ticker"]),
]
FixedValue = Annotated[str, Field(max_length=200)] | Annotated[float, Field(ge=-1e15, le=1e15)]


class RegisterBody(Body):
    """A new account."""

    email: Email
    username: Username
    password: Password


class LoginBody(Body):
    """Email or username, and the password."""

    email: Annotated[str, Field(min_length=1, max_length=254)] | None = None
    username: Annotated[str, Field(min_length=1, max_length=254)] | None = None
    password: Password

    @model_validator(mode="after")
    def _named(self) -> "LoginBody":
        if self.email is None and self.username is None:
            raise ValueError("email or username is required")
        return self


class RefreshBody(Body):
    """A refresh token."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class PasswordBody(Body):
    """The old password and the new one."""

    old_password: Password
    new_password: Password


class KeyBody(Body):
    """A new API key."""

    name: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_printable)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=MAX_SCOPES)] = Field(["*:read"])
    symbols: Annotated[list[Symbol], Field(max_length=MAX_SYMBOLS)] = Field([], description="none: all")
    per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    expires_at: Annotated[datetime, BeforeValidator(_moment)] | None = None


class HookBody(Body):
    """A new webhook."""

    name: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_printable)]
    proof: Proof = Field("signature", description="what a sender proves itself by; address…: for those who can't sign")
    fields: Annotated[dict[str, BodyPath], Field(max_length=20)] = Field(
        {}, description="a signal's field → where the body has it; none: the body is a signal itself"
    )
    fixed: Annotated[dict[str, FixedValue], Field(max_length=20)] = Field(
        {}, description="a signal's field → its value, always"
    )


class HookHeaders(Headers):
    """A sender's proof."""

    timestamp: str = Field("", alias="X-Timestamp", max_length=20, description="seconds since 1970")
    signature: str = Field(
        "", alias="X-Signature", max_length=80, description="sha256= and HMAC-SHA-256 of timestamp, '.', body, in hex"
    )


class AuditQuery(Query):
    """Which part of the log."""

    before: Annotated[int, Field(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class VerifyQuery(Query):
    """Which part of the log's chain."""

    after: Annotated[int, Field(ge=0, le=2**53, description="an entry that was found whole; 0: from the start")] = 0
    limit: Annotated[int, Field(ge=1, le=100_000)] = 100_000


class Credentials(Headers):
    """Who calls."""

    authorization: str | None = Field(
        None, alias="Authorization", description="Bearer and an access token or an API key"
    )
    api_key: str | None = Field(None, alias="X-API-Key", description="an API key")
