"""What only futures have: mark, index, funding, open interest, the crowd, liquidations."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_simulator.futures.funding import funding_rate
from market_simulator.futures.market import (
    DATA_MS,
    FUNDING_MS,
    RATE_CAP,
    FuturesInfo,
    FuturesMarket,
    Liquidation,
    PriceKind,
)
from market_simulator.futures.periods import ends
from market_simulator.futures_markets import FuturesListing, FuturesMarkets
from market_simulator.futures_symbols import GENERATED_FUTURES, RECORDED_FUTURES
from market_simulator.klines.intervals import later_open
from market_simulator.live import EPOCH_MS
from market_simulator.market import UNIT, DepthUpdate, SymbolMarket, Trade
from market_simulator.order_book import OrderBook
from market_simulator.recorded.market import RecordedMarket
from market_simulator.recorded.tape import Tape
from market_simulator.repricing import flash_crash
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.stage.effects import ThinBook
from market_simulator.stage.futures import StagedFutures
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape
from shared.offload import Offload

TAPES = Path(__file__).parents[2] / "tape"
NOW_MS = 1_786_200_123_456
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "BCHUSDT")
every_symbol = pytest.mark.parametrize("symbol", SYMBOLS)
PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")


@functools.cache
def spot_tape_of(symbol: str) -> Tape:
    return load_tape(TAPES / f"binance-spot-{symbol.lower()}_20240808.txt.gz")


def spot_markets(seed: int = 1) -> dict[str, SymbolMarket]:
    markets: dict[str, SymbolMarket] = {i.symbol: RecordedMarket(i, spot_tape_of(i.symbol)) for i in RECORDED}
    return markets | {info.symbol: GeneratedMarket(info, profile, seed) for info, profile in GENERATED}


def both(seed: int = 1) -> tuple[dict[str, SymbolMarket], FuturesMarkets]:
    spot = spot_markets(seed)
    return spot, listing().make(seed, spot)


@functools.cache
def listing() -> FuturesListing:
    """As the service has one: tapes are read once."""
    return FuturesListing(TAPES, {one.symbol: spot_tape_of(one.symbol) for one in RECORDED})


@functools.cache
def kept() -> tuple[dict[str, SymbolMarket], FuturesMarkets]:
    """One pair of markets for the tests that change nothing."""
    return both()


def last_price(market: SymbolMarket, at_ms: int) -> int:
    return market.trades(at_ms, limit=1)[0].price


def crash(market: SymbolMarket, tick: int, percent: int = 5) -> None:
    market.reprice(flash_crash(NOW_MS + 1, 60_000, last_price(market, NOW_MS) * percent // 100 // tick, tick, 1))


def test_listing_the_contracts_reads_no_tape() -> None:
    _, futures = both()
    assert len(futures) == len(RECORDED_FUTURES) + len(GENERATED_FUTURES) == len(futures.infos) == 26
    assert "BTCUSDT" in futures
    assert "PEPEUSDT" not in futures
    assert futures.get("NOSUCH") is None
    assert not futures.made
    assert futures["ADAUSDT"] is futures["ADAUSDT"]
    assert list(futures.made) == ["ADAUSDT"]


def test_contracts_have_filters_that_fit_each_other() -> None:
    for one in kept()[1].infos:
        check_filters(one)


def check_filters(one: FuturesInfo) -> None:
    assert UNIT % 10 == one.tick_size % (UNIT // 10**one.price_precision) == 0
    assert one.step_size % (UNIT // 10**one.quantity_precision) == 0
    assert one.usual_open_interest % one.step_size == one.most_market_quantity % one.step_size == 0
    assert 0 < one.most_market_quantity < one.most_quantity
    assert one.least_notional >= 5 * UNIT


@pytest.mark.parametrize("symbol", [one[0].symbol for one in GENERATED_FUTURES])
def test_a_generated_perpetual_walks_with_its_spot_market_a_small_basis_apart(symbol: str) -> None:
    spot, futures = kept()
    market = futures[symbol]
    compared = 0
    for interval, limit in (("1m", 300), ("1h", 200), ("1d", 400)):
        bars = (one.klines(NOW_MS, interval, limit=limit) for one in (market, spot[symbol]))
        for own, other in zip(*bars, strict=True):
            tick = max(market.contract.tick_size, spot[symbol].info.tick_size)
            assert abs(own.close - other.close) <= other.close // 400 + 2 * tick, "basis within 0.25 %"
            compared += 1
    assert compared == 900
    market.advance(NOW_MS)
    events = market.advance(NOW_MS + 20_000)
    trades = [event for event in events if isinstance(event, Trade)]
    assert trades
    assert all(one.price % market.contract.tick_size == one.quantity % market.contract.step_size == 0 for one in trades)


@every_symbol
def test_the_mark_price_is_the_index_raised_by_the_premium_and_near_the_futures_price(symbol: str) -> None:
    spot, futures = kept()
    for at_ms in range(NOW_MS - 2 * DAY_MS, NOW_MS, 5_432_101):
        shown = futures[symbol].figures.mark_price(at_ms)
        assert shown.index == last_price(spot[symbol], at_ms)
        assert abs(shown.mark / shown.index - 1) < 0.0025
        assert abs(shown.mark / last_price(futures[symbol], at_ms) - 1) < 0.006
        assert shown.at_ms == at_ms < shown.next_funding_ms <= at_ms + FUNDING_MS
        assert shown.next_funding_ms % FUNDING_MS == 0
        assert abs(shown.average / shown.mark - 1) < 0.02
        assert abs(shown.settle / shown.index - 1) < 0.02


@every_symbol
def test_funding_was_charged_at_the_rate_that_the_mark_price_announced(symbol: str) -> None:
    market = kept()[1][symbol]
    charged = market.figures.fundings(NOW_MS, limit=60)
    assert len(charged) == 60
    for before, one in pairwise(charged):
        assert one.at_ms == before.at_ms + FUNDING_MS
        at_funding = market.figures.mark_price(one.at_ms)
        assert at_funding.rate == one.rate
        bar = market.figures.price_klines("mark", NOW_MS, "1m", limit=1, start_ms=one.at_ms)[0]
        assert bar.open == one.mark
        assert abs(one.rate) <= RATE_CAP
    assert charged[-1].at_ms == NOW_MS - NOW_MS % FUNDING_MS


@every_symbol
def test_the_rate_follows_the_basis_of_its_eight_hours(symbol: str) -> None:
    market = kept()[1][symbol]
    for one in market.figures.fundings(NOW_MS, limit=40):
        hours = market.figures.bases(one.at_ms, "1h", limit=8)
        assert [basis.at_ms for basis in hours] == [one.at_ms - HOUR_MS * n for n in range(7, -1, -1)]
        rates = sorted(basis.rate for basis in hours)
        assert one.rate == funding_rate((rates[3] + rates[4]) // 2)


@given(st.integers(-(10**8), 10**8))
def test_the_rate_is_the_interest_while_the_premium_is_within_the_damper(premium: int) -> None:
    rate = funding_rate(premium)
    assert abs(rate) <= RATE_CAP
    if abs(premium - 10_000) <= 50_000:
        assert rate == 10_000
    elif abs(rate) < RATE_CAP:
        assert abs(rate - premium) == 50_000


def test_there_is_no_funding_before_the_first_eight_hours() -> None:
    figures = kept()[1]["BNBUSDT"].figures
    assert figures.fundings(EPOCH_MS + FUNDING_MS - 1, limit=5) == []
    first = figures.fundings(NOW_MS, limit=3, start_ms=0)
    assert [one.at_ms for one in first] == [EPOCH_MS + FUNDING_MS * n for n in (1, 2, 3)]


@every_symbol
@pytest.mark.parametrize("kind", ["mark", "index", "premium"])
@pytest.mark.parametrize("interval", ["1m", "1h", "4h", "1d"])
def test_price_bars_hold_every_price_of_their_time(symbol: str, kind: PriceKind, interval: str) -> None:
    market = kept()[1][symbol]
    bars = market.figures.price_klines(kind, NOW_MS, interval, limit=3)
    opens = [bar.open_ms for bar in market.klines(NOW_MS, interval, limit=3)]
    assert [bar.open_ms for bar in bars] == opens
    step_ms = max((NOW_MS - opens[0]) // 40, 1)
    compared = 0
    for at_ms in range(opens[0], NOW_MS, step_ms):
        shown = market.figures.mark_price(at_ms)
        bar = next(bar for bar in bars if bar.open_ms <= at_ms <= bar.close_ms)
        if kind != "premium":
            assert bar.low <= getattr(shown, kind) <= bar.high
            compared += 1
    assert kind == "premium" or compared >= 40
    assert all(one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high for one in bars)
    if kind != "premium":
        assert bars[-1].close == getattr(market.figures.mark_price(NOW_MS), kind)


@every_symbol
@pytest.mark.parametrize("period", PERIODS)
def test_lists_of_figures_agree_with_each_other_and_with_the_trades(symbol: str, period: str) -> None:
    market, length_ms = kept()[1][symbol], later_open(0, period)
    figures = market.figures
    for basis in figures.bases(NOW_MS, period, limit=5):
        assert basis.at_ms % length_ms == 0
        assert basis.futures == last_price(market, basis.at_ms - 1)
        assert basis.basis == basis.futures - basis.index
    for volume in figures.taker_volumes(NOW_MS, period, limit=3):
        bar = market.klines(NOW_MS, period, limit=1, start_ms=volume.at_ms)[0]
        assert (volume.bought + volume.sold, volume.bought) == (bar.volume, bar.taker_buy_base)
        assert volume.at_ms + length_ms <= NOW_MS, "a whole period"
    for interest in figures.open_interests(NOW_MS, period, limit=5):
        assert interest.quantity == figures.open_interest(interest.at_ms).quantity
        assert abs(interest.quantity / market.contract.usual_open_interest - 1) < 0.17
        assert interest.quantity % market.contract.step_size == 0
        assert abs(interest.value / (interest.quantity * last_price(market, interest.at_ms) // UNIT) - 1) < 0.01
    for one in figures.long_shorts("top_accounts", NOW_MS, period, limit=5):
        assert one.long + one.short == UNIT
        assert 0.4 * UNIT < one.long < 0.8 * UNIT
        assert one.ratio == one.long * UNIT // one.short


def test_the_same_instant_has_one_figure_in_every_period() -> None:
    figures = kept()[1]["ETHUSDT"].figures
    midnight = NOW_MS - NOW_MS % DAY_MS
    found = [figures.long_shorts("global_accounts", NOW_MS, period, limit=1, end_ms=midnight) for period in PERIODS]
    assert [one[0] for one in found] == [found[0][0]] * len(PERIODS)
    assert found[0][0].at_ms == midnight


def test_figures_go_back_thirty_days() -> None:
    figures = kept()[1]["BTCUSDT"].figures
    first = figures.open_interests(NOW_MS, "1d", limit=500, start_ms=0)
    assert NOW_MS - DATA_MS <= first[0].at_ms < NOW_MS - DATA_MS + DAY_MS
    assert len(first) == 30
    assert figures.bases(NOW_MS, "1d", limit=500, end_ms=NOW_MS - DATA_MS - DAY_MS) == []
    assert figures.taker_volumes(NOW_MS, "5m", limit=500, start_ms=NOW_MS) == []
    with pytest.raises(ValueError, match="unknown period"):
        figures.bases(NOW_MS, "3m", limit=5)


@given(st.integers(1, 20), st.none() | st.integers(-50, 1_050), st.none() | st.integers(-50, 1_050))
@settings(max_examples=300)
def test_instants_follow_the_range_rule(limit: int, start: int | None, end: int | None) -> None:
    shown = list(ends(10, 1_003, limit=limit, start_ms=start, end_ms=end, first_ms=15))
    all_of_them = [
        at for at in range(20, 1_001, 10) if (start is None or at >= start) and (end is None or at <= end)
    ]
    assert shown == (all_of_them[-limit:] if start is None else all_of_them[:limit])


@every_symbol
def test_liquidations_are_few_in_calm_times_and_at_most_one_a_second(symbol: str) -> None:
    market = kept()[1][symbol]

    def in_pieces(length_ms: int) -> list[Liquidation]:
        starts = range(NOW_MS, NOW_MS + 1_800_000, length_ms)
        return [one for at_ms in starts for one in market.figures.liquidations(at_ms, at_ms + length_ms)]

    found = in_pieces(60_000)
    assert 10 < len(found) < 600
    assert all(one.at_ms - before.at_ms >= 1000 for before, one in pairwise(found))
    assert {one.side for one in found} == {"BUY", "SELL"}
    for one in found:
        assert one.average_price == last_price(market, one.at_ms)
        assert one.price < one.average_price if one.side == "SELL" else one.price > one.average_price
        assert one.price % market.contract.tick_size == one.quantity % market.contract.step_size == 0 < one.quantity
    assert in_pieces(3_000) == found, "it makes no difference in which pieces one asks"
    assert len(market.figures.liquidations(NOW_MS, NOW_MS + 10**9)) <= 60


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BNBUSDT"])
def test_a_crash_liquidates_longs_and_its_recovery_shorts(symbol: str) -> None:
    _, futures = both()
    market = futures[symbol]
    market.advance(NOW_MS)
    crash(market, market.contract.tick_size, percent=20)
    falling = market.figures.liquidations(NOW_MS + 5_000, NOW_MS + 15_000)
    rising = market.figures.liquidations(NOW_MS + 26_000, NOW_MS + 50_000)
    assert len(falling) >= 6
    assert [one.side for one in falling] == ["SELL"] * len(falling)
    assert len(rising) >= 12
    assert [one.side for one in rising] == ["BUY"] * len(rising)


@pytest.mark.parametrize("symbol", ["ETHUSDT", "ADAUSDT"])
def test_one_path_moves_spot_and_futures_alike_and_a_wick_on_futures_alone_leaves_the_mark(symbol: str) -> None:
    spot, futures = both()
    calm_spot, calm_futures = kept()
    market, low_ms = futures[symbol], NOW_MS + 16_000
    tick = max(market.contract.tick_size, spot[symbol].info.tick_size)  # a multiple of both, as both are powers of ten
    market.advance(NOW_MS)
    spot[symbol].advance(NOW_MS)
    crash(market, tick)
    assert market.figures.mark_price(low_ms).mark == calm_futures[symbol].figures.mark_price(low_ms).mark
    path_of_futures = last_price(market, low_ms) - last_price(calm_futures[symbol], low_ms)
    assert path_of_futures < -last_price(market, NOW_MS) * 0.03
    crash(spot[symbol], tick)
    moved = last_price(spot[symbol], low_ms) - last_price(calm_spot[symbol], low_ms)
    assert abs(moved - path_of_futures) < last_price(market, NOW_MS) * 0.01
    assert market.figures.mark_price(low_ms).index == last_price(spot[symbol], low_ms)


def test_figures_are_the_same_after_a_restart_and_differ_by_seed() -> None:
    def shown(market: FuturesMarket) -> list[object]:
        figures: list[Callable[[], object]] = [
            lambda: market.figures.mark_price(NOW_MS),
            lambda: market.figures.fundings(NOW_MS, limit=20),
            lambda: market.figures.open_interest(NOW_MS),
            lambda: market.figures.long_shorts("top_positions", NOW_MS, "5m", limit=20),
            lambda: market.figures.liquidations(NOW_MS - 60_000, NOW_MS),
            lambda: market.klines(NOW_MS, "1h", limit=20),
        ]
        return [one() for one in figures]

    for symbol in SYMBOLS[1:3]:
        assert shown(both()[1][symbol]) == shown(kept()[1][symbol])
        other = shown(both(seed=2)[1][symbol])
        assert [a != b for a, b in zip(shown(kept()[1][symbol]), other, strict=True)][2:5] == [True] * 3


@pytest.mark.parametrize("symbol", ["ETHUSDT", "BNBUSDT"])
def test_a_perpetual_on_stage_keeps_its_chain_of_updates_and_its_figures(symbol: str) -> None:
    market = StagedFutures(both()[1][symbol])
    as_the_wire_sees_it: FuturesMarket = market
    info = as_the_wire_sees_it.contract
    market.advance(NOW_MS)
    market.affect(ThinBook(NOW_MS + 1_000, NOW_MS + 6_000, 20.0, 10**18, info.step_size, info.tick_size, 1))
    view = market.book()
    book, previous, applied = OrderBook(view.bids, view.asks), view.last_update_id, 0
    for at_ms in range(NOW_MS, NOW_MS + 10_000, 50):
        for event in market.advance(at_ms):
            if isinstance(event, DepthUpdate):
                assert event.previous_id == previous
                book.apply(event.bids, event.asks)
                previous, applied = event.last_id, applied + 1
    assert applied > 50
    assert book.best() == (market.best().bid, market.best().ask)
    assert market.figures.mark_price(NOW_MS) == kept()[1][symbol].figures.mark_price(NOW_MS)
    assert info.symbol == symbol


def test_who_asks_at_once_for_a_contract_nobody_has_read_yet_gets_the_same_market() -> None:
    reader = Offload(threads=1)
    fresh = FuturesListing(TAPES, {one.symbol: spot_tape_of(one.symbol) for one in RECORDED}, reader.call)
    markets = fresh.make(1, spot_markets())
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(lambda: markets["BTCUSDT"]) for _ in range(4)]
        tapes = [pool.submit(fresh.tape, "BTCUSDT") for _ in range(4)]
    assert len({id(one.result()) for one in asked}) == 1
    assert len({id(one.result()) for one in tapes}) == 1
    reader.close()
