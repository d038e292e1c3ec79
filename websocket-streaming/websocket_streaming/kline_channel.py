"""The klines channel: bars as they grow, each final exactly once; what the stream missed comes from REST."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from shared.clock import Clock
from websocket_streaming.bar_series import SERIES_LENGTH, BarSeries
from websocket_streaming.errands import Errands
from websocket_streaming.exchange_time import ExchangeTime, iso_of
from websocket_streaming.fetched import Fetched
from websocket_streaming.freshness import SILENT_AFTER_S, Freshness
from websocket_streaming.journal import Document, Journal
from websocket_streaming.live_channel import LiveChannel
from websocket_streaming.ticks import Bar, Symbol
from websocket_streaming.topics import KLINES, Topic

# The last state of a bar comes up to 2 s after its end (the stream's pace), or a little later still.
FINAL_WITHIN_MS = 3000.0
FILL_AFTER_S = 2.0


class KlineSource(Protocol):
    """The exchange's REST side of klines. Raises FleetError; Unavailable and RateLimited: retry."""

    def klines(self, symbol: Symbol, interval: str, limit: int, start_ms: int | None = None) -> list[Bar]:
        """Bars, oldest first, the newest `limit` of them or those from `start_ms` on; the last is under way."""
        ...


@dataclass(slots=True)
class _Series:
    fresh: Freshness
    series: BarSeries = field(default_factory=BarSeries)
    checked_at: float = float("-inf")
    is_filled: bool = False  # the history is there


class KlineChannel(LiveChannel[_Series]):
    """Keeps a series for each symbol and interval, asks REST for bars that never became final, serves subscribers."""

    event = "kline"

    def __init__(
        self, *, clock: Clock, exchange_time: ExchangeTime, journal: Journal, errands: Errands, exchange: KlineSource,
        fetched: Fetched, renew: Any,
    ) -> None:  # fmt: skip
        super().__init__(clock, journal, renew)
        self._exchange_time, self._errands, self._exchange = exchange_time, errands, exchange
        self._fetched = fetched

    def on_bar(self, symbol: Symbol, interval: str, bar: Bar, event_ms: int) -> None:
        """A bar's state from the stream."""
        topic = Topic(KLINES, *symbol, interval)
        state = self._states.get(topic)
        if state is None:
            return
        state.fresh.touch(event_ms)
        self._publish(topic, state.series.on_bar(bar), "stream")

    def check(self) -> None:
        """About once a second: ask REST for bars that should be final by now, and about silent series."""
        now, now_ms = self._clock.monotonic(), self._exchange_time.now_ms
        for topic, state in list(self._states.items()):
            if state.series.owed_from(now_ms - FINAL_WITHIN_MS) is not None:
                self._errands.ask(topic, partial(self._fill, topic), FILL_AFTER_S)
            silent = topic.market in self._connected and state.fresh.is_silent
            if silent and now - state.checked_at >= SILENT_AFTER_S:
                state.checked_at = now
                self._errands.ask((topic, "silent"), partial(self._check_silent, topic))

    def klines(self, symbol: Symbol, interval: str, limit: int) -> tuple[list[Document], str, float, bool]:
        """Up to `limit` newest bars, oldest first; source, age in seconds, stale.

        Raises NotFound, or Unavailable (retry).
        """
        topic = Topic(KLINES, *symbol, interval)
        if (state := self._states.get(topic)) and (state.is_filled or len(state.series.bars) >= limit):
            rows = [describe(topic, bar) for bar in state.series.bars[-limit:]]
            return rows, "cache", state.fresh.age_s, self.is_stale(topic)
        bars, age_s = self._fetched.get(symbol, (KLINES, interval), lambda: self._ask(topic, SERIES_LENGTH))
        return [describe(topic, bar) for bar in bars[-limit:]], "rest", age_s, False

    def greet(self, topic: Topic) -> Document | None:
        """The newest bar."""
        state = self._states.get(topic)
        newest = state.series.newest if state else None
        return self._journal.stamped(topic, self._document(topic, newest, "cache")) if newest else None

    def _make(self, topic: Topic) -> _Series:  # noqa: ARG002  # LiveChannel's
        return _Series(Freshness(self._clock, self._exchange_time))

    def _is_doubtful(self, topic: Topic, state: _Series) -> bool:  # noqa: ARG002  # LiveChannel's
        return state.series.newest is None or state.fresh.is_stale

    def _age_s(self, topic: Topic, state: _Series) -> float | None:  # noqa: ARG002  # LiveChannel's
        return state.fresh.age_s

    def _begin(self, topic: Topic) -> None:
        self._errands.ask(topic, partial(self._fill, topic))

    def _fill(self, topic: Topic) -> None:
        """From the first bar that is owed; the whole history where nothing is held yet."""
        state = self._states.get(topic)
        if state is None:
            return
        start_ms = state.series.owed_from(float("inf"))
        known = len(state.series.bars) > 1
        rows = self._ask(topic, SERIES_LENGTH, start_ms if known else None)
        if self._states.get(topic) is state:
            self._publish(topic, state.series.fill(rows, start_ms if known else None), "rest")
            if not known and rows:
                state.is_filled = True
                state.fresh.confirm()

    def _check_silent(self, topic: Topic) -> None:
        state = self._states.get(topic)
        if state is None or not state.fresh.is_silent:
            return
        rows = self._ask(topic, 2)
        if self._states.get(topic) is not state:
            return
        held = state.series.newest
        missed = held is None or any(_traded_after(held, bar) for bar in rows)
        self._publish(topic, state.series.fill(rows), "rest")
        if not missed:
            state.fresh.confirm()
        elif state.fresh.is_silent:
            state.fresh.suspect = True
            self._renew([topic])

    def _ask(self, topic: Topic, limit: int, start_ms: int | None = None) -> list[Bar]:
        """Rows of REST with `final` set where a bar has ended; a later row proves it, else the exchange's clock."""
        rows = self._exchange.klines(topic.of, topic.interval, limit, start_ms)
        ended_ms = self._exchange_time.now_ms - FINAL_WITHIN_MS
        return [finished(bar) if bar is not rows[-1] or bar.close_ms < ended_ms else bar for bar in rows]

    def _publish(self, topic: Topic, bars: list[Bar], source: str) -> None:
        for bar in bars:
            self._journal.publish(topic, self.event, self._document(topic, bar, source))

    def _document(self, topic: Topic, bar: Bar, source: str) -> Document:
        return describe(topic, bar) | {"source": source, "stale": self.is_stale(topic)}


def _traded_after(held: Bar, bar: Bar) -> bool:
    """Whether `bar` knows of trades that `held` doesn't; a bar without trades may come without a word of the stream."""
    return bar.trades > (held.trades if bar.open_ms == held.open_ms else 0) and bar.open_ms >= held.open_ms


def finished(bar: Bar) -> Bar:
    """The same, marked final."""
    return Bar(
        bar.open_ms, bar.close_ms, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume, bar.trades,
        final=True,
    )


def describe(topic: Topic, bar: Bar) -> Document:
    """A bar as clients see it."""
    return {
        "symbol": topic.symbol,
        "market": topic.market,
        "interval": topic.interval,
        "open_time": iso_of(bar.open_ms),
        "close_time": iso_of(bar.close_ms),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "quote_volume": bar.quote_volume,
        "trades": bar.trades,
        "final": bar.final,
    }
