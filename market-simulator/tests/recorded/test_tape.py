"""Reading recordings: the snapshot's trap, the clock's skew, the seam."""

import functools
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from market_simulator.order_book import OrderBook
from market_simulator.recorded.tape import DEPTH, TICKER, TRADE, Tape
from market_simulator.tape_reader import load_tape

SYMBOLS = ("BTCUSDT", "ETHUSDT")
TAPES = Path(__file__).parents[2] / "tape"


@functools.cache
def tape_of(symbol: str) -> Tape:
    return load_tape(TAPES / f"binance-spot-{symbol.lower()}_20240808.txt.gz")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_shipped_recordings_are_the_ones_that_the_provenance_names(symbol: str) -> None:
    name = f"binance-spot-{symbol.lower()}_20240808.txt.gz"
    assert hashlib.sha256((TAPES / name).read_bytes()).hexdigest() in (TAPES / "PROVENANCE.md").read_text()


def test_a_diff_event_that_straddles_the_snapshot_belongs_to_the_start_book() -> None:
    tape = tape_of("BTCUSDT")
    assert tape.depth.first_ids[0] == tape.depth.last_ids[0] == 50093239224  # the snapshot says ...218
    assert tape.depth.first_ids[1] == 50093239225


def test_a_snapshot_between_two_events_is_the_start_book_itself() -> None:
    tape = tape_of("ETHUSDT")
    assert tape.depth.last_ids[0] == 35346513512
    assert tape.depth.first_ids[1] == 35346513513
    assert tape.start_bids[0] == (268_380_000_000, 302_920_000)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_update_ids_follow_each_other_and_no_bookticker_is_uncovered(symbol: str) -> None:
    tape = tape_of(symbol)
    assert all(tape.depth.first_ids[i] == tape.depth.last_ids[i - 1] + 1 for i in range(1, len(tape.depth)))
    assert len(tape.tickers) > 20_000
    for position, kind in enumerate(tape.events.kinds):
        index, segment = tape.events.indexes[position], tape.segments[position]
        if kind == TICKER:
            update_id = tape.tickers.update_ids[index]
            assert tape.depth.first_ids[segment] <= update_id <= tape.depth.last_ids[segment]
        assert kind != DEPTH or segment == index


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_event_is_older_than_the_lap_or_younger_than_its_emission(symbol: str) -> None:
    tape = tape_of(symbol)
    assert list(tape.events.emitted_ms) == sorted(tape.events.emitted_ms)
    assert tape.events.emitted_ms[-1] < tape.lap_ms
    lags = []
    for kind, index, emitted_ms in zip(tape.events.kinds, tape.events.indexes, tape.events.emitted_ms, strict=True):
        if kind == TRADE:
            assert 0 <= tape.trades.at_ms[index] <= tape.trades.event_ms[index] <= emitted_ms
            lags.append(emitted_ms - tape.trades.event_ms[index])
        elif kind == DEPTH:
            assert 0 <= tape.depth.event_ms[index] <= emitted_ms
    assert min(lags) <= 1, "the least lag counts as none"
    assert max(lags) < 50


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_segment_begins_before_anything_of_it_is_seen(symbol: str) -> None:
    tape = tape_of(symbol)
    assert list(tape.segment_ms) == sorted(tape.segment_ms)
    starts = [*tape.segment_ms, tape.segment_ms[0] + tape.lap_ms]
    events = tape.events
    for kind, index, emitted_ms, segment in zip(
        events.kinds, events.indexes, events.emitted_ms, tape.segments, strict=True
    ):
        assert starts[segment] <= emitted_ms
        assert kind != TRADE or starts[segment] <= tape.trades.at_ms[index]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_seam_turns_the_end_book_into_the_start_book(symbol: str) -> None:
    tape = tape_of(symbol)
    book = tape.start_book()
    for index in range(1, len(tape.depth)):
        book.apply(*tape.depth.levels(index))
    book.apply(*tape.depth.levels(0))
    assert (book.bids.descending(), book.asks.ascending()) == (tape.start_bids, tape.start_asks)
    assert tape.tickers[0].bid == tape.start_bids[0]


