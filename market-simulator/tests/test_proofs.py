"""The proofs of simulator.md, as a client sees them: one book, one tape, over a seam too."""

import json
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import pytest

from shared.testing.net import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.websocket]


class Book:
    """A client's book, built as binance-wire.md 5 says: events from the socket, one snapshot by REST."""

    def __init__(self, snapshot: dict[str, Any]):
        self.id = snapshot["lastUpdateId"]
        self.sides = {"b": self._side(snapshot["bids"]), "a": self._side(snapshot["asks"])}
        self.applied = 0

    @staticmethod
    def _side(rows: list[list[str]]) -> dict[float, str]:
        return {float(price): quantity for price, quantity in rows}

    def apply(self, event: dict[str, Any]) -> None:
        if event["u"] <= self.id:
            return
        assert event["U"] == self.id + 1 or (self.applied == 0 and event["U"] <= self.id + 1), "a gap"
        for key, side in self.sides.items():
            for price, quantity in event[key]:
                if float(quantity) == 0:
                    side.pop(float(price), None)
                else:
                    side[float(price)] = quantity
        self.id = event["u"]
        self.applied += 1

    def top(self) -> tuple[float, str, float, str]:
        bid, ask = max(self.sides["b"]), min(self.sides["a"])
        return bid, self.sides["b"][bid], ask, self.sides["a"][ask]


class Followed(NamedTuple):
    """What was seen: updates applied and the first one's event time, tops compared, trade ids."""

    applied: int
    begun_ms: int
    compared: int
    trades: list[int]


def follow(simulator: Any, symbol: str, *, until_ms: int = 0, length_ms: int = 0) -> Followed:
    """Rebuild a book up to an event time, and for so long since its first update.

    Updates that the snapshot holds already don't count: on a busy machine it may come seconds after the first frame.
    """
    name = symbol.lower()
    socket = simulator.socket(f"/stream?streams={name}@depth@100ms/{name}@bookTicker/{name}@trade")
    early = [socket.wait_for(lambda frame: frame["stream"].endswith("@depth@100ms"))]
    book = Book(simulator.api("depth", symbol=symbol, limit=5000))
    tickers: dict[int, tuple[float, str, float, str]] = {}
    compared, trades, begun_ms = 0, [], 0
    while True:
        frame = early.pop() if early else socket.receive()
        data, kind = frame["data"], frame["stream"].partition("@")[2]
        if kind == "bookTicker":
            tickers[data["u"]] = float(data["b"]), data["B"], float(data["a"]), data["A"]
        elif kind == "trade":
            trades.append(data["t"])
        else:
            book.apply(data)
            begun_ms = begun_ms or (data["E"] if book.applied else 0)
            if (top := tickers.get(book.id)) is not None:
                assert book.top() == top, f"the book differs from bookTicker at u={book.id}"
                compared += 1
            assert book.top()[0] < book.top()[2], "the book is crossed"
            if begun_ms and data["E"] > max(until_ms, begun_ms + length_ms):
                return Followed(book.applied, begun_ms, compared, trades)


@pytest.mark.parametrize("symbol", ["ETHUSDT", "SOLUSDT"])
def test_a_rebuilt_book_equals_every_comparable_book_ticker(simulator: Any, symbol: str) -> None:
    applied, _, compared, trades = follow(simulator, symbol, length_ms=5000)
    assert applied >= 30
    assert compared > 0
    assert trades == list(range(trades[0], trades[0] + len(trades)))


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_the_same_holds_over_a_seam(start_simulator: Any, simulator: Any, symbol: str) -> None:
    seam_ms = simulator.status()["symbols"][symbol]["next_seam_at"]
    for start_up_s in (2, 10, 40):  # its time runs while it starts: a busy machine needs another try, further ahead
        # sim = S + 4 (now - S) stands 12 s before the seam when it has started: S = (4 now - sim) / 3
        start_s = (4 * (time.time() + start_up_s) - (seam_ms / 1000 - 12)) / 3
        start = datetime.fromtimestamp(start_s, UTC).isoformat()
        near = start_simulator({"SIM_SPEED": "4", "SIM_START": start, "SIM_LIMITS": "false"})
        applied, begun_ms, compared, trades = follow(near, symbol, until_ms=seam_ms + 8000)
        if begun_ms < seam_ms - 4000:
            break
    assert begun_ms < seam_ms - 4000, "the seam lay ahead"
    # An update every 100 ms, but for those that changed nothing: none is left out or joined, however late it is sent.
    assert applied > (seam_ms + 8000 - begun_ms) / 200
    assert compared > 10
    assert trades == list(range(trades[0], trades[0] + len(trades))), "trade ids are contiguous"
    assert near.status()["symbols"][symbol]["next_seam_at"] > seam_ms


