"""The newest prices in Redis, when there is one: other services may read them, and a restart shows them at once.

Key `price:<venue>:<market>:<symbol>`, value JSON with the fields of `Ticker` and `age_s`, the age when it was written.
How long ago that was is told by Redis' own remaining time to live, so no wall clock is trusted.
"""

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from shared.errors import Unavailable
from shared.redis_cache import RedisCache
from websocket_streaming.price_book import PriceBook
from websocket_streaming.ticks import Symbol, Ticker

if TYPE_CHECKING:
    from redis import Redis

LASTS_MS = 86_400_000


class NewestPrices:
    """Saves what changed, restores what is there; without Redis both do nothing."""

    def __init__(self, cache: RedisCache, book: PriceBook, venue: str) -> None:
        self._cache, self._book, self._venue = cache, book, venue
        self._saved: dict[Symbol, Ticker] = {}

    def save(self) -> None:
        """Write what changed since the last time, in one round trip."""
        held = {symbol: ticker for symbol in self._book.symbols if (ticker := self._book.ticker(symbol))}
        changed = {symbol: ticker for symbol, ticker in held.items() if self._saved.get(symbol) != ticker}
        if not changed:
            return
        values = {self._key(symbol): self._value(symbol, ticker) for symbol, ticker in changed.items()}

        def write(client: "Redis") -> None:
            pipeline = client.pipeline(transaction=False)
            for key, value in values.items():
                pipeline.set(key, value, px=LASTS_MS)
            pipeline.execute()

        try:
            self._cache.run(write)
        except Unavailable:
            self._saved = {}  # a Redis that comes back may be an empty one
            return
        self._saved = held

    def restore(self, symbols: list[Symbol]) -> None:
        """Put what an earlier run left into the book."""

        def read(client: "Redis") -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for symbol in symbols:
                pipeline.get(self._key(symbol))
                pipeline.pttl(self._key(symbol))
            return list(pipeline.execute())

        try:
            found = self._cache.run(read)
        except Unavailable:
            return
        for symbol, text, left_ms in zip(symbols, found[::2], found[1::2], strict=True):
            if (kept := _read(text)) and left_ms > 0:
                ticker, age_s = kept
                self._book.restore(symbol, ticker, age_s + (LASTS_MS - left_ms) / 1000)

    def _key(self, symbol: Symbol) -> str:
        return f"price:{self._venue}:{symbol.market}:{symbol.name}"

    def _value(self, symbol: Symbol, ticker: Ticker) -> bytes:
        return orjson.dumps({**msgspec.structs.asdict(ticker), "age_s": self._book.age_s(symbol) or 0.0})


def _read(text: bytes | None) -> tuple[Ticker, float] | None:
    """What was written, or None when it isn't ours."""
    try:
        document = orjson.loads(text or b"")
        age_s = float(document.pop("age_s"))
        return Ticker(**{name: _number(value) for name, value in document.items()}), age_s
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def _number(value: Any) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("not a number")
    return value
