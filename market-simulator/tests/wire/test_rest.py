"""REST calls against the recorded market: shapes, weights, and the exchange's own error for everything wrong."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_simulator.recorded.market import RecordedMarket
from market_simulator.symbols import RECORDED
from market_simulator.tape_reader import load_tape
from market_simulator.wire.errors import ExchangeError
from market_simulator.wire.rest import Rest

from .still import NOW_MS, Still

pytestmark = pytest.mark.unit

TAPES = Path(__file__).parents[2] / "tape"


@pytest.fixture(scope="module")
def rest() -> Rest:
    tapes = {info: TAPES / f"binance-spot-{info.symbol.lower()}_20240808.txt.gz" for info in RECORDED}
    return Rest(Still({info.symbol: RecordedMarket(info, load_tape(tape)) for info, tape in tapes.items()}))


def ask(rest: Rest, name: str, unit: str | None = None) -> tuple[Any, int]:
    """The answer and its weight."""
    spent: list[int] = []
    path, _, query = name.partition("?")
    answer = rest.answer(f"/api/v3/{path}", query, unit, spent.append)
    return orjson.loads(orjson.dumps(answer)), sum(spent)


def code_of(rest: Rest, name: str, unit: str | None = None) -> int:
    with pytest.raises(ExchangeError) as caught:
        ask(rest, name, unit)
    return caught.value.code


FULL_DAY = (
    "symbol priceChange priceChangePercent weightedAvgPrice prevClosePrice lastPrice lastQty bidPrice bidQty askPrice "
    "askQty openPrice highPrice lowPrice volume quoteVolume openTime closeTime firstId lastId count"
)
MINI = "symbol openPrice highPrice lowPrice lastPrice volume quoteVolume openTime closeTime firstId lastId count"
ALL_SYMBOLS = 2


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("ping", ""),
        ("time", "serverTime"),
        ("exchangeInfo", "timezone serverTime rateLimits exchangeFilters symbols sors"),
        ("depth?symbol=BTCUSDT", "lastUpdateId bids asks"),
        ("avgPrice?symbol=BTCUSDT", "mins price closeTime"),
        ("ticker/24hr?symbol=BTCUSDT", FULL_DAY),
        ("ticker/24hr?symbol=BTCUSDT&type=MINI", MINI),
        ("ticker?symbol=BTCUSDT&type=MINI", MINI),
        ("ticker/tradingDay?symbol=BTCUSDT&type=MINI", MINI),
        ("ticker/price?symbol=BTCUSDT", "symbol price"),
        ("ticker/bookTicker?symbol=BTCUSDT", "symbol bidPrice bidQty askPrice askQty"),
    ],
)
def test_objects_have_the_documented_keys_in_order(rest: Rest, name: str, keys: str) -> None:
    assert list(ask(rest, name)[0]) == keys.split()


@pytest.mark.parametrize("name", ["ticker", "ticker/tradingDay"])
def test_full_window_tickers_are_mini_ones_and_the_change(rest: Rest, name: str) -> None:
    wanted = {*MINI.split(), "priceChange", "priceChangePercent", "weightedAvgPrice"}
    assert ask(rest, f"{name}?symbol=BTCUSDT")[0].keys() == wanted


def test_lists_have_the_documented_rows(rest: Rest) -> None:
    trade = ask(rest, "trades?symbol=BTCUSDT&limit=1")[0][0]
    assert list(trade) == ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"]
    assert list(ask(rest, "aggTrades?symbol=BTCUSDT&limit=1")[0][0]) == ["a", "p", "q", "f", "l", "T", "m", "M"]
    for name in ("klines", "uiKlines"):
        row = ask(rest, f"{name}?symbol=BTCUSDT&interval=1m&limit=1")[0][0]
        assert [type(cell) for cell in row] == [int, *[str] * 5, int, str, int, *[str] * 3]


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("ping", 1), ("time", 1), ("exchangeInfo", 20),
        ("depth?symbol=BTCUSDT&limit=100", 5), ("depth?symbol=BTCUSDT&limit=101", 25),
        ("depth?symbol=BTCUSDT&limit=1000", 50), ("depth?symbol=BTCUSDT&limit=9999", 250),
        ("trades?symbol=BTCUSDT", 25), ("historicalTrades?symbol=BTCUSDT", 25), ("aggTrades?symbol=BTCUSDT", 4),
        ("klines?symbol=BTCUSDT&interval=1m", 2), ("avgPrice?symbol=BTCUSDT", 2),
        ("ticker/24hr?symbol=BTCUSDT", 2), ("ticker/24hr?symbols=%5B%22BTCUSDT%22%5D", 2), ("ticker/24hr", 80),
        ("ticker/price?symbol=BTCUSDT", 2), ("ticker/price", 4), ("ticker/bookTicker", 4),
        ("ticker?symbol=BTCUSDT", 4), ("ticker?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D", 8),
    ],
)  # fmt: skip
def test_each_call_costs_its_weight(rest: Rest, name: str, weight: int) -> None:
    assert ask(rest, name)[1] == weight


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nosuch", -1020),
        ("ping?x=1", -1101),
        ("depth?symbol=BTCUSDT&symbol=ETHUSDT", -1101),
        ("depth", -1102),
        ("depth?symbol=", -1102),
        ("klines?symbol=BTCUSDT", -1102),
        ("ticker", -1102),
        ("depth?symbol=btcusdt", -1100),
        ("depth?symbol=BTC/USDT", -1100),
        ("ticker/price?symbol=btcusdt", -1100),
        ("depth?symbol=BTCUSDT&limit=x", -1100),
        ("depth?symbol=BTCUSDT&limit=-1", -1100),
        ("ticker/price?symbols=BTCUSDT", -1100),
        ("ticker/price?symbols=%5B%5D", -1100),
        ("ticker/price?symbols=%5B1%5D", -1100),
        ("depth?symbol=BTCUSDT&limit=0", -1130),
        ("depth?symbol=BTCUSDT&limit=", -1105),
        ("depth?symbol=BTCUSDT&limit=99999999999999999999", -1108),
        ("depth?symbol=BTCUSDT&nope=1", -1104),
        ("klines?symbol=BTCUSDT&interval=7m", -1120),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=15", -1130),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=x", -1130),
        ("depth?symbol=NOPEUSDT", -1121),
        ("exchangeInfo?symbols=%5B%22BTCUSDT%22,%22NOPE%22%5D", -1121),
        ("depth?symbol=BTCUSDT&symbolStatus=OPEN", -1122),
        ("depth?symbol=BTCUSDT&symbolStatus=HALT", -1220),
        ("ticker/price?symbol=BTCUSDT&symbols=%5B%22ETHUSDT%22%5D", -1128),
        ("exchangeInfo?symbol=BTCUSDT&permissions=SPOT", -1128),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128),
        ("ticker?symbol=BTCUSDT&windowSize=60m", -1130),
        ("ticker?symbol=BTCUSDT&windowSize=8d", -1130),
        ("ticker/24hr?type=mini", -1139),
        ("ticker/price?symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D", -1151),
    ],
)
def test_each_fault_has_the_exchanges_code(rest: Rest, name: str, code: int) -> None:
    assert code_of(rest, name) == code


def test_a_bad_time_unit_is_refused_and_a_good_one_scales(rest: Rest) -> None:
    assert code_of(rest, "time", unit="second") == -1194
    assert ask(rest, "time", unit="microsecond")[0] == {"serverTime": NOW_MS * 1000}
    assert ask(rest, "time", unit="MICROSECOND")[0] == {"serverTime": NOW_MS * 1000}


def test_times_may_be_given_in_microseconds(rest: Rest) -> None:
    name = "klines?symbol=BTCUSDT&interval=1m&limit=3&startTime="
    start = NOW_MS - 600_000
    assert ask(rest, f"{name}{start}")[0] == ask(rest, f"{name}{start * 1000}")[0]


def test_one_symbol_is_an_object_and_several_are_an_array(rest: Rest) -> None:
    assert isinstance(ask(rest, "ticker/price?symbol=ETHUSDT")[0], dict)
    assert [row["symbol"] for row in ask(rest, "ticker/price?symbols=%5B%22ETHUSDT%22%5D")[0]] == ["ETHUSDT"]
    assert len(ask(rest, "ticker/bookTicker")[0]) == ALL_SYMBOLS
    assert ask(rest, "ticker/24hr?symbolStatus=HALT")[0] == [], "lists are filtered, silently"


def test_exchange_info_shows_filters_and_may_leave_permissions_out(rest: Rest) -> None:
    info = ask(rest, "exchangeInfo?symbol=BTCUSDT")[0]["symbols"][0]
    filters = {one["filterType"]: one for one in info["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert info["permissionSets"] == [["SPOT"]]
    assert "permissionSets" not in ask(rest, "exchangeInfo?symbol=BTCUSDT&showPermissionSets=false")[0]["symbols"][0]
    assert ask(rest, "exchangeInfo?permissions=MARGIN")[0]["symbols"] == []


def test_a_trading_day_is_cut_in_the_zone_asked_for(rest: Rest) -> None:
    day = ask(rest, "ticker/tradingDay?symbol=BTCUSDT&timeZone=8&type=MINI")[0]
    assert (day["openTime"] + 8 * 3_600_000) % 86_400_000 == 0
    assert day["closeTime"] == day["openTime"] + 86_399_999


def test_a_rolling_window_begins_on_a_full_minute(rest: Rest) -> None:
    window = ask(rest, "ticker?symbol=BTCUSDT&windowSize=5m")[0]
    assert window["openTime"] % 60_000 == 0
    assert 300_000 <= window["closeTime"] - window["openTime"] <= 359_999


NAMES = st.sampled_from(
    [
        "symbol",
        "symbols",
        "limit",
        "interval",
        "fromId",
        "startTime",
        "endTime",
        "timeZone",
        "type",
        "windowSize",
        "symbolStatus",
        "permissions",
        "x",
    ]
)
VALUES = st.sampled_from(
    [
        "BTCUSDT",
        "ETHUSDT",
        '["BTCUSDT"]',
        "1",
        "0",
        "1000",
        "1m",
        "1M",
        "3d",
        "MINI",
        "TRADING",
        str(NOW_MS),
        str(2**63 - 1),
        "-1",
        "1e3",
        "",
        "\x00",
        "é",
    ]
) | st.text(max_size=20)


@settings(max_examples=800, deadline=None)
@given(st.data())
def test_no_query_meets_anything_but_an_answer_or_an_exchange_error(rest: Rest, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(rest.endpoints)))
    pairs = data.draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    known = "&".join(f"{name}={quote(value)}" for name, value in [("symbol", "BTCUSDT"), *pairs])
    refused: list[ExchangeError] = []
    try:
        rest.answer(path, known, None, lambda weight: None)
    except ExchangeError as error:
        refused.append(error)
    assert all(error.status in (400, 404) for error in refused)