def test_partial_depth_is_the_same_book(simulator: Any) -> None:
    socket = simulator.socket("/stream?streams=btcusdt@depth@100ms/btcusdt@depth20@100ms")
    early = [socket.wait_for(lambda frame: frame["stream"].endswith("depth@100ms"))]
    book, compared = Book(simulator.api("depth", symbol="BTCUSDT", limit=5000)), 0
    while compared < 10:
        frame = early.pop() if early else socket.receive()
        data = frame["data"]
        if "lastUpdateId" not in data:
            book.apply(data)
        elif data["lastUpdateId"] == book.id:
            bids = sorted(book.sides["b"].items(), reverse=True)[:20]
            assert [(float(price), quantity) for price, quantity in data["bids"]] == bids
            compared += 1


def test_the_one_second_depth_stream_leads_to_the_same_book(simulator: Any) -> None:
    socket = simulator.socket("/stream?streams=btcusdt@depth/btcusdt@depth@100ms")
    slow_frame = socket.wait_for(lambda frame: frame["stream"] == "btcusdt@depth")
    snapshot = simulator.api("depth", symbol="BTCUSDT", limit=5000)
    slow, fast = Book(snapshot), Book(snapshot)
    tops: dict[int, Any] = {}
    slow.apply(slow_frame["data"])
    compared = 0
    while compared < 3:
        frame = socket.receive()
        if frame["stream"] == "btcusdt@depth":
            slow.apply(frame["data"])
            if slow.applied and slow.id in tops:
                assert slow.top() == tops[slow.id]
                compared += 1
        else:
            if fast.applied or frame["data"]["U"] <= fast.id + 1:
                fast.apply(frame["data"])
            tops[fast.id] = fast.top()


@pytest.mark.parametrize("symbol", ["ETHUSDT", "BNBUSDT"])
def test_klines_and_tickers_agree_with_the_trades(simulator: Any, symbol: str) -> None:
    now = simulator.status()["now_ms"]
    minute = now // 60_000 * 60_000 - 60_000
    row = simulator.api("klines", symbol=symbol, interval="1m", startTime=minute, limit=1)[0]
    first = simulator.api("aggTrades", symbol=symbol, startTime=minute, endTime=minute + 59_999, limit=1)[0]["f"]
    trades: list[dict[str, Any]] = []
    while len(trades) < row[8]:
        trades += simulator.api("historicalTrades", symbol=symbol, fromId=first + len(trades), limit=1000)
    inside = trades[: row[8]]
    prices = [float(trade["price"]) for trade in inside]
    assert [float(cell) for cell in row[1:5]] == [prices[0], max(prices), min(prices), prices[-1]]
    assert float(row[5]) == pytest.approx(sum(float(trade["qty"]) for trade in inside), rel=1e-12)
    assert trades[row[8]]["time"] > minute + 59_999 if len(trades) > row[8] else True
    day = simulator.api("ticker/24hr", symbol=symbol)
    assert day["lastId"] - day["firstId"] + 1 == day["count"]
    newest = simulator.api("historicalTrades", symbol=symbol, fromId=day["lastId"], limit=1)[0]
    assert newest["price"] == day["lastPrice"]


def test_ids_and_history_survive_a_restart(start_simulator: Any) -> None:
    simulator = start_simulator({"SIM_LIMITS": "false"})
    before = simulator.api("historicalTrades", symbol="BTCUSDT", limit=5)
    simulator.process.restart()
    assert simulator.api("historicalTrades", symbol="BTCUSDT", fromId=before[0]["id"], limit=5) == before


def test_simulated_time_runs_by_its_speed_and_event_times_follow(start_simulator: Any) -> None:
    simulator = start_simulator({"SIM_SPEED": "20", "SIM_LIMITS": "false"})
    first = simulator.api("time")["serverTime"]
    wait_until(lambda: simulator.api("time")["serverTime"] >= first + 20_000, 5.0)
    before = simulator.api("time")["serverTime"]
    event = simulator.socket("/ws/btcusdt@trade").receive()
    assert before - 20_000 < event["E"] < simulator.api("time")["serverTime"] + 20_000


def test_a_snapshot_asked_for_while_streaming_never_runs_ahead_of_the_stream(simulator: Any) -> None:
    socket = simulator.socket("/ws/btcusdt@depth@100ms")
    seen: list[int] = []

    def read() -> None:
        while True:
            try:
                seen.append(json.loads(socket.ws.recv())["u"])
            except Exception:  # noqa: BLE001  # the socket was closed: the test is over
                return

    def reached(id: int) -> bool:
        return bool(seen) and max(seen) >= id

    threading.Thread(target=read, daemon=True).start()
    for _ in range(20):
        id = simulator.api("depth", symbol="BTCUSDT", limit=5)["lastUpdateId"]
        wait_until(partial(reached, id), 5.0, what="the update of the snapshot")
    socket.close()
