"""The newest klines of one symbol and interval: each bar final once, whatever the stream lost, repeated or swapped."""

from websocket_streaming.ticks import Bar

SERIES_LENGTH = 1000  # bars; as many as REST gives in one answer


class BarSeries:
    """Holds bars by open time. What it returns is to be published, in that order.

    From the first bar that was under way when this began, every bar is owed its final state. One that the stream
    didn't bring is asked of REST (`owed_from`); later bars don't wait for it.
    """

    def __init__(self) -> None:
        self._bars: dict[int, Bar] = {}  # by open time, rising
        self._owed: int | None = None  # open time of the first bar whose final state is still owed

    @property
    def bars(self) -> list[Bar]:
        """All that is held, oldest first."""
        return list(self._bars.values())

    @property
    def newest(self) -> Bar | None:
        """The bar under way, or the last one."""
        return self._bars[next(reversed(self._bars))] if self._bars else None

    def on_bar(self, bar: Bar) -> list[Bar]:
        """A bar's state from the stream."""
        if self._owed is None:
            self._owed = bar.open_ms
        held = self._bars.get(bar.open_ms)
        if bar.open_ms < self._owed or (held and not _is_newer(bar, held)):
            return []
        self._put(bar)
        self._settle()
        return [bar]

    def fill(self, rows: list[Bar], asked_from: int | None = None) -> list[Bar]:
        """Bars from REST, oldest first. Returns the final ones that were owed, and the newest if it knows more.

        `asked_from` is the open time that was asked for: where REST has no bar from there on, there is none (the
        exchange was out for that time), and none is owed.
        """
        if self._owed is None and rows:
            self._owed = rows[-1].open_ms
        owed, news = self._owed or 0, []
        for bar in rows:
            held = self._bars.get(bar.open_ms)
            if held and not _is_newer(bar, held):
                continue
            self._put(bar)
            if bar.open_ms >= owed and (bar.final or bar is rows[-1]):
                news.append(bar)
        self._settle()
        if asked_from is not None and self._owed is not None and asked_from <= self._owed:
            self._owed = next((bar.open_ms for bar in rows if bar.open_ms >= self._owed), self._owed)
            self._settle()
        return news

    def owed_from(self, now_ms: float) -> int | None:
        """Open time from which REST must be asked: a bar has ended (by the exchange's clock) and isn't final."""
        newest = self.newest
        if newest is None or self._owed is None:
            return None
        ended = self._owed < newest.open_ms or (not newest.final and now_ms > newest.close_ms)
        return self._owed if ended else None

    def _put(self, bar: Bar) -> None:
        in_order = not self._bars or bar.open_ms >= next(reversed(self._bars))
        self._bars[bar.open_ms] = bar
        if not in_order:
            self._bars = dict(sorted(self._bars.items()))
        while len(self._bars) > SERIES_LENGTH:
            del self._bars[next(iter(self._bars))]

    def _settle(self) -> None:
        """Move on past the bars that are final."""
        while self._owed is not None and (bar := self._bars.get(self._owed)) and bar.final:
            self._owed = bar.close_ms + 1


def _is_newer(bar: Bar, held: Bar) -> bool:
    """Within a bar trades and volume only grow; the last state is marked final, and comes once."""
    if held.final:
        return False
    return bar.final or (bar.trades, bar.volume) >= (held.trades, held.volume)
