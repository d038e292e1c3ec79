"""Futures' REST calls against a recorded and a generated perpetual at one instant: shapes, weights, errors."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_simulator.futures_markets import FuturesListing, FuturesMarkets
from market_simulator.spot_markets import SpotMarkets
from market_simulator.wire.errors import ExchangeError
from market_simulator.wire.rest import Rest

from .still import NOW_MS, Still

pytestmark = pytest.mark.unit

TAPES = Path(__file__).parents[2] / "tape"
BAR = "klines?symbol=BTCUSDT&interval=1m"


@pytest.fixture(scope="module")
def rest() -> Rest:
    spot = SpotMarkets(TAPES)
    markets = spot.make(1, ("BTCUSDT", "SOLUSDT"))
    futures: FuturesMarkets = FuturesListing(TAPES, spot.tapes).make(1, markets)
    return Rest(Still(markets), (Still(futures), futures.infos))


def ask(rest: Rest, name: str) -> tuple[Any, int]:
    """The answer and its weight."""
    spent: list[int] = []
    path, _, query = name.partition("?")
    path = path if path.startswith("/") else f"/fapi/v1/{path}"
    answer = rest.answer(path, query, None, spent.append)
    return orjson.loads(orjson.dumps(answer)), sum(spent)


DAY = (
    "symbol priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice highPrice lowPrice volume "
    "quoteVolume openTime closeTime firstId lastId count"
)
PREMIUM = "symbol markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate nextFundingTime time"
RATIO = "symbol longAccount longShortRatio shortAccount timestamp"
ROWS = "symbol=BTCUSDT&period=1h&limit=3"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("ping", ""), ("time", "serverTime"),
        ("exchangeInfo", "timezone serverTime futuresType rateLimits exchangeFilters assets symbols"),
        ("depth?symbol=BTCUSDT", "lastUpdateId E T bids asks"),
        ("ticker/24hr?symbol=SOLUSDT", DAY), ("ticker/price?symbol=SOLUSDT", "symbol price time"),
        ("/fapi/v2/ticker/price?symbol=BTCUSDT", "symbol price time"),
        ("ticker/bookTicker?symbol=BTCUSDT", "symbol bidPrice bidQty askPrice askQty time lastUpdateId"),
        ("premiumIndex?symbol=BTCUSDT", PREMIUM), ("openInterest?symbol=BTCUSDT", "openInterest symbol time"),
    ],
)  # fmt: skip
def test_objects_have_the_documented_keys(rest: Rest, name: str, keys: str) -> None:
    assert list(ask(rest, name)[0]) == keys.split()


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("trades?symbol=BTCUSDT&limit=3", "id price qty quoteQty time isBuyerMaker isRPITrade"),
        ("historicalTrades?symbol=BTCUSDT&limit=3", "id price qty quoteQty time isBuyerMaker isRPITrade"),
        ("aggTrades?symbol=BTCUSDT&limit=3", "a p q nq f l T m"),
        ("fundingRate?symbol=BTCUSDT&limit=3", "symbol fundingTime fundingRate markPrice rateType"),
        (f"/futures/data/openInterestHist?{ROWS}",
         "symbol sumOpenInterest sumOpenInterestValue CMCCirculatingSupply timestamp"),
        (f"/futures/data/globalLongShortAccountRatio?{ROWS}", RATIO),
        (f"/futures/data/topLongShortAccountRatio?{ROWS}", RATIO),
        (f"/futures/data/topLongShortPositionRatio?{ROWS}", RATIO),
        (f"/futures/data/takerlongshortRatio?{ROWS}", "buySellRatio sellVol buyVol timestamp"),
        ("/futures/data/basis?pair=BTCUSDT&contractType=PERPETUAL&period=1h&limit=3",
         "indexPrice contractType basisRate futuresPrice annualizedBasisRate basis pair timestamp"),
    ],
)  # fmt: skip
def test_lists_have_the_documented_rows_oldest_first(rest: Rest, name: str, keys: str) -> None:
    rows = ask(rest, name)[0]
    assert [list(row) for row in rows] == [keys.split()] * 3
    for order in ("id", "a", "timestamp", "fundingTime"):
        if order in rows[0]:
            assert sorted(row[order] for row in rows) == [row[order] for row in rows]


@pytest.mark.parametrize(
    "name",
    [
        BAR, "continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m",
        "indexPriceKlines?pair=BTCUSDT&interval=1m", "markPriceKlines?symbol=BTCUSDT&interval=1m",
        "premiumIndexKlines?symbol=BTCUSDT&interval=1m",
    ],
)  # fmt: skip
def test_bars_have_twelve_cells_each(rest: Rest, name: str) -> None:
    rows = ask(rest, f"{name}&limit=5")[0]
    assert len(rows) == 5
    assert [type(cell) for cell in rows[0]] == [int, *[str] * 5, int, str, int, *[str] * 3]


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("ping", 1), ("exchangeInfo", 1), ("depth?symbol=BTCUSDT&limit=50", 2), ("depth?symbol=BTCUSDT&limit=100", 5),
        ("depth?symbol=BTCUSDT", 10), ("depth?symbol=BTCUSDT&limit=1000", 20), ("trades?symbol=BTCUSDT", 5),
        ("historicalTrades?symbol=BTCUSDT", 200), ("aggTrades?symbol=BTCUSDT", 20), (f"{BAR}&limit=99", 1),
        (f"{BAR}&limit=100", 2), (BAR, 5), (f"{BAR}&limit=1500", 10), ("premiumIndex?symbol=BTCUSDT", 1),
        ("premiumIndex", 10), ("fundingRate", 0), ("fundingInfo", 0), ("openInterest?symbol=BTCUSDT", 1),
        ("ticker/24hr?symbol=BTCUSDT", 1), ("ticker/24hr", 40), ("ticker/price", 2), ("ticker/bookTicker", 5),
        (f"/futures/data/openInterestHist?{ROWS}", 0),
    ],
)  # fmt: skip
def test_each_call_costs_its_weight(rest: Rest, name: str, weight: int) -> None:
    assert ask(rest, name)[1] == weight


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nosuch", -1020), ("ping?x=1", -1101), ("depth", -1102), ("depth?symbol=btcusdt", -1100),
        ("depth?symbol=NOPEUSDT", -1121), ("depth?symbol=BTCUSDT&limit=7", -4021),
        ("depth?symbol=BTCUSDT&limit=5000", -4021), ("trades?symbol=BTCUSDT&limit=1001", -1130),
        ("trades?symbol=BTCUSDT&limit=0", -1130), ("historicalTrades?symbol=BTCUSDT&limit=501", -1130),
        (f"{BAR}&limit=1501", -1130), ("klines?symbol=BTCUSDT&interval=1s", -1120),
        (f"{BAR}&startTime=2&endTime=1", -1023), ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128),
        ("aggTrades?symbol=BTCUSDT&startTime=1&endTime=3600001", -1127),
        ("continuousKlines?pair=BTCUSDT&contractType=NOPE&interval=1m", -1130),
        ("continuousKlines?pair=BTCUSDT&interval=1m", -1102), ("premiumIndex?symbol=NOPE", -1121),
        ("/futures/data/openInterestHist?symbol=BTCUSDT", -1102),
        ("/futures/data/openInterestHist?symbol=BTCUSDT&period=1m", -1130),
        (f"/futures/data/openInterestHist?{ROWS}1", 0), (f"/futures/data/openInterestHist?{ROWS}000", -1130),
        ("/futures/data/openInterestHist?symbol=BTCUSDT&period=1h&startTime=1", -1130),
    ],
)  # fmt: skip
def test_each_fault_has_the_exchanges_code(rest: Rest, name: str, code: int) -> None:
    if code == 0:
        assert len(ask(rest, name)[0]) == 31, "within the limit"
        return
    with pytest.raises(ExchangeError) as caught:
        ask(rest, name)
    assert caught.value.code == code


def test_exchange_info_shows_the_filters_of_futures(rest: Rest) -> None:
    info = ask(rest, "exchangeInfo")[0]["symbols"][0]
    filters = {one["filterType"]: one for one in info["filters"]}
    assert (info["symbol"], info["contractType"], info["marginAsset"]) == ("BTCUSDT", "PERPETUAL", "USDT")
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["MIN_NOTIONAL"]["notional"] == "100"


def test_the_list_reaches_back_30_days_and_trades_48_hours(rest: Rest) -> None:
    rows = ask(rest, "aggTrades?symbol=BTCUSDT&startTime=1700000000000&limit=1")[0]
    assert rows[0]["T"] >= NOW_MS - 48 * 3_600_000


NAMES = st.sampled_from(
    ["symbol", "pair", "limit", "interval", "fromId", "startTime", "endTime", "period", "contractType", "x"]
)
VALUES = st.sampled_from(
    ["BTCUSDT", "SOLUSDT", "NOPE", "1", "0", "5", "500", "1m", "1M", "1h", "PERPETUAL", str(NOW_MS), str(2**63 - 1),
     "-1", "1e3", "", "\x00", "é"]
) | st.text(max_size=20)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_no_query_meets_anything_but_an_answer_or_an_exchange_error(rest: Rest, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path in rest.endpoints if path.startswith("/f"))))
    pairs = data.draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    first = data.draw(st.sampled_from([[], [("symbol", "BTCUSDT")], [("pair", "BTCUSDT")]]))
    query = "&".join(f"{name}={quote(value)}" for name, value in [*first, *pairs])
    refused: list[ExchangeError] = []
    try:
        rest.answer(path, query, None, lambda weight: None)
    except ExchangeError as error:
        refused.append(error)
    assert all(error.status in (400, 404) for error in refused)
