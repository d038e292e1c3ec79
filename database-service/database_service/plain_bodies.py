"""The signals of plain bodies, decoded several times as fast as by their model (1.5 µs each instead of 9.5).

What is taken here is acceptable by few and cheap checks. All else is None: whatever is wrong, or only looks odd, is
judged and explained by `bodies.SaveBody` alone. That both agree on what is taken is held by a property test
(tests/test_plain_bodies.py).
"""

from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from database_service.signals import PLAIN_SYMBOL, RESERVED_IDS
from shared.clock import parse_time

# Of an object's text: so that it can't pass bodies.MAX_OBJECT, however its numbers are written, nor MAX_OBJECT_DEPTH.
MOST_BYTES = 16_384
MOST_BRACKETS = 20
NULL = Raw(b"null")
# ValueError: no UTF-8, no time, odd; RecursionError: some 1,000 levels deep.
NOT_PLAIN = (msgspec.MsgspecError, ValueError, RecursionError)

Price = Annotated[float, Meta(gt=0)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]


class PlainSignal(Struct, forbid_unknown_fields=True):
    """The fields of `bodies.SaveBody`, with the same bounds; times and objects as values once `_normal` saw them."""

    symbol: str
    signal_type: Annotated[str, Meta(pattern=r"^[A-Z][A-Z_]{0,31}\Z")]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    price: Price
    timestamp: Any = None
    strategy: Name | None = None
    bot_id: Name | None = None
    timeframe: Annotated[str, Meta(min_length=1, max_length=16)] | None = None
    stop_loss: Price | None = None
    take_profit: Price | None = None
    leverage: Annotated[float, Meta(gt=0, le=1000)] | None = None
    # Left to the parser of all other bodies, since whole numbers past 64 bits differ; a Raw before `_normal`.
    indicators: Raw = NULL
    metadata: Raw = NULL
    signal_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9:._~-]{1,128}\Z")] | None = None


class _Odd(ValueError):
    """Only the model can tell."""


_one = msgspec.json.Decoder(PlainSignal).decode
_many = msgspec.json.Decoder(list[PlainSignal]).decode
_lines = msgspec.json.Decoder(PlainSignal).decode_lines


def plain_signal(data: bytes) -> PlainSignal | None:
    """The body's signal, symbol in upper case; None where only the model can tell."""
    try:
        return None if b"\\u0000" in data else _normal(_one(data))
    except NOT_PLAIN:
        return None


def plain_signals(data: bytes, in_lines: bool) -> list[PlainSignal] | None:
    """The same of an array, or of lines; None if a single row isn't plain."""
    decode = _lines if in_lines else _many
    try:
        return None if b"\\u0000" in data else [_normal(row) for row in decode(data)]
    except NOT_PLAIN:
        return None


def _normal(signal: PlainSignal) -> PlainSignal:
    if not PLAIN_SYMBOL.fullmatch(signal.symbol) or signal.signal_id in RESERVED_IDS:
        raise _Odd
    signal.symbol = signal.symbol.upper()
    if signal.timestamp is not None:
        if not isinstance(signal.timestamp, str):
            raise _Odd
        signal.timestamp = parse_time(signal.timestamp)
    signal.indicators = _object(signal.indicators)
    signal.metadata = _object(signal.metadata)
    return signal


def _object(raw: Raw) -> Any:
    text = bytes(raw)
    if text == b"null":
        return None
    if len(text) > MOST_BYTES or text.count(b"{") + text.count(b"[") > MOST_BRACKETS:
        raise _Odd
    value = orjson.loads(text)
    if not isinstance(value, dict):
        raise _Odd
    return value
