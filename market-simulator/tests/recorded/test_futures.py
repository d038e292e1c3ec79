"""The recorded perpetuals: the futures' own book procedure, laps and seams beside spot's."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from market_simulator.futures_symbols import RECORDED_FUTURES
from market_simulator.live import EPOCH_MS
from market_simulator.market import BookTicker, BookView, DepthUpdate, Event, Trade
from market_simulator.order_book import OrderBook
from market_simulator.recorded.futures import RecordedFutures
from market_simulator.recorded.market import RecordedMarket
from market_simulator.recorded.tape import DEPTH, TICKER, TRADE, Tape
from market_simulator.repricing import flash_crash
from market_simulator.symbols import RECORDED
from market_simulator.tape_reader import load_tape

TAPES = Path(__file__).parents[2] / "tape"
LAP = 600_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
every_symbol = pytest.mark.parametrize("symbol", SYMBOLS)


@functools.cache
def spot_tape_of(symbol: str) -> Tape:
    return load_tape(TAPES / f"binance-spot-{symbol.lower()}_20240808.txt.gz")


@functools.cache
def tape_of(symbol: str) -> Tape:
    return load_tape(TAPES / f"binance-usdm-{symbol.lower()}_20240808.txt.gz", beside=spot_tape_of(symbol))


def spot_of(symbol: str) -> RecordedMarket:
    return RecordedMarket(next(info for info in RECORDED if info.symbol == symbol), spot_tape_of(symbol))


def futures_of(symbol: str) -> RecordedFutures:
    contract = next(one for one in RECORDED_FUTURES if one.symbol == symbol)
    return RecordedFutures(contract, tape_of(symbol), 1, spot_of(symbol))


def seam_ms(symbol: str) -> int:
    return EPOCH_MS + LAP * tape_of(symbol).lap_ms


def run(
    market: RecordedFutures, from_ms: int, to_ms: int, step_ms: int, snapshot_ms: int
) -> tuple[list[Event], BookView]:
    """Everything of a time, and the book as REST shows it on the way."""
    market.advance(from_ms)
    events: list[Event] = []
    for at_ms in range(from_ms, snapshot_ms, step_ms):
        events += market.advance(at_ms)
    events += market.advance(snapshot_ms)
    snapshot = market.book()
    for at_ms in (*range(snapshot_ms, to_ms, step_ms), to_ms):
        events += market.advance(at_ms)
    return events, snapshot


def every(milliseconds: int, updates: Sequence[DepthUpdate]) -> list[DepthUpdate]:
    """The streams @100ms, @250ms and @500ms: what fell into one slot as one event."""
    merged: list[DepthUpdate] = []
    for update in updates:
        last = merged[-1] if merged else None
        if last is not None and last.event_ms // milliseconds == update.event_ms // milliseconds:
            bids, asks = {**dict(last.bids), **dict(update.bids)}, {**dict(last.asks), **dict(update.asks)}
            merged[-1] = DepthUpdate(
                last.first_id, update.last_id, update.event_ms, tuple(bids.items()), tuple(asks.items()),
                last.previous_id, update.at_ms,
            )  # fmt: skip
        else:
            merged.append(update)
    return merged


def rebuild(snapshot: BookView, updates: Sequence[DepthUpdate]) -> dict[int, object]:
    """binance-wire.md 6 to the letter; the best bid and ask after each event, by its `u`."""
    waiting = [update for update in updates if update.last_id >= snapshot.last_update_id]
    assert waiting[0].first_id <= snapshot.last_update_id <= waiting[0].last_id, "the first event to apply"
    book, tops, previous = OrderBook(snapshot.bids, snapshot.asks), dict[int, object](), waiting[0].previous_id
    for update in waiting:
        assert update.previous_id == previous, "a gap"
        book.apply(update.bids, update.asks)
        previous = update.last_id
        tops[previous] = book.best()
    return tops


def check(snapshot: BookView, events: Sequence[Event], milliseconds: int) -> tuple[int, int]:
    """How many depth events were applied and how many bookTickers compared."""
    updates = [event for event in events if isinstance(event, DepthUpdate)]
    tops = rebuild(snapshot, every(milliseconds, updates) if milliseconds else updates)
    tickers = [event for event in events if isinstance(event, BookTicker) and event.update_id in tops]
    for ticker in tickers:
        assert tops[ticker.update_id] == (ticker.bid, ticker.ask), f"bookTicker {ticker.update_id}"
    return len(tops), len(tickers)


@every_symbol
def test_the_shipped_recordings_are_the_ones_that_the_provenance_names(symbol: str) -> None:
    name = f"binance-usdm-{symbol.lower()}_20240808.txt.gz"
    assert hashlib.sha256((TAPES / name).read_bytes()).hexdigest() in (TAPES / "PROVENANCE.md").read_text()


@every_symbol
@pytest.mark.parametrize("crashing", [False, True])
def test_a_whole_lap_and_its_seam_rebuild_to_every_bookticker(symbol: str, crashing: bool) -> None:
    market, seam = futures_of(symbol), seam_ms(symbol)
    if crashing:
        market.reprice(flash_crash(seam - 5_000, 20_000, 2_000, market.info.tick_size, 1))
    lap_ms = tape_of(symbol).lap_ms
    events, snapshot = run(market, seam - lap_ms + 5_000, seam + 10_000, 50, seam - lap_ms + 7_000)
    applied, compared = check(snapshot, events, 0)
    print(f"{symbol}: {applied} events applied, {compared} bookTickers compared")
    assert (applied > 6_000, compared > 400) == (True, True), f"applied {applied}, compared {compared}"
    ids = [event.id for event in events if isinstance(event, Trade)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    tickers = [event.update_id for event in events if isinstance(event, BookTicker)]
    assert tickers == sorted(set(tickers)), "ids rise over the seam"


@every_symbol
@pytest.mark.parametrize("milliseconds", [100, 250, 500])
def test_the_slower_streams_lead_to_the_same_book_over_a_seam(symbol: str, milliseconds: int) -> None:
    market, seam = futures_of(symbol), seam_ms(symbol)
    events, snapshot = run(market, seam - 60_000, seam + 60_000, 50, seam - 57_030)
    applied, compared = check(snapshot, events, milliseconds)
    assert (applied > 100, compared > 2) == (True, True), f"applied {applied}, compared {compared}"


@every_symbol
@pytest.mark.parametrize("speed", [1, 20, 100])
def test_the_book_holds_at_other_speeds(symbol: str, speed: int) -> None:
    """At speed k a tick of the server, 10 ms, is k × 10 ms of the market."""
    market, seam = futures_of(symbol), seam_ms(symbol)
    events, snapshot = run(market, seam - 20_000, seam + 20_000, 10 * speed, seam - 17_000)
    applied, compared = check(snapshot, events, 0)
    assert (applied > 300, compared > 10) == (True, True), f"applied {applied}, compared {compared}"


@every_symbol
def test_after_a_restart_the_stream_goes_on_where_it_was(symbol: str) -> None:
    first, second, seam = futures_of(symbol), futures_of(symbol), seam_ms(symbol)
    events, _ = run(first, seam - 20_000, seam + 20_000, 70, seam - 10_000)
    again, _ = run(second, seam - 3_000, seam + 20_000, 110, seam)
    assert len(again) > 300
    assert events[-len(again) :] == again


@every_symbol
def test_a_seam_is_one_depth_update_and_one_bookticker_at_the_instant_of_spots(symbol: str) -> None:
    market, tape, seam = futures_of(symbol), tape_of(symbol), seam_ms(symbol)
    assert tape.lap_ms == spot_tape_of(symbol).lap_ms
    market.advance(seam - 1)
    before = market.book()
    update, ticker = market.advance(seam)[:2]
    assert isinstance(update, DepthUpdate)
    assert update.previous_id == before.last_update_id < update.first_id == update.last_id
    book = OrderBook(before.bids, before.asks)
    book.apply(update.bids, update.asks)
    assert (book.bids.descending(), book.asks.ascending()) == (tape.start_bids, tape.start_asks)
    assert isinstance(ticker, BookTicker)
    assert (ticker.update_id, ticker.bid, ticker.ask) == (update.last_id, *book.best())
    assert ticker.event_ms == update.event_ms == seam


@every_symbol
def test_update_ids_have_gaps_and_the_chain_has_none(symbol: str) -> None:
    tape = tape_of(symbol)
    updates = [tape.depth[index] for index in range(len(tape.depth))]
    assert len(updates) > 6_500
    assert all(one.previous_id == before.last_id for before, one in pairwise(updates))
    gaps = sum(update.first_id > update.previous_id + 1 for update in updates)
    assert gaps > len(updates) * 0.9, "a client that tests U == u + 1 must fail"


@every_symbol
def test_no_event_is_older_than_the_lap_or_younger_than_its_emission(symbol: str) -> None:
    tape = tape_of(symbol)
    assert list(tape.events.emitted_ms) == sorted(tape.events.emitted_ms)
    assert tape.events.emitted_ms[-1] < tape.lap_ms
    times: dict[int, Callable[[int], tuple[int, int]]] = {
        TRADE: lambda index: (tape.trades.at_ms[index], tape.trades.event_ms[index]),
        DEPTH: lambda index: (tape.depth.at_ms[index], tape.depth.event_ms[index]),
        TICKER: lambda index: (tape.tickers.at_ms[index], tape.tickers.event_ms[index]),
    }
    for kind, index, emitted_ms in zip(tape.events.kinds, tape.events.indexes, tape.events.emitted_ms, strict=True):
        at_ms, event_ms = times[kind](index)
        assert 0 <= at_ms <= event_ms <= emitted_ms
    assert len(tape.events) > 70_000


@every_symbol
def test_futures_stay_beside_spot_lap_after_lap(symbol: str) -> None:
    futures, spot = futures_of(symbol), spot_of(symbol)
    apart = []
    for lap in (3, 77_777, LAP):
        for second in range(5, 340, 5):
            at_ms = EPOCH_MS + lap * tape_of(symbol).lap_ms + second * 1000
            futures.advance(at_ms)
            spot.advance(at_ms)
            apart.append(futures.best().bid[0] / spot.best().bid[0] - 1)
    assert len(apart) > 200
    assert -0.001 < min(apart) <= max(apart) < 0, "a discount of some 0.04 %, as recorded"


def test_a_recording_that_does_not_fit_beside_the_other_is_refused() -> None:
    path = TAPES / "binance-spot-btcusdt_20240808.txt.gz"
    with pytest.raises(ValueError, match="begins before"):
        load_tape(path, beside=spot_beside_nothing())


def spot_beside_nothing() -> Tape:
    """A recording that begins later than the spot one."""
    return load_tape(TAPES / "binance-usdm-ethusdt_20240808.txt.gz")
