"""What a client can ask for: a channel of a symbol on a market, and how a wish for some is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from websocket_streaming.ticks import Symbol

SPOT, FUTURES = "spot", "futures"
MARKETS = (SPOT, FUTURES)
PRICE, ORDERBOOK, TRADES, KLINES, LIQUIDATIONS = "price", "orderbook", "trades", "klines", "liquidations"
CHANNELS = (PRICE, ORDERBOOK, TRADES, KLINES, LIQUIDATIONS)
INTERVALS = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M",
)  # fmt: skip  # case matters: 1m is a minute, 1M a month
DEFAULT_INTERVAL = "1m"
MAX_LAST = 1000  # positions that one wish may name

MAX_SYMBOL_LENGTH = 32
MAX_DETAILS = 20  # an error names that many entries; the message says how many there were
MAX_NAMED = 3  # symbols, or fields, that the message itself names

WISH_FIELDS = ("symbols", "channels", "market", "interval", "last")


class Topic(NamedTuple):
    """One channel of one symbol; klines have an interval too. Symbols are upper-case."""

    channel: str
    market: str
    symbol: str
    interval: str = ""

    @property
    def of(self) -> Symbol:
        """The symbol on its market."""
        return Symbol(self.market, self.symbol)


class Position(NamedTuple):
    """The last update that a client has seen of a topic."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a wish, or a part of it, is not granted: the `error` event."""

    code: str
    message: str
    details: list[dict[str, str]] = field(default_factory=list)

    def payload(self) -> dict[str, Any]:
        """As it goes to the client."""
        return {"code": self.code, "message": self.message, "details": self.details}


