"""What requests may hold: the models of bodies, queries and headers, every field with its bound."""

from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic.functional_validators import BeforeValidator

from database_service.calibration import Market
from database_service.cursors import decode_cursor
from database_service.exports import Format
from database_service.idempotency import HEADER
from database_service.performance import MAX_AMOUNT, Side
from database_service.signals import RESERVED_IDS, Cursor, SignalFilter, normal_symbol
from shared.clock import parse_time
from shared.web.models import Body, Headers, Query, Shape

MAX_OBJECT = 64 * 1024  # bytes of an object's JSON text
MAX_OBJECT_DEPTH = 20
MAX_LIMIT = 1000
MAX_PRICES = 10_000
MAX_VERSION = 2**53 - 1  # the largest whole number that every JSON reader holds exactly


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    if _depth(value) > MAX_OBJECT_DEPTH:
        raise ValueError(f"must not be nested more than {MAX_OBJECT_DEPTH} deep")
    if len(orjson.dumps(value)) > MAX_OBJECT:
        raise ValueError(f"must not be longer than {MAX_OBJECT:,} bytes of JSON")
    return value


def _depth(value: Any) -> int:
    """Recursive: the parser has bounded the depth already."""
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def _not_reserved(value: str) -> str:
    if value in RESERVED_IDS:
        raise ValueError("is a reserved word")
    return value


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a time in ISO 8601, such as 2025-11-01T10:47:01.535448Z")
    return parse_time(value)


def _cursor(value: Any) -> Cursor:
    return decode_cursor(str(value))


Symbol = Annotated[str, Field(max_length=32, examples=["BTCUSDT"]), AfterValidator(normal_symbol)]
SignalType = Annotated[
    str,
    Shape(r"^[A-Z][A-Z_]{0,31}$", "must be BUY, SELL, HOLD or another word of 1 to 32 capital letters and '_'"),
    Field(examples=["BUY"]),
]
Confidence = Annotated[float, Field(ge=0, le=1)]
Price = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Json = Annotated[dict[str, Any], AfterValidator(_bounded)]
Moment = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64})
]
SignalId = Annotated[
    str,
    Shape(r"^[A-Za-z0-9:._~-]{1,128}$", "must be 1 to 128 of the letters A to Z and a to z, digits and : . _ ~ -"),
    AfterValidator(_not_reserved),
]
Amount = Annotated[float, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
Positive = Annotated[float, Field(gt=0, le=MAX_AMOUNT)]
Leverage = Annotated[float, Field(gt=0, le=1000)]  # above 3 is stored and marked; above 1000 is a mistake


class SaveBody(Body):
    """One signal."""

    symbol: Symbol
    signal_type: SignalType
    confidence: Confidence
    price: Price
    timestamp: Moment | None = None
    strategy: Name | None = None
    bot_id: Name | None = None
    timeframe: Annotated[str, Field(min_length=1, max_length=16)] | None = None
    stop_loss: Price | None = None
    take_profit: Price | None = None
    leverage: Leverage | None = None
    indicators: Json | None = None
    metadata: Json | None = None
    signal_id: SignalId | None = None


class TrackBody(Body):
    """One closed trade of a bot: with its `pnl`, or with what it is computed from."""

    strategy: Name
    pnl: Amount | None = None
    side: Side | None = None
    entry_price: Positive | None = None
    exit_price: Positive | None = None
    quantity: Positive | None = None
    fees: Amount | None = None
    pnl_pct: Amount | None = None
    bot_id: Name | None = None
    symbol: Symbol | None = None
    leverage: Leverage | None = None
    signal_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    opened_at: Moment | None = None
    closed_at: Moment | None = None
    metadata: Json | None = None


class SettingsBody(Body):
    """A user's settings, and the version that the client read before it changed them (0: none yet)."""

    version: Annotated[int, Field(ge=0, le=MAX_VERSION)] = 0
    settings: Json


class KeyHeader(Headers):
    """A client's promise that requests under the same key are the same request."""

    key: Annotated[str, Shape(r"^[\x20-\x7e]{1,255}$", "must be 1 to 255 printable ASCII characters")] | None = Field(
        None, alias=HEADER, description="kept at least 24 h; the same key with another body is 422"
    )


class _Span(Query):
    """A stretch of time."""

    start: Moment | None = Field(None, alias="from", description="inclusive")
    end: Moment | None = Field(None, alias="to", description="exclusive")


class SignalsQuery(_Span):
    """Which signals, newest first."""

    symbol: Symbol | None = None
    signal_type: SignalType | None = None
    strategy: Name | None = None
    bot_id: Name | None = None
    min_confidence: Confidence | None = None

    def wanted(self) -> SignalFilter:
        """The filter that a store takes."""
        return SignalFilter(**{name: getattr(self, name) for name in SignalFilter.__slots__})


class ExportQuery(SignalsQuery):
    """Which signals, newest first, and in which form."""

    format: Format = "csv"


class HistoryQuery(SignalsQuery):
    """Which signals, newest first, page by page."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 100
    cursor: Annotated[Cursor, BeforeValidator(_cursor), WithJsonSchema({"type": "string", "maxLength": 64})] | None = (
        Field(None, description="next_cursor of the page before")
    )


class BatchQuery(Query):
    """How a batch is stored."""

    atomic: bool = Field(False, description="true: all rows or none")


class CalibrationQuery(SignalsQuery):
    """Which signals, and on which market they are judged."""

    market: Market = "spot"


class GivenPrice(Body):
    """A symbol's price at a moment."""

    symbol: Symbol
    timestamp: Moment
    price: Price


class CalibrationBody(Body):
    """Prices to judge by. At a moment the newest one before it holds, if it is not older than `max_age_s`."""

    prices: Annotated[list[GivenPrice], Field(min_length=1, max_length=MAX_PRICES)]
    max_age_s: Annotated[int, Field(ge=1, le=86_400)] = 300


class StatsQuery(_Span):
    """Which trades, by closing time."""

    strategy: Name | None = None
    symbol: Symbol | None = None
    bot_id: Name | None = None


class AuditQuery(Query):
    """Which part of the audit chain is checked; all of it needs as many calls as `next` says."""

    start: Annotated[int, Field(ge=1, le=MAX_VERSION)] = Field(1, alias="from", description="the first sequence")
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
