"""Paper orders from a client's view: they fill, rest, move the session's book and trades, and nobody else's."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.api]


class Trader:
    """A session and short ways to its orders."""

    def __init__(self, simulator: Any, **body: Any) -> None:
        answer = requests.post(f"{simulator.base_url}/sim/session", json={"limits": False, **body}, timeout=10)
        assert answer.status_code == 200, answer.text
        self.id, path = (answer.json()["data"][name] for name in ("id", "path"))
        self.market = type(simulator)(simulator.process)
        self.market.base_url, self.market.ws_url = simulator.base_url + path, simulator.ws_url + path

    def post(self, **body: Any) -> requests.Response:
        return requests.post(f"{self.market.base_url}/sim/order", json={"symbol": "BTCUSDT", **body}, timeout=10)

    def place(self, **body: Any) -> Any:
        answer = self.post(**body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def cancel(self, order: Any) -> requests.Response:
        return requests.delete(f"{self.market.base_url}/sim/order/{order['symbol']}/{order['id']}", timeout=10)

    def order(self, id: int) -> Any:
        return self.market.get(f"/sim/order/BTCUSDT/{id}").json()["data"]

    def list(self, what: str, **query: str) -> Any:
        return self.market.get(f"/sim/{what}", **query).json()["data"]


@pytest.fixture(scope="module")
def process() -> Iterator[ServiceProcess]:
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as process:
        yield process


@pytest.fixture
def trader(process: ServiceProcess, simulator: Any) -> Iterator[Trader]:
    one = Trader(type(simulator)(process))
    yield one
    one.market.close_sockets()
    requests.delete(f"{process.base_url}/sim/session/{one.id}", timeout=10)


def test_a_market_order_takes_the_asks_and_its_fills_are_trades_of_the_session(trader: Trader) -> None:
    socket = trader.market.socket("/ws/btcusdt@trade")
    socket.receive()
    best = float(trader.market.api("depth", symbol="BTCUSDT", limit=5)["asks"][0][0])
    order = trader.place(side="BUY", type="MARKET", quantity="0.5")
    assert order["status"] == "FILLED"
    assert order["filled"] == order["quantity"] == "0.50000000"
    assert float(order["average_price"]) >= best * 0.999
    assert float(order["fees"]) == pytest.approx(float(order["quote"]) * 0.001)
    fill = order["fills"][0]
    told = socket.wait_for(lambda frame: frame["t"] == fill["trade_id"])
    assert (told["p"], told["q"], told["m"]) == (fill["price"], fill["quantity"], False)
    trades = trader.market.api("historicalTrades", symbol="BTCUSDT", fromId=fill["trade_id"], limit=1)
    assert trades[0]["qty"] == fill["quantity"]
    assert [one["trade_id"] for one in trader.list("fills")] == [one["trade_id"] for one in order["fills"]]


def test_a_limit_order_rests_in_the_book_and_leaves_it_when_cancelled(trader: Trader) -> None:
    price = f"{float(trader.market.api('depth', symbol='BTCUSDT', limit=5)['bids'][0][0]) * 0.9:.2f}"
    order = trader.place(side="BUY", type="LIMIT", quantity="3.21", price=price)
    assert (order["status"], order["filled"], order["average_price"]) == ("NEW", "0.00000000", None)

    def at_price() -> float:
        bids = trader.market.api("depth", symbol="BTCUSDT", limit=5000)["bids"]
        return sum(float(quantity) for level, quantity in bids if float(level) == float(price))

    wait_until(lambda: at_price() >= 3.21, 10)
    assert [one["id"] for one in trader.list("orders", status="open")] == [order["id"]]
    assert trader.cancel(order).json()["data"]["status"] == "CANCELED"
    wait_until(lambda: at_price() < 3.21, 10)
    assert trader.list("orders", status="open") == []
    assert trader.cancel(order).status_code == 409


def test_a_resting_order_is_filled_by_the_market_though_nobody_listens(process: ServiceProcess, simulator: Any) -> None:
    trader = Trader(type(simulator)(process), speed=50)
    placed: list[Any] = []

    def rests() -> bool:
        """At this speed the market may fall below the price meanwhile: then the order takes, and is no maker."""
        best = trader.market.api("depth", symbol="BTCUSDT", limit=5)["bids"][0][0]
        placed.append(trader.place(side="BUY", type="LIMIT", quantity="0.001", price=f"{float(best) - 5:.2f}"))
        return bool(placed[-1]["status"] == "NEW")

    wait_until(rests, 20)
    order = placed[-1]
    wait_until(lambda: trader.order(order["id"])["status"] == "FILLED", 20)
    fills = trader.order(order["id"])["fills"]
    assert all(fill["is_maker"] and float(fill["price"]) <= float(order["price"]) for fill in fills)


def test_orders_are_the_sessions_own(trader: Trader, process: ServiceProcess, simulator: Any) -> None:
    other = Trader(type(simulator)(process))
    trader.place(side="SELL", type="MARKET", quantity="0.01")
    assert other.list("orders") == other.list("fills") == []


def test_the_services_own_market_takes_no_orders(process: ServiceProcess) -> None:
    body = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    answer = requests.post(f"{process.base_url}/sim/order", json=body, timeout=10)
    assert answer.status_code == 409
    assert "/sim/session" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"side": "HOLD"}, "side"),
        ({"type": "STOP"}, "type"),
        ({"symbol": "NOPE"}, "symbol"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "0.000001"}, "quantity"),
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": 1}, "quantity"),
        ({"quantity": "1e3"}, "quantity"),
        ({"quantity": "9999999"}, "quantity"),
        ({"price": "60000"}, "price"),
        ({"type": "LIMIT"}, "price"),
        ({"type": "LIMIT", "price": "60000.001"}, "price"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_order_is_422_and_names_the_field(trader: Trader, body: dict[str, Any], field: str) -> None:
    answer = trader.post(**{"side": "BUY", "type": "MARKET", "quantity": "1", **body})
    assert answer.status_code == 422, answer.text
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == [field]


def test_what_is_not_there_is_404(trader: Trader) -> None:
    for path in ("/sim/order/BTCUSDT/7", "/sim/order/NOPE/1", "/sim/orders?symbol=NOPE", "/sim/order/BTCUSDT/x"):
        answer = trader.market.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
