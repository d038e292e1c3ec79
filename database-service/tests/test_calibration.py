"""Calibration: what counts as right, the figures against known ones, by given prices and by a market's."""

import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database_service.calibration import Claim, GivenPrices, PricePoint, band_of, calibrate, is_right, wilson
from database_service.config import DatabaseSettings
from database_service.prices import market as market_module
from shared.clock import to_iso
from shared.testing.http_server import HttpServer, Reply

from .client import NOW, SIGNAL, Client, running, settings_for

T0 = NOW - timedelta(hours=30)
HOUR = timedelta(hours=1)
PATH = "/signals/calibration"


def claim(signal_type: str = "BUY", confidence: float = 0.85, **other: Any) -> Claim:
    values: dict[str, Any] = {"symbol": "BTCUSDT", "price": 100.0, "timestamp": T0, "strategy": None} | other
    return Claim(signal_type=signal_type, confidence=confidence, **values)


def given_at(**prices: float) -> GivenPrices:
    """given_at(h1=101): prices so many hours after T0."""
    points = [("BTCUSDT", PricePoint(T0 + int(name[1:]) * HOUR, price)) for name, price in prices.items()]
    return GivenPrices(points, timedelta(minutes=5))


# --- definitions


@pytest.mark.unit
@pytest.mark.parametrize(
    ("signal_type", "later", "right"),
    [
        ("BUY", 100.1, True), ("BUY", 100.0, False), ("BUY", 99.9, False),
        ("SELL", 99.9, True), ("SELL", 100.0, False), ("SELL", 100.1, False),
        ("HOLD", 100.4, True), ("HOLD", 99.6, True), ("HOLD", 100.0, True),
        ("HOLD", 100.6, False), ("HOLD", 99.4, False),
    ],
)  # fmt: skip
def test_what_right_means(signal_type: str, later: float, right: bool) -> None:
    assert is_right(signal_type, 100.0, later) is right


@pytest.mark.unit
def test_every_confidence_has_its_band() -> None:
    wanted = {0.65: 0, 0.699: 0, 0.7: 1, 0.8: 2, 0.899: 2, 0.9: 3, 1.0: 3}
    assert {confidence: band_of(confidence) for confidence in wanted} == wanted


@pytest.mark.unit
@pytest.mark.parametrize(
    ("right", "judged", "low", "high"),
    [(8, 10, 49.02, 94.33), (0, 10, 0.0, 27.75), (10, 10, 72.25, 100.0), (1, 1, 20.65, 100.0), (81, 263, 25.53, 36.62)],
)
def test_wilsons_interval_is_the_published_one(right: int, judged: int, low: float, high: float) -> None:
    """81 of 263 is the example of Newcombe, Statistics in Medicine 17 (1998), table I."""
    assert wilson(right, judged) == pytest.approx([low, high], abs=0.005)


@pytest.mark.unit
@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_bounds_solve_his_equation(pair: tuple[int, int]) -> None:
    """(share − p)² = z² p (1 − p) / n, solved independently of the closed form."""
    right, judged = pair
    for bound in wilson(right, judged) or []:
        p = bound / 100
        assert (right / judged - p) ** 2 == pytest.approx(1.959963984540054**2 * p * (1 - p) / judged, abs=1e-9)


@pytest.mark.unit
def test_the_figures_of_a_band_by_hand() -> None:
    """Confidence 0.8 right, 0.8 right, 0.85 wrong: Brier (0.04 + 0.04 + 0.7225) / 3."""
    claims = [claim(confidence=0.8), claim(confidence=0.8), claim("SELL", 0.85)]
    found = calibrate(claims, given_at(h1=101.0), NOW)["horizons"]["1h"]
    band = found["bands"][2]
    assert (band["from"], band["to"], band["judged"], band["right"]) == (0.8, 0.9, 3, 2)
    assert band["hit_rate"] == pytest.approx(200 / 3)
    assert band["mean_confidence"] == pytest.approx(2.45 / 3)
    assert band["brier"] == found["brier"] == pytest.approx(0.8025 / 3)
    assert found["bands"][0] == {
        "from": 0.65, "to": 0.7, "judged": 0, "right": 0, "hit_rate": None, "interval": None,
        "mean_confidence": None, "brier": None,
    }  # fmt: skip


