"""Signals: what they hold, how they are named, and when two of them are the same.

A signal's id is `SYMBOL:` and its own time (UTC, microseconds, no `Z`), unless the client brings one. A different
signal at the same place gets `~2`, `~3`. The same content at the same id is the same signal: saving again is harmless.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, Self

import msgspec
import orjson
from msgspec import Struct

from database_service.idempotency import Key, Verdict
from shared.clock import parse_time, to_iso
from shared.whitehat import judge

# Words that follow /signals/ in paths, and what URLs normalise away: a signal of that name could not be asked for.
RESERVED_IDS = frozenset(
    {"save", "batch", "history", "export", "audit", "calibration", "conflicts", ".", ".."}
)
MAX_SYMBOL = 32
MAX_PORTION = 1_000_000  # bytes of a portion; a signal is at most 150 KB
FEWER = 4  # times fewer rows where they were too long
PLAIN_SYMBOL = re.compile(r"[A-Za-z0-9_/-]{1,32}")
REQUIRED = ("symbol", "signal_type", "confidence", "price")
OPTIONAL = ("strategy", "bot_id", "timeframe", "stop_loss", "take_profit", "leverage", "indicators", "metadata")

_required, _optional = attrgetter(*REQUIRED), attrgetter(*OPTIONAL)


def normal_symbol(text: str) -> str:
    """`text` in upper case. Raises ValueError unless it is 1–32 letters (Unicode too), digits, `_`, `-` or `/`."""
    if PLAIN_SYMBOL.fullmatch(text):  # nearly all: a tenth of the time
        return text.upper()
    if not 1 <= len(text) <= MAX_SYMBOL or not all(c.isalpha() or c.isdecimal() or c in "_-/" for c in text):
        raise ValueError("must be 1 to 32 letters, digits, '_', '-' or '/'")
    # Letter by letter: 'ß'.upper() is two letters, which would break the bound just checked.
    return "".join(upper if len(upper := c.upper()) == 1 else c for c in text)


class NewSignal(Struct, frozen=True):  # a frozen dataclass of 15 fields takes 3 µs to make, this 0.3
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
        return f"{self.symbol}:{to_iso(self.timestamp)[:-1]}"

    @property
    def wanted_id(self) -> str:
        """The client's id, else the place."""
        return self.signal_id or self.place

    def optional(self) -> dict[str, Any]:
        """The optional fields that were given."""
        return {name: value for name, value in zip(OPTIONAL, _optional(self), strict=True) if value is not None}

    def digest(self) -> str:
        """A hash of the content without id and time: equal for the same signal however it was written as JSON."""
        return _digest(dict(zip(REQUIRED, _required(self), strict=True)) | self.optional())


class StoredSignal(Struct, frozen=True):
    """A signal with its id, as stores keep it: what history filters by, and the JSON text that goes out as it is.

    `digest` is `NewSignal.digest()` where the id holds a `~`: such ids may be many at one place, and are compared.
    """

    signal_id: str
    timestamp: datetime
    symbol: str
    signal_type: str
    strategy: str | None
    bot_id: str | None
    confidence: float
    price: float
    compliant: bool
    document: str
    digest: str | None = None


class Content(NamedTuple):
    """What a stored signal says, for comparing when its id comes again: `NewSignal.digest()` and the time."""

    digest: str
    timestamp: datetime

    def same_as(self, signal: NewSignal) -> bool:
        """True if `signal` says the same; a client that leaves the time open accepts the stored one."""
        return self.digest == signal.digest() and (not signal.timestamp_given or signal.timestamp == self.timestamp)


def content_of(document: str) -> Content:
    """The content of a stored signal, from its JSON text: hardly an id comes twice, so it is worked out, not kept."""
    fields = orjson.loads(document)
    content = {name: fields[name] for name in (*REQUIRED, *OPTIONAL) if name in fields}
    return Content(_digest(content), parse_time(fields["timestamp"]))


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


class _Document(Struct, omit_defaults=True):
    """A signal's JSON text, in this order: encoded in a third of the time that a dict takes."""

    signal_id: str
    symbol: str
    signal_type: str
    confidence: float
    price: float
    timestamp: str
    strategy: str | None = None
    bot_id: str | None = None
    timeframe: str | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    leverage: float | None = None
    indicators: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    compliant: bool | None = None  # never: so that neither value is left out
    violations: Sequence[str] | None = None


_encode = msgspec.json.Encoder().encode


def stored(signal: NewSignal, signal_id: str) -> StoredSignal:
    """`signal` under its final id, judged by the white-hat rules: breaking one marks it, it is stored all the same."""
    s = signal
    violations = judge(
        signal_type=s.signal_type, confidence=s.confidence, stop_loss=s.stop_loss, leverage=s.leverage
    )
    document = _Document(
        signal_id, s.symbol, s.signal_type, s.confidence, s.price, to_iso(s.timestamp), s.strategy, s.bot_id,
        s.timeframe, s.stop_loss, s.take_profit, s.leverage, s.indicators, s.metadata, not violations, violations,
    )  # fmt: skip
    return StoredSignal(
        signal_id, s.timestamp, s.symbol, s.signal_type, s.strategy, s.bot_id, s.confidence, s.price, not violations,
        _encode(document).decode(), signal.digest() if "~" in signal_id else None,
    )  # fmt: skip


class Submission(Struct, frozen=True):
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


@dataclass(frozen=True, slots=True)
class Portion:
    """A piece of an export, newest first: the JSON texts, one a line, and where the next piece begins (None: none).

    It may be empty at the end only. `complete`: see `Page`.
    """

    lines: bytes
    next: Cursor | None
    complete: bool = True

    @classmethod
    def of(cls, history: Callable[[SignalFilter, int, Cursor | None], Page], wanted: SignalFilter, limit: int,
           after: Cursor | None) -> Self:  # fmt: skip
        """From a page of `history` that is short enough."""
        while True:
            page = history(wanted, limit, after)
            lines = "".join([f"{document}\n" for document in page.documents]).encode()
            if len(lines) <= MAX_PORTION or limit == 1:
                return cls(lines, page.next, page.complete)
            limit = max(1, limit // FEWER)


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

    def portion(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Portion:
        """As `history`, for programs: at most about MAX_PORTION bytes, so that it may be fewer signals."""
        ...
