"""Alerts: each fires once, is heard by whoever has the token, and is kept while nobody is there."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import Conflict, InvalidInput, NotFound
from shared.testing.fakes import FakeClock
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from websocket_streaming.alert_conditions import Crosses, Moves, read_condition
from websocket_streaming.alerts import KEPT_S, MAX_OF_TOKEN, Alert, Alerts, read_alert, read_token
from websocket_streaming.ticks import Symbol

BTC, ETH = Symbol("spot", "BTCUSDT"), Symbol("spot", "ETHUSDT")
TOKEN = "a-token-of-mine"


class Desk:
    """Alerts and what was heard, by connection."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.heard: list[tuple[str, str]] = []
        self.alerts = Alerts(self.clock, lambda to, document: self.heard.append((to, document["name"])))

    def put(self, name: str, symbol: Symbol = BTC, level: float = 100.0, token: str = TOKEN) -> None:
        self.alerts.put(token, Alert(name, symbol, Crosses(level)))

    def prices(self, *prices: float) -> None:
        for price in prices:
            self.alerts.on_price(BTC, price)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("prices", "met"),
    [([99, 99.5, 100], [0, 0, 1]), ([101, 100.5, 99], [0, 0, 1]), ([99, 101], [0, 1]), ([100], [1]),
     ([101, 102], [0, 0])],
)  # fmt: skip
def test_a_level_is_crossed_from_whichever_side_the_price_was_on(prices: list[float], met: list[int]) -> None:
    condition = Crosses(100.0)
    assert [int(condition.is_met(price, 0.0)) for price in prices] == met


def test_a_move_is_measured_from_the_windows_lowest_and_highest_price() -> None:
    condition = Moves(2.0, 60.0)
    steps = [(0, 100.0), (10, 101.0), (20, 101.9), (80.5, 102.9), (90, 104.0)]
    assert [condition.is_met(price, now) for now, price in steps] == [False, False, False, False, False]
    assert condition.is_met(101.0, 95)
    assert condition.change_pct == pytest.approx(-2.88, abs=0.01)


def test_a_window_is_kept_in_a_bounded_number_of_parts() -> None:
    condition = Moves(50.0, 60.0)
    for tick in range(100_000):
        condition.is_met(100.0 + tick % 3, tick / 1000)
    assert len(condition._buckets) <= 62


def test_an_alert_fires_once_and_every_connection_of_its_token_hears_it(desk: Desk) -> None:
    desk.put("up")
    for connection in ("a", "b"):
        desk.alerts.attach(TOKEN, connection)
    desk.prices(99, 101, 99, 101)
    assert sorted(desk.heard) == [("a", "up"), ("b", "up")]
    assert desk.alerts.fired == 1


def test_what_fired_while_nobody_was_there_is_heard_once_by_the_next(desk: Desk) -> None:
    desk.put("up")
    desk.alerts.attach(TOKEN, "a")
    desk.alerts.detach("a")
    desk.prices(99, 101)
    assert desk.heard == []
    assert [alert.describe()["price"] for alert in desk.alerts.attach(TOKEN, "b")] == [101]
    desk.alerts.attach(TOKEN, "c")
    assert desk.heard == [("b", "up")]


def test_only_the_token_gives_access(desk: Desk) -> None:
    desk.put("up")
    assert desk.alerts.attach("another-token", "x") == []
    with pytest.raises(NotFound):
        desk.alerts.remove("another-token", "up")
    desk.prices(99, 101)
    assert desk.heard == []


def test_the_same_name_replaces_and_arms_anew(desk: Desk) -> None:
    desk.put("up", level=100)
    desk.put("up", level=200)
    desk.alerts.attach(TOKEN, "a")
    desk.prices(99, 101)
    assert desk.heard == []
    desk.prices(201)
    desk.put("up", level=100)
    desk.prices(201, 99)
    assert desk.heard == [("a", "up")] * 2


def test_a_removed_alert_does_not_fire_and_its_symbol_is_let_go(desk: Desk) -> None:
    desk.put("up")
    desk.put("eth", ETH)
    desk.alerts.remove(TOKEN, "up")
    desk.prices(99, 101)
    assert desk.alerts.symbols(TOKEN) == {ETH}
    assert desk.heard == []


def test_a_token_has_its_bound_and_is_forgotten_after_a_day(desk: Desk) -> None:
    for number in range(MAX_OF_TOKEN):
        desk.put(f"n{number}")
    with pytest.raises(Conflict):
        desk.put("one more")
    desk.alerts.attach(TOKEN, "a")
    desk.clock.advance(KEPT_S + 1)
    desk.alerts.expire()
    assert len(desk.alerts.attach(TOKEN, "a")) == MAX_OF_TOKEN, "somebody is there"
    desk.alerts.detach("a")
    desk.clock.advance(KEPT_S + 1)
    desk.alerts.expire()
    assert desk.alerts.attach(TOKEN, "a") == []