@dataclass(slots=True)
class Wish:
    """A `subscribe` or `unsubscribe` as far as it makes sense; `problems` say what doesn't."""

    market: str | None = None
    channels: list[str] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    interval: str = DEFAULT_INTERVAL
    last: dict[str, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def topics(self) -> list[Topic]:
        """Every channel of every symbol that was asked for; none without a market."""
        if self.market is None:
            return []
        return [
            Topic(channel, self.market, symbol, self.interval if channel == KLINES else "")
            for channel in self.channels
            for symbol in self.symbols
        ]

    def position(self, topic: Topic) -> Position | None:
        """Where the client stands, if it said so: `price:BTCUSDT`, `klines:BTCUSDT:1m` (or without the interval)."""
        key = f"{topic.channel}:{topic.symbol}"
        return self.last.get(f"{key}:{topic.interval}") or self.last.get(key)

    def granted(self, topics: list[Topic]) -> dict[str, Any]:
        """What `subscribed` and `unsubscribed` say of these."""
        document: dict[str, Any] = {
            "symbols": list(dict.fromkeys(topic.symbol for topic in topics)),
            "channels": list(dict.fromkeys(topic.channel for topic in topics)),
            "market": self.market,
        }
        return document | ({"interval": self.interval} if KLINES in document["channels"] else {})


def read_symbol(text: object) -> str | None:
    """The symbol in the exchange's own form, or None when it can't be one. Symbols may hold any script's letters."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_SYMBOL_LENGTH:
        return None
    symbol = text.upper()
    return symbol if len(symbol) <= MAX_SYMBOL_LENGTH and symbol.replace("_", "").isalnum() else None


def read_wish(payload: object) -> Wish:
    """Read `{symbols, channels, market, interval, last}`; whatever a client sent, this returns and never raises."""
    wish = Wish()
    if not isinstance(payload, Mapping):
        wish.problems.append(_invalid("payload", "must be an object such as {\"symbols\": [\"BTCUSDT\"]}"))
        return wish
    if unknown := unknown_fields(payload, WISH_FIELDS):
        wish.problems.append(unknown)  # the rest is served: a client that is newer than the service goes on
    _read_market(payload.get("market", SPOT), wish)
    _read_channels(payload.get("channels", [PRICE]), wish)
    _read_interval(payload.get("interval", DEFAULT_INTERVAL), wish)
    _read_symbols(payload.get("symbols"), wish)
    _read_last(payload.get("last", {}), wish)
    return wish


def _read_market(value: object, wish: Wish) -> None:
    market = value.lower() if isinstance(value, str) else None
    if market in MARKETS:
        wish.market = market
    else:
        wish.problems.append(_invalid("market", f"must be one of {', '.join(MARKETS)}"))


def _read_channels(value: object, wish: Wish) -> None:
    if not isinstance(value, list) or not value or len(value) > len(CHANNELS):
        wish.problems.append(_invalid("channels", f"must be a list of some of {', '.join(CHANNELS)}"))
        return
    for entry in value:
        channel = entry.lower() if isinstance(entry, str) else None
        if channel not in CHANNELS:
            wish.problems.append(_invalid("channels", f"each must be one of {', '.join(CHANNELS)}"))
        elif channel == LIQUIDATIONS and wish.market == SPOT:
            wish.problems.append(_invalid("channels", "spot has no liquidations; futures have"))
        elif channel not in wish.channels:
            wish.channels.append(channel)


def _read_interval(value: object, wish: Wish) -> None:
    if value not in INTERVALS or (value == "1s" and wish.market == FUTURES):
        wish.channels = [channel for channel in wish.channels if channel != KLINES]
        wish.problems.append(_invalid("interval", f"must be one of {', '.join(INTERVALS)} (1s on spot alone)"))
    else:
        wish.interval = str(value)


def _read_symbols(value: object, wish: Wish) -> None:
    if not isinstance(value, list) or not value:
        wish.problems.append(_invalid("symbols", "must be a list of symbols such as BTCUSDT"))
        return
    read = [(entry, read_symbol(entry)) for entry in value]
    wish.symbols = list(dict.fromkeys(symbol for _, symbol in read if symbol))
    if wrong := [_shown(entry) for entry, symbol in read if symbol is None]:
        wish.problems.append(about_symbols("validation_error", "are not symbols: 1 to 32 letters, digits or _", wrong))


def _read_last(value: object, wish: Wish) -> None:
    """A position that isn't one counts as one that can't be served, so that the client is told to begin anew.

    Of a key that can't be a topic nothing could be told later: it is named at once.
    """
    if not isinstance(value, Mapping) or len(value) > MAX_LAST:
        shape = "must be an object such as {\"price:BTCUSDT\": {\"epoch\", \"seq\"}}"
        wish.problems.append(_invalid("last", f"{shape} with at most {MAX_LAST} entries"))
        return
    wrong = []
    for key, entry in value.items():
        channel, _, rest = key.partition(":") if isinstance(key, str) else ("", "", "")
        symbol, separator, interval = rest.partition(":")
        if channel.lower() in CHANNELS and read_symbol(symbol):
            wish.last[f"{channel.lower()}:{symbol.upper()}{separator}{interval}"] = _read_position(entry)
        else:
            wrong.append(_shown(key))
    if wrong:
        shape = f"names what is no channel and symbol such as price:BTCUSDT: {', '.join(wrong[:MAX_NAMED])}"
        wish.problems.append(_invalid("last", f"{shape}; the channels are {', '.join(CHANNELS)}"))


def _read_position(entry: object) -> Position:
    if isinstance(entry, Mapping):
        epoch, seq = entry.get("epoch"), entry.get("seq")
        if isinstance(epoch, str) and isinstance(seq, int) and not isinstance(seq, bool):
            return Position(epoch, seq)
    return Position("", 0)


def unknown_fields(payload: Mapping[Any, Any], known: tuple[str, ...]) -> Problem | None:
    """The problem of fields that a payload shouldn't have: a misspelt one would else be taken for one left out."""
    unknown = [_shown(name) for name in payload if name not in known]
    if not unknown:
        return None
    allowed = f"is not a field here; the fields are {', '.join(known)}"
    details = [{"field": name, "message": allowed} for name in unknown[:MAX_DETAILS]]
    more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
    return Problem("validation_error", f"{', '.join(unknown[:MAX_NAMED])}{more}: {allowed}", details)


def about_symbols(code: str, message: str, symbols: list[str]) -> Problem:
    """One problem that several symbols share; names the first of them."""
    details = [{"field": "symbols", "message": symbol} for symbol in symbols[:MAX_DETAILS]]
    more = f" and {len(symbols) - MAX_NAMED} more" if len(symbols) > MAX_NAMED else ""
    return Problem(code, f"{', '.join(symbols[:MAX_NAMED])}{more}: {message}", details)


def _invalid(name: str, message: str) -> Problem:
    return Problem("validation_error", f"{name} {message}", [{"field": name, "message": message}])


def _shown(entry: object) -> str:
    """What was sent, short enough to send back: an error is no amplifier."""
    return entry[:MAX_SYMBOL_LENGTH] if isinstance(entry, str) else f"a {type(entry).__name__}"
