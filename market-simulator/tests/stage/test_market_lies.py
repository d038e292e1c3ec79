"""The scenarios of the market from a client's view: one rebuilt book, one list of trades, and the truth about both."""

from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

STREAMS = "/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade"
LIES: dict[str, dict[str, Any]] = {
    "pump": {"height_pct": 5},
    "gap": {"size_pct": -2},
    "thin_book": {"keep_pct": 5},
    "spoofing": {"size": 300, "stay_ms": 1000},
    "wash_trading": {"share": 0.5},
}


@pytest.fixture
def liar(start_simulator: Any) -> Any:
    """A simulator whose lies nobody else meets."""
    return start_simulator({"SIM_SPEED": "3", "SIM_LIMITS": "false"})


def test_the_rebuilt_book_equals_book_ticker_under_each_lie_and_its_truth_is_what_was_sent(liar: Any) -> None:
    for name, params in LIES.items():
        socket = liar.socket(STREAMS)
        early = socket.wait_for(lambda frame: frame["stream"].endswith("@depth@100ms"))
        snapshot = liar.api("depth", symbol="BTCUSDT", limit=5000)
        begun = liar.begin(name, symbol="BTCUSDT", duration_s=10, params=params, seed=5)
        frames = [early, *socket.collect(4.5)]
        socket.close()
        compared, trades = rebuild(snapshot, frames)
        truth = liar.truth(begun["id"])["planted"]
        print(f"{name}: {compared} bookTickers compared, {len(trades)} trades")
        assert compared > 2
        assert sorted(trades) == list(range(min(trades), max(trades) + 1))
        if name == "wash_trading":
            both = set(truth["newest_ids"]) & set(trades)
            assert len(both) > 5
            told = {one["id"]: one for one in liar.api("historicalTrades", symbol="BTCUSDT", fromId=min(both))}
            assert all(told[id]["qty"] == trades[id]["q"] for id in both & set(told))
        if name == "spoofing":
            updates = {frame["data"]["u"]: frame["data"] for frame in frames if "depth" in frame["stream"]}
            seen = [order for order in truth["newest_orders"] if order["placed"]["update_id"] in updates]
            assert len(seen) >= 2
            for order in seen:
                levels = dict(updates[order["placed"]["update_id"]]["b" if order["side"] == "bid" else "a"])
                assert float(levels[order["price"]]) >= float(order["quantity"])


def rebuild(snapshot: dict[str, Any], frames: list[dict[str, Any]]) -> tuple[int, dict[int, Any]]:
    """A client's book: how many bookTickers had an update's id (and equalled it), and the trades by id."""
    sides = [{float(price): size for price, size in snapshot[name]} for name in ("bids", "asks")]
    last, compared, tickers, trades = snapshot["lastUpdateId"], 0, dict[int, Any](), dict[int, Any]()
    for frame in frames:
        data, kind = frame["data"], frame["stream"].partition("@")[2]
        if kind == "bookTicker":
            tickers[data["u"]] = (float(data["b"]), data["B"], float(data["a"]), data["A"])
        elif kind == "trade":
            trades[data["t"]] = data
        elif data["u"] > last:
            assert data["U"] <= last + 1, "a gap"
            for side, levels in zip(sides, (data["b"], data["a"]), strict=True):
                for price, size in levels:
                    side[float(price)] = size
                    if not float(size):
                        del side[float(price)]
            last = data["u"]
            bid, ask = max(sides[0]), min(sides[1])
            assert bid < ask
            if last in tickers:
                assert tickers[last] == (bid, sides[0][bid], ask, sides[1][ask]), f"bookTicker {last}"
                compared += 1
    return compared, trades
