"""Futures from a client's view: routes, what each stream carries, and one book under all of it, over a seam too."""

import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
import websocket

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

DEPTH = "e E T s U u pu b a ps st"
PUBLIC = {
    "bookTicker": "e u E T s b B a A ps st", "depth": DEPTH, "depth@100ms": DEPTH, "depth@500ms": DEPTH,
    "depth5": DEPTH, "depth20@100ms": DEPTH,
}  # fmt: skip
MARKET = {
    "trade": "e E T s t p q X m",
    "aggTrade": "e E s a p q nq f l T m st",
    "kline_1m": "e E s k",
    "markPrice": "e E s p i P r ap T st",
    "markPrice@1s": "e E s p i P r ap T st",
    "miniTicker": "e E s c o h l v q ps st",
    "ticker": "e E s p P w c Q o h l v q O C F L n ps st",
}


def gather(simulator: Any, route: str, names: list[str]) -> dict[str, Any]:
    """The first payload of each of these streams."""
    socket = simulator.socket(f"/{route}/stream?streams={'/'.join(names)}")
    found: dict[str, Any] = {}
    while len(found) < len(names):
        frame = socket.receive()
        found.setdefault(frame["stream"], frame["data"])
    return found


@pytest.mark.parametrize(("route", "keys"), [("public", PUBLIC), ("market", MARKET)])
@pytest.mark.parametrize("symbol", ["btcusdt", "solusdt"])
def test_a_stream_carries_its_payload_with_keys_in_wire_order(
    simulator: Any, route: str, keys: dict[str, str], symbol: str
) -> None:
    found = gather(simulator, route, [f"{symbol}@{suffix}" for suffix in keys])
    assert {name.partition("@")[2]: " ".join(data) for name, data in found.items()} == keys
    assert {data["s"] for data in found.values()} == {symbol.upper()}


def test_prices_are_padded_to_the_tick_and_quantities_to_the_step(simulator: Any) -> None:
    best = gather(simulator, "public", ["btcusdt@bookTicker"])["btcusdt@bookTicker"]
    assert (len(best["b"].partition(".")[2]), len(best["B"].partition(".")[2])) == (2, 3)


def test_partial_depth_has_the_best_levels_and_the_diffs_keys(simulator: Any) -> None:
    shown = gather(simulator, "public", ["ethusdt@depth10@100ms"])["ethusdt@depth10@100ms"]
    assert (len(shown["b"]), len(shown["a"])) == (10, 10)
    assert shown["pu"] < shown["U"] <= shown["u"]


def test_all_market_streams(simulator: Any) -> None:
    names = ["!ticker@arr", "!miniTicker@arr", "!markPrice@arr@1s", "!forceOrder@arr"]
    names.append("ethusdt_perpetual@continuousKline_1m")
    found = gather(simulator, "market", names)
    assert all(isinstance(found[name], list) for name in names[:3])
    assert " ".join(found["!forceOrder@arr"]) == "e E o ps st", "one object, in spite of its name"
    assert " ".join(found["!forceOrder@arr"]["o"]) == "s S o f q p ap X l z T"
    assert " ".join(found[names[4]]) == "e E ps ct k"
    best = gather(simulator, "public", ["!bookTicker"])["!bookTicker"]
    assert " ".join(best) == PUBLIC["bookTicker"]


@pytest.mark.parametrize(
    ("route", "stream"), [("market", "btcusdt@bookTicker"), ("market", "btcusdt@depth@100ms"),
                          ("public", "btcusdt@aggTrade"), ("public", "!ticker@arr"), ("public", "btcusdt@markPrice@1s")]
)  # fmt: skip
def test_the_wrong_route_acknowledges_and_stays_silent(simulator: Any, route: str, stream: str) -> None:
    socket = simulator.socket(f"/{route}/ws")
    assert socket.call("SUBSCRIBE", [stream]) == {"result": None, "id": 1}
    assert socket.call("LIST_SUBSCRIPTIONS")["result"] == [stream]
    assert socket.collect(1.2) == []


@pytest.mark.parametrize("name", ["btcusdt@kline_1s", "btcusdt@depth@1000ms", "btcusdt@avgPrice", "btcusdt@ticker_1h"])
def test_names_of_spot_alone_are_malformed_here(simulator: Any, name: str) -> None:
    assert simulator.socket("/market/ws").call("SUBSCRIBE", [name])["code"] == 2


def test_ten_messages_a_second_pass_and_the_eleventh_ends_the_connection(start_simulator: Any) -> None:
    socket = start_simulator().socket("/market/ws")
    for _ in range(11):
        socket.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    for _ in range(10):
        assert socket.receive()["result"] == []
    with pytest.raises(websocket.WebSocketConnectionClosedException, match="1008"):
        socket.receive()