@pytest.mark.unit
def test_each_horizon_is_judged_by_its_own_price() -> None:
    found = calibrate([claim()], given_at(h1=101.0, h4=99.0), NOW)["horizons"]
    assert [(found[h]["judged"], found[h]["right"], found[h]["unpriced"]) for h in ("1h", "4h", "24h")] == [
        (1, 1, 0), (1, 0, 0), (0, 0, 1),
    ]  # fmt: skip


@pytest.mark.unit
def test_what_claims_nothing_or_is_too_young_is_not_judged() -> None:
    claims = [claim("CLOSE"), claim(confidence=0.64), claim(timestamp=NOW - 2 * HOUR)]
    found = calibrate(claims, GivenPrices([], HOUR), NOW)
    assert found["signals"] == 1
    horizons = found["horizons"].values()
    assert [(h["judged"], h["unpriced"], h["too_young"]) for h in horizons] == [(0, 1, 0), (0, 0, 1), (0, 0, 1)]


@pytest.mark.unit
def test_strategies_are_counted_apart() -> None:
    claims = [claim(strategy="rsi"), claim("SELL", strategy="rsi"), claim(strategy="ema"), claim()]
    found = calibrate(claims, given_at(h1=101.0), NOW)
    rates = {name: one["horizons"]["1h"]["hit_rate"] for name, one in found["by_strategy"].items()}
    assert rates == {"rsi": 50.0, "ema": 100.0}
    assert (found["signals"], found["horizons"]["1h"]["judged"]) == (4, 4)


@pytest.mark.unit
def test_a_given_price_holds_until_it_is_too_old_and_never_before() -> None:
    prices = GivenPrices([("A", PricePoint(T0, 1.0)), ("A", PricePoint(T0 - HOUR, 2.0))], timedelta(minutes=5))
    minute = timedelta(minutes=1)
    wanted = {T0: 1.0, T0 + 5 * minute: 1.0, T0 + 6 * minute: None, T0 - minute: None, T0 - 57 * minute: 2.0}
    assert {moment: prices.at("A", moment) for moment in wanted} == wanted
    assert prices.at("B", T0) is None


# --- by given prices, over the service


def save(client: Client, *rows: dict[str, Any]) -> None:
    signals = [SIGNAL | {"price": 100.0, "timestamp": to_iso(T0)} | row for row in rows]
    assert client.post("/signals/batch", signals)["stored"] == len(rows)


def points(**prices: float) -> list[dict[str, Any]]:
    return [
        {"symbol": "btcusdt", "timestamp": to_iso(T0 + int(name[1:]) * HOUR), "price": price}
        for name, price in prices.items()
    ]


@pytest.mark.api
def test_given_prices_judge_the_signals_of_the_filter(client: Client) -> None:
    save(client, {"strategy": "rsi"}, {"signal_type": "SELL", "confidence": 0.7}, {"confidence": 0.5, "strategy": "no"})
    data = client.post(PATH, {"prices": points(h1=101.0)})["data"]
    assert (data["signals"], data["complete"], data["source"]) == (2, True, "database")
    assert data["horizons"]["1h"]["hit_rate"] == 50.0
    assert [band["judged"] for band in data["horizons"]["1h"]["bands"]] == [0, 1, 1, 0]
    assert list(data["by_strategy"]) == ["rsi"]
    only = client.post(f"{PATH}?strategy=rsi", {"prices": points(h1=99.0, h4=101.0), "max_age_s": 60})["data"]
    assert (only["signals"], only["horizons"]["1h"]["right"], only["horizons"]["4h"]["right"]) == (1, 0, 1)


@pytest.mark.api
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prices"),
        ({"prices": []}, "prices"),
        ({"prices": [{"symbol": "A", "timestamp": "2025-11-01T00:00:00Z", "price": 0}]}, "prices.0.price"),
        ({"prices": points(h1=1.0), "max_age_s": 0}, "max_age_s"),
    ],
)
def test_wrong_prices_are_named(client: Client, body: Any, field: str) -> None:
    assert client.refused(422, "POST", PATH, body)["fields"] == [field]


@pytest.mark.api
def test_without_signals_everything_is_zero_or_null(memory_client: Client) -> None:
    data = memory_client.post(PATH, {"prices": points(h1=1.0)})["data"]
    assert (data["signals"], data["horizons"]["24h"]["hit_rate"], data["by_strategy"]) == (0, None, {})


