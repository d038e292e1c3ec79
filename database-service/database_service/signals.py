"""Signals: what they hold, how they are named, and when two of them are the same.

A signal's id is `SYMBOL:` and its own time (UTC, microseconds, no `Z`), unless the client brings one. A different
signal at the same place gets `~2`, `~3`. The same content at the same id is the same signal: saving again is harmless.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import orjson

from database_service.idempotency import Key, Verdict
from shared.clock import to_iso
from shared.whitehat import judge

# Words that follow /signals/ in paths, and what URLs normalise away: a signal of that name could not be asked for.
RESERVED_IDS = frozenset(
    {"save", "batch", "history", "export", "audit", "calibration", "conflicts", ".", ".."}
)
MAX_SYMBOL = 32
PLAIN_SYMBOL = re.compile(r"[A-Za-z0-9_/-]{1,32}")
OPTIONAL = ("strategy", "bot_id", "timeframe", "stop_loss", "take_profit", "leverage", "indicators", "metadata")

_optional = attrgetter(*OPTIONAL)


def normal_symbol(text: str) -> str:
    """`text` in upper case. Raises ValueError unless it is 1–32 letters (Unicode too), digits, `_`, `-` or `/`."""
    if PLAIN_SYMBOL.fullmatch(text):  # nearly all: a tenth of the time
        return text.upper()
    if not 1 <= len(text) <= MAX_SYMBOL or not all(c.isalpha() or c.isdecimal() or c in "_-/" for c in text):
        raise ValueError("must be 1 to 32 letters, digits, '_', '-' or '/'")
    # Letter by letter: 'ß'.upper() is two letters, which would break the bound just checked.
    return "".join(upper if len(upper := c.upper()) == 1 else c for c in text)


@dataclass(frozen=True, slots=True)
class NewSignal:
    """A signal as a client sent it, checked. `timestamp_given` is False where the service filled in the time."""

    symbol: str
    signal_type: str
    confidence: float
    price: float
    timestamp: datetime
    timestamp_given: bool = True
    strategy: str | None = None
    bot_id: str | None = None
    timeframe: str | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    leverage: float | None = None
    indicators: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    signal_id: str | None = None

    @property
    def place(self) -> str:
        """The id that the signal gets if it is the first at its symbol and time."""
        moment = self.timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return f"{self.symbol}:{moment}"

    @property
    def wanted_id(self) -> str:
        """The client's id, else the place."""
        return self.signal_id or self.place

    def optional(self) -> dict[str, Any]:
        """The optional fields that were given."""
        return {name: value for name, value in zip(OPTIONAL, _optional(self), strict=True) if value is not None}

    def digest(self) -> str:
        """A hash of the content without id and time: equal for the same signal however it was written as JSON."""
        content = {
            "symbol": self.symbol,
            "signal_type": self.signal_type,
            "confidence": self.confidence,
            "price": self.price,
            **self.optional(),
        }
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal with its id, as stores keep it: what history filters by, and the JSON text that goes out as it is."""

    signal_id: str
    timestamp: datetime
    symbol: str
    signal_type: str
    strategy: str | None
    bot_id: str | None
    confidence: float
    price: float
    compliant: bool
    digest: str
    document: str

    @property
    def content(self) -> "Content":
        """What is compared when the same id comes again."""
        return Content(self.digest, self.timestamp)


class Content(NamedTuple):
    """What a stored signal says, for comparing: `NewSignal.digest()` and the time."""

    digest: str
    timestamp: datetime

    def same_as(self, signal: NewSignal, digest: str) -> bool:
        """True if `signal` (with its digest) says the same; a client that leaves the time open accepts the stored."""
        return self.digest == digest and (not signal.timestamp_given or signal.timestamp == self.timestamp)


def stored(signal: NewSignal, signal_id: str, digest: str) -> StoredSignal:
    """`signal` under its final id, judged by the white-hat rules: breaking one marks it, it is stored all the same."""
    violations = judge(
        signal_type=signal.signal_type,
        confidence=signal.confidence,
        stop_loss=signal.stop_loss,
        leverage=signal.leverage,
    )
    document = {
        "signal_id": signal_id,
        "symbol": signal.symbol,
        "signal_type": signal.signal_type,
        "confidence": signal.confidence,
        "price": signal.price,
        "timestamp": to_iso(signal.timestamp),
        **signal.optional(),
        "compliant": not violations,
        "violations": violations,
    }
    return StoredSignal(
        signal_id=signal_id,
        timestamp=signal.timestamp,
        symbol=signal.symbol,
        signal_type=signal.signal_type,
        strategy=signal.strategy,
        bot_id=signal.bot_id,
        confidence=signal.confidence,
        price=signal.price,
        compliant=not violations,
        digest=digest,
        document=orjson.dumps(document).decode(),
    )


@dataclass(frozen=True, slots=True)
class Submission:
    """One signal to be stored, with the client's Idempotency-Key if there is one."""

    signal: NewSignal
    key: Key | None = None


class Cursor(NamedTuple):
    """The last signal of a page: its time, and the number the store gave it."""

    timestamp: datetime
    number: int


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """Which signals are wanted; None asks for nothing. `start` is inclusive, `end` exclusive."""

    symbol: str | None = None
    signal_type: str | None = None
    strategy: str | None = None
    bot_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    min_confidence: float | None = None

    def admits(self, signal: StoredSignal) -> bool:
        """True if the signal is wanted."""
        return (
            all(
                wanted is None or wanted == getattr(signal, name)
                for name, wanted in (
                    ("symbol", self.symbol),
                    ("signal_type", self.signal_type),
                    ("strategy", self.strategy),
                    ("bot_id", self.bot_id),
                )
            )
            and (self.start is None or signal.timestamp >= self.start)
            and (self.end is None or signal.timestamp < self.end)
            and (self.min_confidence is None or signal.confidence >= self.min_confidence)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A page of history, newest first: the signals' JSON texts, and where the next page begins (None: at the end).

    `complete` is False where the database is away and only what waits for it is known.
    """

    documents: list[str]
    next: Cursor | None
    complete: bool = True


class SignalStore(Protocol):
    """What the signal log needs of a place that stores signals. Every call raises Unavailable if the place is away."""

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """Store what is new, in one transaction; one verdict per submission, in their order.

        On return everything accepted is as durable as the place can be. One refused submission does not touch the
        others. `now` dates the idempotency keys.
        """
        ...

    def get(self, signal_id: str) -> str | None:
        """A signal's JSON text; None if there is none."""
        ...

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """The newest `limit` signals that `wanted` admits, or the next ones `after` a page's cursor."""
        ...
