"""What a client can ask for: a channel of a symbol on a market, and how a wish for some is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SPOT = "spot"
PRICE = "price"
MARKETS = ("spot", "futures")
CHANNELS = ("price", "orderbook", "trades", "klines")
SERVED_MARKETS = (SPOT,)
SERVED_CHANNELS = (PRICE,)

MAX_SYMBOL_LENGTH = 32
MAX_DETAILS = 20  # an error names that many entries; the message says how many there were
MAX_NAMED = 3  # symbols that the message itself names


class Topic(NamedTuple):
    """One channel of one symbol. Symbols are upper-case."""

    channel: str
    market: str
    symbol: str


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
    last: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)

    @property
    def topics(self) -> list[Topic]:
        """Every channel of every symbol that was asked for; none without a market that is served."""
        if self.market is None:
            return []
        return [Topic(channel, self.market, symbol) for channel in self.channels for symbol in self.symbols]


def read_symbol(text: object) -> str | None:
    """The symbol in the exchange's own form, or None when it can't be one. Symbols may hold any script's letters."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_SYMBOL_LENGTH:
        return None
    symbol = text.upper()
    return symbol if len(symbol) <= MAX_SYMBOL_LENGTH and symbol.replace("_", "").isalnum() else None


def read_wish(payload: object) -> Wish:
    """Read `{symbols, channels, market, last}`; whatever a client sent, this returns and never raises."""
    wish = Wish()
    if not isinstance(payload, Mapping):
        wish.problems.append(_invalid("payload", "must be an object such as {\"symbols\": [\"BTCUSDT\"]}"))
        return wish
    _read_market(payload.get("market", SPOT), wish)
    _read_channels(payload.get("channels", [PRICE]), wish)
    _read_symbols(payload.get("symbols"), wish)
    _read_last(payload.get("last", {}), wish)
    return wish


def _read_market(value: object, wish: Wish) -> None:
    market = value.lower() if isinstance(value, str) else None
    if market not in MARKETS:
        wish.problems.append(_invalid("market", f"must be one of {', '.join(MARKETS)}"))
    elif market not in SERVED_MARKETS:
        wish.problems.append(Problem(
            "market_not_served", f"The market {market} is not served yet; served: {', '.join(SERVED_MARKETS)}",
            [{"field": "market", "message": "not served yet"}],
        ))
    else:
        wish.market = market


def _read_channels(value: object, wish: Wish) -> None:
    if not isinstance(value, list) or not value or len(value) > len(CHANNELS):
        wish.problems.append(_invalid("channels", f"must be a list of some of {', '.join(CHANNELS)}"))
        return
    for entry in value:
        channel = entry.lower() if isinstance(entry, str) else None
        if channel not in CHANNELS:
            wish.problems.append(_invalid("channels", f"each must be one of {', '.join(CHANNELS)}"))
        elif channel not in SERVED_CHANNELS:
            wish.problems.append(Problem(
                "channel_not_served", f"The channel {channel} is not served yet; served: {', '.join(SERVED_CHANNELS)}",
                [{"field": "channels", "message": f"{channel} is not served yet"}],
            ))
        elif channel not in wish.channels:
            wish.channels.append(channel)


def _read_symbols(value: object, wish: Wish) -> None:
    if not isinstance(value, list) or not value:
        wish.problems.append(_invalid("symbols", "must be a list of symbols such as BTCUSDT"))
        return
    read = [(entry, read_symbol(entry)) for entry in value]
    wish.symbols = list(dict.fromkeys(symbol for _, symbol in read if symbol))
    if wrong := [_shown(entry) for entry, symbol in read if symbol is None]:
        wish.problems.append(about_symbols("validation_error", "are not symbols: 1 to 32 letters, digits or _", wrong))


def _read_last(value: object, wish: Wish) -> None:
    if isinstance(value, Mapping):
        wish.last = frozenset(key for key in value if isinstance(key, str))
    else:
        wish.problems.append(_invalid("last", "must be an object such as {\"price:BTCUSDT\": {\"epoch\", \"seq\"}}"))


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