@pytest.mark.parametrize(
    ("payload", "field"),
    [({}, "crosses"), ({"crosses": 1, "move_pct": 1}, "crosses"), ({"crosses": "1"}, "crosses"),
     ({"crosses": float("nan")}, "crosses"), ({"crosses": 0}, "crosses"), ({"move_pct": -1}, "move_pct"),
     ({"move_pct": 1, "window_s": 99_999}, "window_s"), ({"move_pct": True}, "move_pct"),
     ({"crosses": 1, "window_s": 60}, "window_s")],
)  # fmt: skip
def test_a_wrong_condition_names_the_field(payload: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_condition(payload)
    assert refused.value.details[0]["field"] == field


@pytest.mark.parametrize("payload", [None, {}, {"token": "short"}, {"token": 5}, {"token": "a b c d e f g h"}])
def test_a_wrong_token_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidInput):
        read_token(payload)
    with pytest.raises(InvalidInput):
        read_alert({"name": "a b", "crosses": 1}, BTC)


@pytest.mark.integration
@pytest.mark.websocket
def test_an_alert_outlives_its_connection_and_holds_its_price_open(
    streaming: ServiceProcess, connect: Callable[..., Any]
) -> None:
    client = connect(streaming.base_url)
    client.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
    price = client.wait("price_update")["price"]
    wish = {"token": TOKEN, "symbol": "btcusdt", "name": "far", "crosses": price * 2}
    assert client.ask("alert", wish, "alert_set")["fired"] is False
    near = {"token": TOKEN, "symbol": "DOGEUSDT", "name": "near", "move_pct": 1e-9, "window_s": 60}
    client.ask("alert", near, "alert_set")
    fired = client.wait("alert")
    assert (fired["name"], fired["symbol"], fired["fired"]) == ("near", "DOGEUSDT", True)
    assert fired["price"] > 0
    client.close()
    again = connect(streaming.base_url)
    listed = again.ask("alerts", {"token": TOKEN}, "alerts")["alerts"]
    assert {alert["name"]: alert["fired"] for alert in listed} == {"far": False, "near": True}
    assert again.data("alert") == [], "it was heard"
    wait_until(lambda: "DOGEUSDT" not in streaming.get("/symbols")["data"]["active_symbols"], what="let go")
    assert again.ask("alert_remove", {"token": TOKEN, "name": "far"}, "alert_removed") == {"name": "far"}
    assert again.ask("alert_remove", {"token": TOKEN, "name": "far"}, "error")["code"] == "not_found"
    assert again.ask("alert", {**wish, "symbol": "NOPE"}, "error")["code"] == "unknown_symbol"


@pytest.mark.integration
@pytest.mark.websocket
@pytest.mark.parametrize(
    ("event", "change", "field", "allowed"),
    [
        ("alert", {"token": 5}, "token", "8 to 64"), ("alert", {"symbol": None}, "symbol", "BTCUSDT"),
        ("alert", {"symbol": "NOPE"}, "symbol", "NOPE"), ("alert", {"market": "moon"}, "market", "spot, futures"),
        ("alert", {"name": ""}, "name", "1 to 64"), ("alert", {"crosses": -1}, "crosses", "over 0"),
        ("alert", {"symbols": ["BTCUSDT"]}, "symbols", "token, name, symbol, market, crosses, move_pct, window_s"),
        ("alert_remove", {}, "symbol", "token, name"), ("alerts", {}, "name", "token"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_alert_is_named_with_what_is_allowed_and_nothing_is_set(
    streaming: ServiceProcess, connect: Callable[..., Any], event: str, change: dict[str, Any], field: str, allowed: str
) -> None:
    client = connect(streaming.base_url)
    right = {"token": "a-token-of-wrongs", "symbol": "BTCUSDT", "name": "wrong", "crosses": 1}
    error = client.ask(event, right | change, "error")
    details = {detail["field"]: detail["message"] for detail in error["details"]}
    assert allowed in details[field]
    assert client.ask("alerts", {"token": "a-token-of-wrongs"}, "alerts") == {"alerts": []}


@pytest.mark.integration
@pytest.mark.websocket
def test_an_alert_that_is_no_object_is_refused(streaming: ServiceProcess, connect: Callable[..., Any]) -> None:
    client = connect(streaming.base_url)
    for payload in (None, ["token"], "token"):
        assert client.ask("alert", payload, "error")["details"][0]["field"] == "payload"
