"""Reads a recording into a Tape.

A recording is a gzip file of lines `<local time in ns> <combined-stream frame>`, one of them a bare REST depth snapshot
(tape/PROVENANCE.md). Its traps: the snapshot arrives after diff events and may lie inside one; bookTickers run ahead
of the depth updates that cover them, or on futures behind; the recorder's clock is behind the exchange's.
Spot and USDT-M futures differ in little: futures' depth updates name the one before (`pu`), since their ids have gaps.
"""

import gzip
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import orjson

from market_simulator.market import BookTicker, Level
from market_simulator.order_book import OrderBook, difference
from market_simulator.recorded.tape import (
    DEPTH,
    TICKER,
    TRADE,
    DepthColumns,
    EventColumns,
    Tape,
    TickerColumns,
    TradeColumns,
    column,
)

_DEPTH_CADENCE_MS = 100
Payload = dict[str, Any]


class _Units(dict[str, int]):
    """Decimals of the wire in units of 1e-8, remembered: a recording repeats most of them."""

    def __missing__(self, text: str) -> int:
        whole, _, places = text.partition(".")  # spot pads to 8 places, futures to the tick (binance-wire.md 2)
        if not 0 < len(places) <= 8:
            raise ValueError(f"not a decimal with 1 to 8 places: {text!r}")
        self[text] = units = int(whole + places.ljust(8, "0"))
        return units


def load_tape(path: Path, beside: Tape | None = None) -> Tape:
    """Parse one recording (spot 0.3 s, futures 1 s). Raises OSError, or ValueError for a file that is no whole
    recording; no retry.

    `beside`: a tape of the same recorder. This one then takes its lap, start and length, so that the two markets stay
    side by side as they were recorded and have their seams together; what lies between the two snapshots is silence.
    """
    reader = _Reader(beside)
    for local_ns, frame in _frames(path):
        reader.take(local_ns, frame)
    if not reader.symbol or not len(reader.depth):
        raise ValueError(f"{path.name}: no REST depth snapshot, or no depth update after it")
    return reader.finish()


def _frames(path: Path) -> Iterator[tuple[int, Payload]]:
    with gzip.open(path, "rb") as lines:
        for line in lines:
            local_ns, _, text = line.partition(b" ")
            yield int(local_ns), orjson.loads(text)


