"""What only a recorded market has: laps, seams, the tape's own ids."""

import functools
from pathlib import Path

import pytest

from market_simulator.live import EPOCH_MS
from market_simulator.market import BookTicker, DepthUpdate, Event, Trade
from market_simulator.order_book import OrderBook
from market_simulator.recorded.market import RecordedMarket
from market_simulator.recorded.tape import Tape
from market_simulator.repricing import flash_crash
from market_simulator.symbols import RECORDED
from market_simulator.tape_reader import load_tape

TAPES = Path(__file__).parents[2] / "tape"
LAP = 600_000
every_tape = pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])


@functools.cache
def tape_of(symbol: str) -> Tape:
    return load_tape(TAPES / f"binance-spot-{symbol.lower()}_20240808.txt.gz")


def market_of(symbol: str) -> RecordedMarket:
    return RecordedMarket(next(info for info in RECORDED if info.symbol == symbol), tape_of(symbol))


def seam_ms(symbol: str, lap: int = LAP) -> int:
    return EPOCH_MS + lap * tape_of(symbol).lap_ms


def over_the_seam(market: RecordedMarket, before_ms: int, after_ms: int) -> tuple[OrderBook, int, list[Event]]:
    """The client's book and its id `before_ms` before the seam, and the events until `after_ms` after it."""
    seam = seam_ms(market.info.symbol)
    market.advance(seam - before_ms)
    view, events = market.book(), list[Event]()
    for at_ms in range(seam - before_ms, seam + after_ms + 1, 10):
        events += market.advance(at_ms)
    return OrderBook(view.bids, view.asks), view.last_update_id, events


@every_tape
@pytest.mark.parametrize("crashing", [False, True])
def test_books_ids_and_trades_continue_over_the_seam(symbol: str, crashing: bool) -> None:
    market, tape = market_of(symbol), tape_of(symbol)
    if crashing:
        market.reprice(flash_crash(seam_ms(symbol) - 5_000, 20_000, 20_000, market.info.tick_size, 1))
    book, update_id, events = over_the_seam(market, 20_000, 20_000)
    tickers = {event.update_id: event for event in events if isinstance(event, BookTicker)}
    compared = 0
    for event in events:
        if isinstance(event, DepthUpdate):
            assert event.first_id == update_id + 1
            update_id = event.last_id
            book.apply(event.bids, event.asks)
            if ticker := tickers.get(update_id):
                assert book.best() == (ticker.bid, ticker.ask)
                compared += 1
    assert compared > 20, f"compared {compared} bookTickers"
    ids = [event.id for event in events if isinstance(event, Trade)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    first_of_lap = tape.trades.first_id + LAP * len(tape.trades)
    assert ids[0] < first_of_lap <= ids[-1], "the trades lie on both sides of the seam"


@every_tape
def test_a_seam_is_one_depth_update_and_one_bookticker_with_its_id(symbol: str) -> None:
    market, tape, seam = market_of(symbol), tape_of(symbol), seam_ms(symbol)
    market.advance(seam - 1)
    before = market.book()
    update, ticker = market.advance(seam)[:2]
    assert isinstance(update, DepthUpdate)
    assert update.first_id == update.last_id == before.last_update_id + 1 == market.book().last_update_id
    assert update.previous_id == before.last_update_id
    assert update.event_ms == update.at_ms == seam
    book = OrderBook(before.bids, before.asks)
    book.apply(update.bids, update.asks)
    assert (book.bids.descending(), book.asks.ascending()) == (tape.start_bids, tape.start_asks)
    bid, ask = market.best().bid, market.best().ask
    assert (bid, ask) == book.best()
    assert ticker == BookTicker(update.last_id, bid, ask, seam, seam)


@every_tape
def test_each_lap_is_the_tape_with_shifted_ids_and_times(symbol: str) -> None:
    market, tape = market_of(symbol), tape_of(symbol)
    start = seam_ms(symbol)
    market.advance(start - 1)
    events = [event for at in range(start, start + tape.lap_ms, 50_000) for event in market.advance(at)]
    events += market.advance(start + tape.lap_ms - 1)
    assert len(events) == len(tape.events) > 30_000
    trades = [event for event in events if isinstance(event, Trade)]
    assert trades[0].id == tape.trades.first_id + LAP * len(tape.trades)
    assert [trade.price for trade in trades] == list(tape.trades.prices)
    assert [trade.at_ms - start for trade in trades] == list(tape.trades.at_ms)
    updates = [event for event in events if isinstance(event, DepthUpdate)]
    assert [update.last_id - LAP * tape.id_span for update in updates] == list(tape.depth.last_ids)
    assert [update.event_ms - start for update in updates] == list(tape.depth.event_ms)


@every_tape
def test_the_stream_is_never_ahead_of_what_rest_knows(symbol: str) -> None:
    """A client that looks a streamed trade up by REST at once finds it; event times are not in the future."""
    market, now_ms, compared = market_of(symbol), seam_ms(symbol) - 15_000, 0
    market.advance(now_ms)
    while now_ms < seam_ms(symbol) + 15_000:
        now_ms += 25
        trades = [event for event in market.advance(now_ms) if isinstance(event, Trade)]
        assert all(trade.at_ms <= trade.event_ms <= now_ms for trade in trades)
        if trades:
            assert market.trades(now_ms, limit=len(trades), from_id=trades[0].id) == trades
            compared += len(trades)
    assert compared > 300, f"looked {compared} trades up"


@every_tape
def test_the_24_h_window_covers_some_250_laps_and_costs_no_counting(symbol: str) -> None:
    market, tape, now_ms = market_of(symbol), tape_of(symbol), seam_ms(symbol) + 1_000
    window = market.window(now_ms, 86_400_000)
    laps = 86_400_000 / tape.lap_ms
    assert abs(window.count / len(tape.trades) - laps) < 1
    assert (window.high, window.low) == (max(tape.trades.prices), min(tape.trades.prices))
    assert window.last_id - window.first_id + 1 == window.count


@every_tape
def test_status_tells_the_lap_and_what_happens_at_its_seam(symbol: str) -> None:
    market, seam = market_of(symbol), seam_ms(symbol)
    status = market.status(seam - 1)
    assert status["kind"] == "recorded"
    assert (status["lap"], status["next_seam_at"]) == (LAP - 1, seam)
    assert market.status(seam)["lap"] == LAP
    assert status["note"] == "24h figures are of the loop"
    last, first = market.trades(seam - 1, limit=1)[0], market.trades(seam + 60_000, limit=1, start_ms=seam)[0]
    assert status["seam_jump_pct"] == round((first.price - last.price) / last.price * 100, 4)