# --- by the market


class Exchange:
    """Answers klines: the open of each minute is its number of minutes after T0, plus 100. Knows two symbols."""

    status = 200

    def __call__(self, request: BaseHTTPRequestHandler) -> Reply | None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        if self.status != 200:
            return self.status, {"Retry-After": "7"}, b'{"code":-1003,"msg":"too much"}'
        if query["symbol"] not in {"BTCUSDT", "ETHUSDT"}:
            return 400, {}, b'{"code":-1121,"msg":"Invalid symbol."}'
        start, end = int(query["startTime"]), int(query["endTime"])
        zero = int(T0.timestamp() * 1000)
        bars = [[at, str(100 + (at - zero) / 60_000)] for at in range(start, end, 60_000)]
        return 200, {"Content-Type": "application/json"}, json.dumps(bars[: int(query["limit"])]).encode()


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def server(exchange: Exchange) -> Iterator[HttpServer]:
    with HttpServer(exchange) as serving:
        yield serving


@pytest.fixture
def asking(embedded: DatabaseSettings, server: HttpServer) -> Iterator[Client]:
    """The service beside an exchange."""
    yield from running(settings_for(embedded.VAR_DIR, MARKET="binance", BINANCE_REST_URL=server.url))


@pytest.mark.api
def test_the_markets_prices_judge_and_are_asked_once(asking: Client, server: HttpServer) -> None:
    """Prices rise from 100 at T0, so a BUY at 100 is right and a SELL wrong."""
    save(asking, {}, {"signal_type": "SELL"}, {"symbol": "BTC/USDT", "price": 1e6}, {"symbol": "ETHUSDT"})
    data = asking.get(PATH)["data"]
    assert [data["horizons"][h]["right"] for h in ("1h", "4h", "24h")] == [2, 2, 2]
    assert [data["horizons"][h]["judged"] for h in ("1h", "4h", "24h")] == [4, 4, 4]
    assert data["complete"] is True
    asked = len(server.asked)
    assert asked <= 6  # 24 h lie in two or three blocks of 1,000 minutes, for two symbols
    assert asking.get(PATH)["data"] == data
    assert len(server.asked) <= asked + 2  # only the block that is not over yet


@pytest.mark.api
def test_a_symbol_that_the_market_does_not_know_is_unpriced(asking: Client, server: HttpServer) -> None:
    save(asking, {"symbol": "NOSUCH"}, {"symbol": "日本"}, {})
    data = asking.get(PATH)["data"]
    assert (data["horizons"]["1h"]["judged"], data["horizons"]["1h"]["unpriced"], data["complete"]) == (1, 2, True)
    assert sum("NOSUCH" in path for path in server.asked) == 1


@pytest.mark.api
def test_a_market_that_refuses_is_503_or_429_with_when_to_retry(asking: Client, exchange: Exchange) -> None:
    save(asking, {})
    exchange.status = 429
    answer = asking.send("GET", PATH)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


@pytest.mark.api
def test_no_more_is_asked_than_the_bound_and_the_answer_says_so(
    asking: Client, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_module, "MAX_CALLS", 2)
    save(asking, *({"timestamp": to_iso(T0 - day * 24 * HOUR)} for day in range(10)))
    data = asking.get(PATH)["data"]
    assert (len(server.asked), data["complete"]) == (2, False)
    assert data["horizons"]["1h"]["judged"] + data["horizons"]["1h"]["unpriced"] == 10
    for _ in range(10):
        asking.get(PATH)
    data = asking.get(PATH)["data"]  # what one call fetched, the next one has
    assert data["complete"] is True


@pytest.mark.unit
def test_an_auto_market_follows_the_fleets_verdict(tmp_path: Any) -> None:
    settings = settings_for(tmp_path, MARKET="auto", SIMULATOR_URL="http://127.0.0.1:1")
    from shared.testing.fakes import FakeClock

    assert market_module.market_client(settings, FakeClock())._urls["spot"] is None
    (tmp_path / "market.json").write_text('{"venue": "simulator"}')
    assert market_module.market_client(settings, FakeClock())._urls["spot"] == "http://127.0.0.1:1"
