"""Binance's kline intervals: where bars begin and end (binance-wire.md 4).

Moments are UTC milliseconds. `offset_ms` is the timeZone: bars are cut at local boundaries, timestamps stay UTC.
"""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY  # 1970-01-05 was the first Monday

_LENGTHS_MS = {
    "1s": _SECOND, "1m": _MINUTE, "3m": 3 * _MINUTE, "5m": 5 * _MINUTE, "15m": 15 * _MINUTE, "30m": 30 * _MINUTE,
    "1h": _HOUR, "2h": 2 * _HOUR, "4h": 4 * _HOUR, "6h": 6 * _HOUR, "8h": 8 * _HOUR, "12h": 12 * _HOUR,
    "1d": _DAY, "3d": 3 * _DAY, "1w": _WEEK,
}  # fmt: skip
INTERVALS = (*_LENGTHS_MS, "1M")  # case-sensitive: 1m is a minute, 1M a month


def open_time(at_ms: int, interval: str, offset_ms: int = 0) -> int:
    """When the bar that holds `at_ms` opens. 3d bars count from 1970-01-01, weeks from Monday. ValueError: unknown."""
    if interval == "1M":
        return _month_start(_month_number(at_ms + offset_ms)) - offset_ms
    length, anchor = _length_ms(interval), _MONDAY if interval == "1w" else 0
    local_ms = at_ms + offset_ms - anchor
    return local_ms - local_ms % length + anchor - offset_ms


def later_open(open_ms: int, interval: str, bars: int = 1, offset_ms: int = 0) -> int:
    """When the bar `bars` after (before, if negative) the one that opens at `open_ms` opens."""
    if interval == "1M":
        return _month_start(_month_number(open_ms + offset_ms) + bars) - offset_ms
    return open_ms + bars * _length_ms(interval)


def opens_between(first: int, last: int, interval: str, limit: int, offset_ms: int = 0) -> NDArray[np.int64]:
    """When the bars from the one that opens at `first` to the one that opens at `last` open, at most `limit` of them,
    and when the next one does; empty if there is no bar."""
    if last < first or limit < 1:
        return np.empty(0, dtype=np.int64)
    if interval != "1M":
        length = _length_ms(interval)
        return np.arange(first, min(last, first + (limit - 1) * length) + length + 1, length, dtype=np.int64)
    begin, end = _month_number(first + offset_ms), _month_number(last + offset_ms)
    months = range(begin, min(end, begin + limit - 1) + 2)
    return np.array([_month_start(number) - offset_ms for number in months], dtype=np.int64)


def _length_ms(interval: str) -> int:
    try:
        return _LENGTHS_MS[interval]
    except KeyError:
        raise ValueError(f"unknown interval {interval!r}") from None


def _month_number(local_ms: int) -> int:
    moment = datetime.fromtimestamp(local_ms // 1000, UTC)
    return moment.year * 12 + moment.month - 1


def _month_start(number: int) -> int:
    return int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000