class Recorder:
    """Writes a small recording. Local time runs 1,000 ms behind the exchange's."""

    def __init__(self, folder: Path) -> None:
        self._path, self._lines = folder / "recording.txt.gz", list[str]()

    def frame(self, local_ms: int, frame: dict[str, Any]) -> None:
        self._lines.append(f"{(1_700_000_000_000 + local_ms) * 1_000_000} {json.dumps(frame)}")

    def depth(self, at: int, first: int, last: int, bids: dict[int, int]) -> None:
        levels = [[f"{price}.00000000", f"{quantity}.00000000"] for price, quantity in bids.items()]
        data = {"e": "depthUpdate", "E": 1_700_000_001_000 + at, "s": "X", "U": first, "u": last, "b": levels, "a": []}
        self.frame(at, {"stream": "x@depth@100ms", "data": data})

    def trade(self, at: int, number: int) -> None:
        moment = 1_700_000_001_000 + at
        price = {"p": "10.00000000", "q": "1.00000000", "T": moment, "m": True}
        self.frame(at, {"stream": "x@trade", "data": {"e": "trade", "E": moment, "s": "X", "t": number, **price}})

    def snapshot(self, at: int, update_id: int) -> None:
        sides = {"bids": [["10.00000000", "1.00000000"]], "asks": [["12.00000000", "1.00000000"]]}
        self.frame(at, {"lastUpdateId": update_id, **sides})

    def load(self) -> Tape:
        self._path.write_bytes(gzip.compress("\n".join(self._lines).encode()))
        return load_tape(self._path)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


def before_the_snapshot(recorder: Recorder) -> None:
    recorder.depth(0, 90, 103, {9: 7})
    recorder.snapshot(10, 100)


def after_the_snapshot(recorder: Recorder) -> None:
    recorder.snapshot(10, 100)
    recorder.depth(11, 90, 103, {9: 7})


@pytest.mark.parametrize("straddling", [before_the_snapshot, after_the_snapshot])
def test_the_straddling_event_counts_on_either_side_of_the_snapshot(
    recorder: Recorder, straddling: Callable[[Recorder], None]
) -> None:
    straddling(recorder)
    recorder.trade(60, 5)
    recorder.depth(110, 104, 105, {10: 2})
    tape = recorder.load()
    unit = 10**8
    assert tape.depth.last_ids[0] == 103
    assert tape.start_bids == [(10 * unit, unit), (9 * unit, 7 * unit)]
    assert list(tape.trades.at_ms) == [50]
    assert tape.depth.event_ms[1] == 100


def test_events_that_the_snapshot_holds_already_are_dropped(recorder: Recorder) -> None:
    recorder.depth(0, 90, 95, {9: 7})
    recorder.trade(1, 4)
    recorder.snapshot(10, 100)
    recorder.depth(11, 96, 100, {9: 8})
    recorder.depth(110, 101, 105, {10: 2})
    tape = recorder.load()
    assert OrderBook(tape.start_bids, tape.start_asks).bids.quantities == {10**9: 10**8}
    assert len(tape.depth) == 2
    assert len(tape.trades) == 0


def test_a_hole_in_the_recording_is_refused(recorder: Recorder) -> None:
    recorder.snapshot(10, 100)
    recorder.depth(110, 101, 105, {10: 2})
    recorder.depth(210, 107, 108, {10: 3})
    with pytest.raises(ValueError, match="107 does not follow 105"):
        recorder.load()


def test_a_recording_without_a_snapshot_is_refused(recorder: Recorder) -> None:
    recorder.depth(0, 90, 95, {9: 7})
    with pytest.raises(ValueError, match="no REST depth snapshot"):
        recorder.load()