def test_pings_have_futures_own_times(start_simulator: Any) -> None:
    simulator = start_simulator({"SIM_PING_S": "0.2", "SIM_PONG_TIMEOUT_S": "0.8", "SIM_LIMITS": "false"})
    futures, spot = simulator.socket("/market/ws", pongs=False), simulator.socket("/ws", pongs=False)
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        spot.receive()
    assert futures.call("LIST_SUBSCRIPTIONS")["result"] == []
    assert futures.pings == [], "3 minutes apart"


def test_trades_bars_and_aggregates_agree(simulator: Any) -> None:
    socket = simulator.socket("/market/stream?streams=btcusdt@trade/btcusdt@aggTrade/btcusdt@kline_1m")
    frames = socket.collect(4.0)
    trades = {frame["data"]["t"]: frame["data"] for frame in frames if frame["stream"].endswith("@trade")}
    groups = [frame["data"] for frame in frames if frame["stream"].endswith("@aggTrade")]
    bars = [frame["data"]["k"] for frame in frames if frame["stream"].endswith("@kline_1m")]
    assert sorted(trades) == list(range(min(trades), max(trades) + 1))
    assert all(right["f"] == left["l"] + 1 for left, right in pairwise(groups))
    assert all(bar["L"] - bar["f"] + 1 == bar["n"] for bar in bars)
    assert len(bars) >= 12, "four a second"


class Book:
    """A client's book of a perpetual, built as binance-wire.md 6 says."""

    def __init__(self, snapshot: dict[str, Any]):
        self.id, self.applied = snapshot["lastUpdateId"], 0
        names = {"b": "bids", "a": "asks"}
        self.sides = {key: {float(row[0]): row[1] for row in snapshot[name]} for key, name in names.items()}

    def apply(self, event: dict[str, Any]) -> None:
        if event["u"] < self.id:
            return
        assert event["pu"] == self.id or (self.applied == 0 and event["U"] <= self.id <= event["u"]), "a gap"
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


def follow(simulator: Any, symbol: str, speed: str, until_ms: int) -> tuple[int, int]:
    """Rebuild a book up to an event time; returns events applied and tops compared with bookTicker."""
    name = symbol.lower()
    stream = f"{name}@depth@{speed}"
    socket = simulator.socket(f"/public/stream?streams={stream}/{name}@bookTicker")
    early = [socket.wait_for(lambda frame: frame["stream"] == stream)]
    book = Book(simulator.get("/fapi/v1/depth", symbol=symbol, limit=1000).json())
    tickers: dict[int, tuple[float, str, float, str]] = {}
    compared = 0
    while True:
        frame = early.pop() if early else socket.receive()
        data = frame["data"]
        if frame["stream"] != stream:
            tickers[data["u"]] = float(data["b"]), data["B"], float(data["a"]), data["A"]
            continue
        book.apply(data)
        assert book.top()[0] < book.top()[2], "the book is crossed"
        if (top := tickers.get(book.id)) is not None and book.applied:
            assert book.top() == top, f"the book differs from bookTicker at u={book.id}"
            compared += 1
        if data["E"] > until_ms:
            return book.applied, compared


@pytest.mark.parametrize(("symbol", "speed"), [("ETHUSDT", "100ms"), ("SOLUSDT", "100ms"), ("BTCUSDT", "0ms")])
def test_a_rebuilt_book_equals_every_comparable_book_ticker(simulator: Any, symbol: str, speed: str) -> None:
    applied, compared = follow(simulator, symbol, speed, simulator.status()["now_ms"] + 5000)
    print(f"{symbol} {speed}: {applied} applied, {compared} compared, 0 differ")
    assert applied >= 20
    assert compared > 0


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_the_same_holds_over_a_seam(start_simulator: Any, simulator: Any, symbol: str) -> None:
    simulator.get("/fapi/v1/ticker/price", symbol=symbol)
    seam_ms = simulator.status()["futures"][symbol]["next_seam_at"]
    for start_up_s in (5, 20, 60):  # its time runs while it starts: a busy machine needs another try, further ahead
        # sim = S + 4 (now - S) stands 40 s before the seam when it has started: S = (4 now - sim) / 3
        start_s = (4 * (time.time() + start_up_s) - (seam_ms / 1000 - 40)) / 3
        start = datetime.fromtimestamp(start_s, UTC).isoformat()
        near = start_simulator({"SIM_SPEED": "4", "SIM_START": start, "SIM_LIMITS": "false"})
        near.get("/fapi/v1/ticker/price", symbol=symbol)
        begun_ms = near.status()["now_ms"]
        if begun_ms < seam_ms - 35_000:
            break
    assert begun_ms < seam_ms - 35_000, "the seam lies ahead, and far enough to see a hundred updates"
    applied, compared = follow(near, symbol, "0ms", seam_ms + 8000)
    print(f"{symbol} over a seam: {applied} applied, {compared} compared, 0 differ")
    assert near.status()["futures"][symbol]["next_seam_at"] > seam_ms, "the seam was crossed"
    assert applied >= 100
    assert compared > 0
