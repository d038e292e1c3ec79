"""Webhooks: what a sender outside must prove, and how the fields of its body become those of a signal.

No secret of a hook is stored: it is HMAC-SHA-256 of the hook's id under the gateway's own signing key, made anew
whenever it is needed. Who steals the database has none; who exchanges AUTH_SECRET exchanges every hook's, too (the one
before holds as long as AUTH_SECRET_OLD names its key).
"""

import base64
import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from auth_gateway.audit import Told
from shared.errors import InvalidInput, Unauthorized

PREFIX = "tfh_"  # so that a scanner for leaked secrets knows one when it sees it
HOOK_ID = re.compile(r"[A-Za-z0-9_-]{43}")
WINDOW_S = 300
SECRET_FIELD = "secret"  # noqa: S105  # its name in a body
MAX_BODY = 65_536
MAX_HOOKS = 10  # of an account
MAX_LETTERS = 50  # of a hook; the oldest makes room
SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
TIMESTAMP = re.compile(r"[0-9]{1,12}")
NUMBERS = frozenset({"confidence", "price", "stop_loss", "take_profit", "leverage"})
SIGNAL_FIELDS = NUMBERS | {
    "symbol", "signal_type", "timestamp", "strategy", "bot_id", "timeframe", "indicators", "metadata",
}  # fmt: skip

# signature: X-Signature and X-Timestamp. For senders that set no headers: the unguessable address alone, or with the
# hook's secret in the body.
Proof = Literal["signature", "address", "address_and_secret"]


@dataclass(frozen=True, slots=True)
class Hook:
    """Where signals of one sender come in. `fields`: signal's field → body's (dots go deeper); `fixed`: values."""

    id: str
    account_id: str
    name: str
    proof: Proof
    fields: Mapping[str, str]
    fixed: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A body that proved its origin, but became no signal. `number` counts within the hook."""

    number: int
    event: str
    body: str
    reason: str
    attempts: int
    at: datetime


class HookStore(Protocol):
    """What hooks need of a place that stores them. Every call raises Unavailable if the place is away.

    What `told` says of an act goes into the audit log in the same transaction.
    """

    def add_hook(self, hook: Hook, most: int, told: Told[bool]) -> bool:
        """Store it; False if the account has `most` already."""
        ...

    def hooks_of(self, account_id: str) -> list[Hook]:
        """Newest first."""
        ...

    def hook(self, hook_id: str) -> Hook | None:
        """By its id."""
        ...

    def delete_hook(self, account_id: str, hook_id: str, told: Told[Hook | None]) -> Hook | None:
        """Remove it, its events and dead letters; None if the account has none of that id."""
        ...

    def has_seen(self, hook_id: str, event: str) -> bool:
        """Whether this event was dealt with."""
        ...

    def note(
        self, hook_id: str, event: str, now: datetime, letter: tuple[str, str] | None, told: Told[int | None]
    ) -> int | None:
        """It is dealt with; `letter` (body, reason) goes to the dead ones. The letter's number; None without one,
        and where the event came before or the hook is gone.

        Events older than the guard remembers and letters past `MAX_LETTERS` go in the same step.
        """
        ...

    def letters_of(self, hook_id: str) -> list[DeadLetter]:
        """Newest first."""
        ...

    def letter(self, hook_id: str, number: int) -> DeadLetter | None:
        """One of them."""
        ...

    def remove_letter(self, hook_id: str, number: int, told: Told[None]) -> None:
        """It was delivered after all."""
        ...

    def failed_again(self, hook_id: str, number: int, reason: str, told: Told[None]) -> None:
        """It was tried once more, in vain."""
        ...


def new_hook_id() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def hook_secret(signing_key: bytes, hook_id: str) -> str:
    """The secret of a hook. The line break keeps it apart from whatever else is signed with this key."""
    digest = hmac.digest(signing_key, f"hook\n{hook_id}".encode(), hashlib.sha256)
    return PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What a sender puts into X-Signature. `timestamp`: whole seconds since 1970, as in X-Timestamp."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def check_signature(given: Iterable[str], timestamp: str, signature: str, body: bytes, now_s: float) -> None:
    """Raises Unauthorized unless one of the `given` secrets made the signature, within the window."""
    if not SIGNATURE.fullmatch(signature) or not TIMESTAMP.fullmatch(timestamp):
        raise Unauthorized("send X-Timestamp (seconds since 1970) and X-Signature: sha256=… (64 hex digits)")
    if not any(hmac.compare_digest(signature, sign(secret, timestamp, body)) for secret in given):
        raise Unauthorized("the signature does not hold")
    if abs(now_s - int(timestamp)) > WINDOW_S:
        raise Unauthorized(f"X-Timestamp is more than {WINDOW_S} s off")


def check_secret(given: Iterable[str], said: Any) -> None:
    """Raises Unauthorized unless the body's secret is one of the `given`."""
    typed = said.encode(errors="replace") if isinstance(said, str) else b""
    if not any(hmac.compare_digest(typed, secret.encode()) for secret in given):
        raise Unauthorized(f"the body's field {SECRET_FIELD!r} does not hold the hook's secret")


def event_of(timestamp: str, body: bytes) -> str:
    """The name of an event: the same words at the same time are the same event."""
    return hashlib.sha256(timestamp.encode() + b"." + body).hexdigest()


def check_mapping(fields: Mapping[str, str], fixed: Mapping[str, Any]) -> None:
    """Raises InvalidInput for a field that a signal does not have, or has from both."""
    for place, names in (("fields", fields), ("fixed", fixed)):
        for name in names:
            if name not in SIGNAL_FIELDS:
                raise InvalidInput.field(f"{place}.{name[:40]}", "is no field of a signal")
    for name in fields.keys() & fixed.keys():
        raise InvalidInput.field(f"fixed.{name}", "stands in fields, too")


def signal_of(hook: Hook, document: Mapping[str, Any]) -> dict[str, Any]:
    """The signal that a body means. Without `fields` the body's own names count. Raises InvalidInput.

    Whether it is a good one, says database-service.
    """
    signal = dict(hook.fixed)
    fields = hook.fields or {name: name for name in document if name not in hook.fixed}
    for name, path in fields.items():
        found = _at(document, path) if hook.fields else document[path]
        signal[name] = _value(name, path, found)
    return signal


def _at(document: Any, path: str) -> Any:
    if isinstance(document, Mapping) and path in document:  # a name that has dots itself
        return document[path]
    for part in path.split("."):
        if not isinstance(document, Mapping) or part not in document:
            raise InvalidInput.field(path[:64], "is missing in the body")
        document = document[part]
    return document


def _value(name: str, path: str, found: Any) -> Any:
    """As a signal has it: charts write numbers as texts, `BINANCE:BTCUSDT.P` for a symbol and `buy` for a type."""
    if name == "symbol" and isinstance(found, str):
        return found.rpartition(":")[2].removesuffix(".P")
    if name == "signal_type" and isinstance(found, str):
        return found.strip().upper()
    if name in NUMBERS and isinstance(found, str):
        try:
            number = float(found)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InvalidInput.field(path[:64], "must be a number")
        return number
    return found
