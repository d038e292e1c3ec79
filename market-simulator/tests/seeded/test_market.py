"""What only a generated market has: seeds, usual prices, any symbol."""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from market_simulator.live import EPOCH_MS
from market_simulator.market import UNIT, BookTicker, DepthUpdate, Event, Trade
from market_simulator.random_bits import key, word
from market_simulator.recorded.market import RecordedMarket
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.stage.market import StagedMarket
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape

AT_MS = 1_786_200_000_000
DAY_MS = 86_400_000
SYMBOLS = [info.symbol for info, _ in GENERATED]


def market_of(symbol: str, seed: int = 11) -> GeneratedMarket:
    info, profile = next(one for one in GENERATED if one[0].symbol == symbol)
    return GeneratedMarket(info, profile, seed)


def events_of(market: GeneratedMarket, seconds: int) -> list[Event]:
    market.advance(AT_MS)
    return market.advance(AT_MS + seconds * 1000)


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    first, same, other = market_of("SOLUSDT"), market_of("SOLUSDT"), market_of("SOLUSDT", seed=12)
    other.klines(AT_MS, "1d", limit=100)  # what was asked before makes no difference
    same.klines(AT_MS, "1M", limit=100)
    events = events_of(first, 20)
    assert len(events) > 200
    assert events == events_of(same, 20)
    assert events != events_of(other, 20)
    assert first.klines(AT_MS, "1h", limit=50) == same.klines(AT_MS, "1h", limit=50)


@pytest.mark.parametrize("interval", ["12h", "1d", "1w"])
@pytest.mark.parametrize("offset_ms", [0, 19_800_000])
def test_preparing_ahead_changes_no_answer(interval: str, offset_ms: int) -> None:
    prepared, other = market_of("SOLUSDT"), market_of("SOLUSDT")
    assert sum(1 for _ in prepared.prepare(AT_MS)) == (AT_MS - EPOCH_MS) // DAY_MS // 32 + 1
    klines = prepared.klines(AT_MS, interval, limit=300, offset_ms=offset_ms)
    assert klines == other.klines(AT_MS, interval, limit=300, offset_ms=offset_ms)
    assert klines == other.klines(AT_MS, interval, limit=300, offset_ms=offset_ms)


def test_symbols_of_one_seed_differ() -> None:
    assert key(1, "BNBUSDT", "days") != key(1, "SOLUSDT", "days")
    near, other = market_of("NEARUSDT"), market_of("FILUSDT")
    assert [bar.close for bar in near.klines(AT_MS, "1d", limit=9)] != [
        bar.close for bar in other.klines(AT_MS, "1d", limit=9)
    ]


def test_the_bytes_are_those_of_every_machine() -> None:
    """Golden values: whoever changes them changes every seed's history."""
    assert word(key(1, "BNBUSDT", "days"), 3) == 5768788973342180067
    market = market_of("BNBUSDT", seed=1)
    bar = market.klines(AT_MS, "1m", limit=2)[0]
    assert (bar.open, bar.high, bar.low, bar.close) == (54797000000, 54818000000, 54773000000, 54776000000)
    assert (bar.volume, bar.quote_volume, bar.trades) == (5231900000, 286638961300000000000, 174)
    events = events_of(market, 60)
    assert len(events) == 720
    assert sha256(repr(events).encode()).hexdigest()[:16] == "fcfbd5d63725272a"


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_prices_stay_around_the_coins_usual_one_for_years(symbol: str) -> None:
    market = market_of(symbol)
    usual = next(profile.price for info, profile in GENERATED if info.symbol == symbol)
    days = market.klines(AT_MS, "1d", limit=2_500)
    assert len(days) > 2_400
    assert all(0.4 * usual < bar.low / UNIT and bar.high / UNIT < 2 * usual for bar in days)
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in days)
    assert all(before.close == after.open for before, after in pairwise(days))
    moves = sorted(abs(bar.close / bar.open - 1) for bar in days)
    assert 0.005 < moves[len(moves) // 2] < 0.05


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_prices_and_quantities_fit_the_filters_and_the_book_around_the_last_trade(symbol: str) -> None:
    market = market_of(symbol)
    market.advance(AT_MS)
    tick, step = market.info.tick_size, market.info.step_size
    trades = 0
    for at_ms in range(AT_MS + 100, AT_MS + 30_100, 100):
        for event in market.advance(at_ms):
            if isinstance(event, Trade):
                assert event.price % tick == event.quantity % step == 0 < event.quantity
                trades += 1
            elif isinstance(event, DepthUpdate):
                assert all(price % tick == quantity % step == 0 for price, quantity in (*event.bids, *event.asks))
                assert event.event_ms == at_ms
        best, last = market.best(), market.trades(at_ms, limit=1)[0]
        assert last.price == (best.bid if last.buyer_is_maker else best.ask)[0]
        book = market.book()
        assert (book.bids[0], book.asks[0]) == (best.bid, best.ask)
        assert min(len(book.bids), len(book.asks)) > 40
    assert trades > 0


def test_few_levels_change_at_a_tick() -> None:
    market = market_of("BNBUSDT")
    updates = [event for event in events_of(market, 60) if isinstance(event, DepthUpdate)]
    assert len(updates) == 600
    changed = sum(len(update.bids) + len(update.asks) for update in updates) / len(updates)
    assert 2 < changed < 40


def test_the_live_best_is_the_last_bookticker() -> None:
    market = market_of("ADAUSDT")
    tickers = [event for event in events_of(market, 60) if isinstance(event, BookTicker)]
    assert len(tickers) > 5
    assert (market.best().bid, market.best().ask) == (tickers[-1].bid, tickers[-1].ask)


def test_every_day_has_as_many_trades_with_ids_from_the_epoch_on() -> None:
    market = market_of("LTCUSDT")
    first, second, third = market.klines(AT_MS, "1d", limit=3, start_ms=EPOCH_MS)
    assert first.first_id == 1
    assert first.trades == second.trades == third.trades == 40 * 1440
    assert third.first_id == 2 * first.trades + 1


def test_volatility_comes_in_regimes() -> None:
    days = market_of("SOLUSDT").klines(AT_MS, "1d", limit=2_400)
    spans = [(bar.high - bar.low) / bar.open for bar in days]
    months = [sum(spans[start : start + 20]) / 20 for start in range(0, 2_400, 20)]
    assert max(months) > 2 * min(months)


def test_a_market_far_ahead_still_answers() -> None:
    market = market_of("BNBUSDT")
    at_ms = EPOCH_MS + 60 * 365 * DAY_MS
    market.advance(at_ms)
    assert market.best().bid[0] < market.best().ask[0]
    assert market.window(at_ms, DAY_MS).count > 100_000


def test_a_market_on_stage_is_prepared_if_it_is_generated() -> None:
    staged = StagedMarket(market_of("SOLUSDT"))
    first = next(staged.prepare(AT_MS), "nothing")
    assert first is None, "a step of work"
    tape = load_tape(Path(__file__).parents[2] / "tape" / "binance-spot-btcusdt_20240808.txt.gz")
    recorded = RecordedMarket(RECORDED[0], tape)
    assert list(StagedMarket(recorded).prepare(AT_MS)) == []
