"""Query parameters of a REST call, checked as the exchange checks them (codes: binance-wire.md 8.1)."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

import orjson

from market_simulator.klines.intervals import INTERVALS
from market_simulator.wire import errors

MAX_LONG = 2**63 - 1
FIRST_MICROSECOND = 10**14  # times from here on are microseconds: spot takes either unit
SYMBOL = re.compile(r"[\w.\-]{1,50}")
SYMBOL_LEGAL = "^[\\w\\-._&&[^a-z]]{1,50}$"
NUMBER_LEGAL = "^[0-9]{1,20}$"
STATUSES = ("TRADING", "HALT", "BREAK")
MAX_QUERY = 16_384
WINDOW_UNIT_MS = {"m": (60_000, 59), "h": (3_600_000, 23), "d": (86_400_000, 7)}


class Params:
    """One call's parameters. Each `take` reads one and checks it; `finish` refuses what nobody read."""

    def __init__(self, query: str):
        if len(query) > MAX_QUERY:
            raise errors.illegal("query", f"^.{{0,{MAX_QUERY}}}$")
        pairs = parse_qsl(query, keep_blank_values=True, errors="replace")
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name in self._values:
                raise errors.duplicated(name[:64])
            self._values[name] = value
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        """A parameter's text; None when it was not sent. Raises -1105 when it is empty."""
        self._read.add(name)
        value = self._values.get(name)
        if value == "":
            raise errors.empty(name)
        return value

    def required(self, name: str) -> str:
        """A mandatory parameter's text. Raises -1102."""
        self._read.add(name)
        value = self._values.get(name)
        if not value:
            raise errors.missing(name)
        return value

    def number(self, name: str) -> int | None:
        """A whole number from 0 on. Raises -1100 or -1108."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,20}", value, re.ASCII):
            raise errors.illegal(name, NUMBER_LEGAL)
        if int(value) > MAX_LONG:
            raise errors.overflow(name)
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """`limit`; what is larger than `most` is cut to it."""
        value = self.number("limit")
        if value == 0:
            raise errors.invalid("limit")
        return min(default if value is None else value, most)

    def strict_limit(self, default: int, most: int) -> int:
        """`limit` of futures; what is larger than `most` is refused. Raises -1130."""
        value = self.number("limit")
        if value is not None and not 0 < value <= most:
            raise errors.invalid("limit")
        return default if value is None else value

    def span_ms(self) -> tuple[int | None, int | None]:
        """`startTime` and `endTime` of futures, in milliseconds. Raises -1023."""
        start, end = self.number("startTime"), self.number("endTime")
        if start is not None and end is not None and start > end:
            raise errors.backward_span()
        return start, end

    def moment_ms(self, name: str) -> int | None:
        """A time in milliseconds; microseconds are told by their size."""
        value = self.number(name)
        return value // 1000 if value is not None and value >= FIRST_MICROSECOND else value

    def symbol(self) -> str:
        """The mandatory `symbol`."""
        return self.name("symbol")

    def name(self, parameter: str) -> str:
        """A mandatory parameter that holds a symbol. Raises -1102, -1100."""
        return checked_symbol(parameter, self.required(parameter))

    def symbols(self) -> list[str] | None:
        """`symbols`, a JSON array of distinct names. Raises -1100, -1151."""
        text = self.text("symbols")
        if text is None:
            return None
        try:
            names = orjson.loads(text)
        except orjson.JSONDecodeError:
            names = None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise errors.illegal("symbols", '^\\["[\\w\\-._]{1,50}"(,"[\\w\\-._]{1,50}")*\\]$')
        for name in names:
            checked_symbol("symbols", name)
        if len(set(names)) < len(names):
            raise errors.repeated_symbol()
        return names

    def choice(self, name: str, allowed: Iterable[str], error: errors.ExchangeError) -> str | None:
        """One of `allowed`, or None. Raises `error`."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise error
        return value

    def status(self) -> str | None:
        """`symbolStatus`. Raises -1122."""
        return self.choice("symbolStatus", STATUSES, errors.bad_symbol_status())

    def is_mini(self) -> bool:
        """Whether `type` asks for the short ticker. Raises -1139."""
        return self.choice("type", ("FULL", "MINI"), errors.bad_ticker_type()) == "MINI"

    def interval(self) -> str:
        """The mandatory `interval`. Raises -1120."""
        value = self.required("interval")
        if value not in INTERVALS:
            raise errors.bad_interval()
        return value

    def offset_ms(self) -> int:
        """`timeZone`: hours, with minutes after a colon, -12:00 … +14:00."""
        text = self.text("timeZone")
        if text is None:
            return 0
        match = re.fullmatch(r"([+-]?)(\d{1,2})(?::(\d{2}))?", text.strip(), re.ASCII)
        if not match or int(match[3] or 0) > 59:
            raise errors.invalid("timeZone")
        minutes = (int(match[2]) * 60 + int(match[3] or 0)) * (-1 if match[1] == "-" else 1)
        if not -12 * 60 <= minutes <= 14 * 60:
            raise errors.invalid("timeZone")
        return minutes * 60_000

    def window_ms(self) -> int:
        """`windowSize`: 1m … 59m, 1h … 23h, 1d … 7d (default)."""
        text = self.text("windowSize") or "1d"
        match = re.fullmatch(r"([1-9][0-9]?)([mhd])", text, re.ASCII)
        if not match or int(match[1]) > WINDOW_UNIT_MS[match[2]][1]:
            raise errors.invalid("windowSize")
        return int(match[1]) * WINDOW_UNIT_MS[match[2]][0]

    def finish(self) -> None:
        """Raise -1101 or -1104 when something was sent that the call doesn't know."""
        if len(self._values.keys() - self._read) == 0:
            return
        if not self._read:
            raise errors.too_many(0, len(self._values))
        raise errors.unread(len(self._values.keys() & self._read), len(self._values))


def checked_symbol(parameter: str, name: str) -> str:
    """`name`, if its letters are allowed: lower case is not (-1100)."""
    if not SYMBOL.fullmatch(name) or name != name.upper():
        raise errors.illegal(parameter, SYMBOL_LEGAL)
    return name