class _Reader:
    """Takes the frames in order; times stay absolute until `finish`, when the clocks' skew is known."""

    def __init__(self, beside: Tape | None) -> None:
        self.symbol = ""
        self._beside = beside
        self.depth, self.trades, self.tickers = DepthColumns(), TradeColumns(), TickerColumns()
        self._events = EventColumns()
        self._units = _Units()
        self._start_ns = self._start_id = 0
        self._buffered: list[Payload] = []
        self._start = OrderBook()
        # The book at the end by plain dicts, bids and asks: nobody asks it for its best, so nothing need be sorted.
        self._end: tuple[dict[int, int], dict[int, int]] = {}, {}
        self._least_lag_ns = 2**63

    def take(self, local_ns: int, frame: Payload) -> None:
        if "stream" not in frame:
            self._take_snapshot(local_ns, frame)
            return
        data = frame["data"]
        kind = data.get("e")
        if "E" in data and (lag_ns := local_ns - data["E"] * 1_000_000) < self._least_lag_ns:
            self._least_lag_ns = lag_ns
        if self._start_ns:
            self.symbol = data["s"]
            emitted_ms = (local_ns - self._start_ns) // 1_000_000
            if kind == "trade":
                self._take_trade(emitted_ms, data)
            elif kind == "depthUpdate":
                self._take_depth(emitted_ms, data)
            else:
                self._take_ticker(emitted_ms, data)
        elif kind == "depthUpdate":  # other frames before the snapshot are dropped
            self._buffered.append(data)

    def _take_snapshot(self, local_ns: int, snapshot: Payload) -> None:
        self._start_ns = local_ns if self._beside is None else self._beside.began_ns
        self._start_id = snapshot["lastUpdateId"]
        if local_ns < self._start_ns:
            raise ValueError("the recording begins before the one beside it")
        sides = self._levels(snapshot["bids"]), self._levels(snapshot["asks"])
        self._start, self._end = OrderBook(*sides), (dict(sides[0]), dict(sides[1]))
        for data in self._buffered:
            self._take_depth((local_ns - self._start_ns) // 1_000_000, data)

    def _levels(self, pairs: list[list[str]]) -> list[Level]:
        units = self._units
        return [(units[price], units[quantity]) for price, quantity in pairs]

    def _take_depth(self, emitted_ms: int, data: Payload) -> None:
        first_id, last_id = data["U"], data["u"]
        predecessor = data.get("pu", first_id - 1)
        previous_id = self.depth.last_ids[-1] if len(self.depth) else self._start_id
        if last_id <= previous_id:
            return  # in the snapshot already
        bids, asks = self._levels(data["b"]), self._levels(data["a"])
        for side, levels in zip(self._end, (bids, asks), strict=True):
            side.update(levels)
        if predecessor < previous_id and not len(self.depth):
            self._start.apply(bids, asks)  # the event straddles the snapshot: the lap starts after it
            self._start_id = last_id
            return
        if predecessor != previous_id:
            raise ValueError(f"depth update {first_id} does not follow {previous_id}")
        self._events.append(DEPTH, len(self.depth), emitted_ms)
        at_ms = data["T"] if "T" in data else data["E"]
        _append_depth(self.depth, (first_id, last_id, at_ms, data["E"]), bids, asks)

    def _take_ticker(self, emitted_ms: int, data: Payload) -> None:
        if data["u"] > self._start_id:
            units, tickers = self._units, self.tickers  # columns at once: these are two thirds of all frames
            self._events.append(TICKER, len(tickers), emitted_ms)
            tickers.update_ids.append(data["u"])
            tickers.bids.append(units[data["b"]])
            tickers.bid_quantities.append(units[data["B"]])
            tickers.asks.append(units[data["a"]])
            tickers.ask_quantities.append(units[data["A"]])
            tickers.at_ms.append(data.get("T", 0))
            tickers.event_ms.append(data.get("E", 0))

    def _take_trade(self, emitted_ms: int, data: Payload) -> None:
        trades = self.trades
        trades.first_id = trades.first_id or data["t"]
        if data["t"] != trades.first_id + len(trades):
            raise ValueError(f"trade {data['t']} does not follow {trades.first_id + len(trades) - 1}")
        if data.get("X", "MARKET") != "MARKET":  # the wire sends MARKET for every trade of futures
            raise ValueError(f"trade {data['t']} is none of the market's: {data['X']!r}")
        self._events.append(TRADE, len(trades), emitted_ms)
        trades.prices.append(self._units[data["p"]])
        trades.quantities.append(self._units[data["q"]])
        trades.at_ms.append(data["T"])
        trades.event_ms.append(data["E"])
        trades.buyer_is_maker.append(data["m"])

    def finish(self) -> Tape:
        """Put the seam before the events, turn absolute times into offsets, assign the segments."""
        depth, tickers, events = self._seam()
        for times in (self.trades.at_ms, self.trades.event_ms, self.depth.at_ms, self.depth.event_ms):
            times[:] = self._offsets(times)
        self._time_tickers()
        # Those at the end that no depth update of the recording covers are left out.
        covered = bisect_right(self.tickers.update_ids, self.depth.last_ids[-1])
        depth.extend(self.depth)
        tickers.extend(self.tickers, covered)
        events.extend(self._events, covered)
        lap_ms = self._lap_ms(events)
        segments = _segments(depth, tickers, events)
        starts = _segment_starts(lap_ms, len(depth), self.trades, events, segments)
        bids, asks = self._start.bids.descending(), self._start.asks.ascending()
        return Tape(
            self.symbol, lap_ms, bids, asks, depth, self.trades, tickers, events, segments, starts,
            self._start_ns,
        )  # fmt: skip

    def _time_tickers(self) -> None:
        """Offsets for their times; spot's bookTickers have none of their own and take their emission's."""
        tickers, events = self.tickers, self._events
        if any(tickers.event_ms):
            tickers.at_ms, tickers.event_ms = self._offsets(tickers.at_ms), self._offsets(tickers.event_ms)
        else:
            tickers.at_ms = array("q", compress(events.emitted_ms, (kind == TICKER for kind in events.kinds)))
            tickers.event_ms = tickers.at_ms[:]

    def _lap_ms(self, events: EventColumns) -> int:
        last_depth_ms = max(self._events.emitted_ms[i] for i, kind in enumerate(self._events.kinds) if kind == DEPTH)
        needed_ms = max(events.emitted_ms[-1] + 1, last_depth_ms + _DEPTH_CADENCE_MS)
        if self._beside is None:
            return needed_ms
        if needed_ms > self._beside.lap_ms:
            raise ValueError("the recording is longer than the one beside it")
        return self._beside.lap_ms

    def _seam(self) -> tuple[DepthColumns, TickerColumns, EventColumns]:
        depth, tickers, events = DepthColumns(), TickerColumns(), EventColumns()
        bids, asks = (
            difference({price: quantity for price, quantity in end.items() if quantity}, start.quantities)
            for end, start in zip(self._end, (self._start.bids, self._start.asks), strict=True)
        )
        _append_depth(depth, (self._start_id, self._start_id, 0, 0), bids, asks)
        events.append(DEPTH, 0, 0)
        best_bid, best_ask = self._start.best()
        if best_bid is None or best_ask is None:
            raise ValueError("the snapshot has an empty side")
        tickers.append(BookTicker(self._start_id, best_bid, best_ask))
        events.append(TICKER, 0, 0)
        return depth, tickers, events

    def _offsets(self, exchange_ms: "array[int]") -> "array[int]":
        """Es or Ts as offsets. The least lag counts as none at all, so E never lies after the emission."""
        shift_ms = (self._least_lag_ns - self._start_ns) // 1_000_000
        return array("q", [at_ms if (at_ms := ms + shift_ms) > 0 else 0 for ms in exchange_ms])


def _append_depth(
    depth: DepthColumns, ids_and_times: tuple[int, int, int, int], bids: Iterable[Level], asks: Iterable[Level]
) -> None:
    """One update, its first and last id, T and E."""
    columns = depth.first_ids, depth.last_ids, depth.at_ms, depth.event_ms
    for values, value in zip(columns, ids_and_times, strict=True):
        values.append(value)
    for side in (bids, asks):
        depth.prices.extend([price for price, _ in side])
        depth.quantities.extend([quantity for _, quantity in side])
        depth.bounds.append(len(depth.prices))


def _segments(depth: DepthColumns, tickers: TickerColumns, events: EventColumns) -> "array[int]":
    """A bookTicker belongs to the depth update that holds its id, a trade to the next one on the wire."""
    segments, next_depth, holder = column(), 0, 0
    for kind, index in zip(events.kinds, events.indexes, strict=True):
        if kind == TICKER:
            while depth.last_ids[holder] < tickers.update_ids[index]:
                holder += 1
        segments.append(holder if kind == TICKER else next_depth)
        next_depth += kind == DEPTH
    return segments


def _segment_starts(
    lap_ms: int, count: int, trades: TradeColumns, events: EventColumns, segments: "array[int]"
) -> "array[int]":
    """The earliest emission or trade time of each segment; the seam's begins with the trades after the last update."""
    earliest = [lap_ms] * (count + 1)
    for kind, index, emitted_ms, segment in zip(
        events.kinds, events.indexes, events.emitted_ms, segments, strict=True
    ):
        at_ms = min(emitted_ms, trades.at_ms[index]) if kind == TRADE else emitted_ms
        if at_ms < earliest[segment]:
            earliest[segment] = at_ms
    earliest[0] = min(earliest[0], earliest[count] - lap_ms)
    earliest[count] = earliest[0] + lap_ms
    for segment in range(count - 1, 0, -1):
        earliest[segment] = min(earliest[segment], earliest[segment + 1])
    return array("q", earliest[:count])
