"""Scenarios of the market as the director begins them: what a client's frames show is what their truth tells."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from market_simulator.market import SymbolMarket
from market_simulator.recorded.market import RecordedMarket
from market_simulator.scenarios import market_effects, market_moves
from market_simulator.scenarios.director import Director
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.sim_clock import SimClock
from market_simulator.stage.market import StagedMarket
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape
from market_simulator.trading.session_market import SessionMarket
from market_simulator.wire.hub import Form, Hub
from market_simulator.wire.streams import parse_stream
from shared.errors import Conflict, InvalidInput
from shared.testing.fakes import FakeClock
from shared.websocket_frames import FrameParser

pytestmark = pytest.mark.unit

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TAPE = Path(__file__).parents[2] / "tape" / "binance-spot-btcusdt_20240808.txt.gz"
NAMES = ("flash_crash", "pump", "gap", "thin_book", "spoofing", "wash_trading")


class Client:
    """Collects frames as a socket would get them."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send_data(self, frame: bytes) -> None:
        self.frames.append(frame)

    def payloads(self) -> list[Any]:
        parser = FrameParser(masked=False, max_message_bytes=10**7)
        return [orjson.loads(message.data) for message in parser.feed(b"".join(self.frames))]


class Theatre:
    """A hub with markets on stage, a director and a clock that moves when told."""

    def __init__(self, markets: dict[str, SymbolMarket]) -> None:
        self.clock = FakeClock(NOON)
        sim_clock = SimClock(self.clock)
        self.hub = Hub(markets, sim_clock)
        menu = [*market_moves.menu(self.hub), *market_effects.menu(self.hub)]
        self.director = Director(menu, markets, sim_clock.real_s)

    def listen(self, name: str) -> Client:
        client = Client()
        self.hub.add(client, parse_stream(name), Form(name, False, 1))
        return client

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.hub.tick()
            self.director.end_expired()

    def begin(self, name: str, duration_s: float = 10, symbol: str = "BTCUSDT", **params: Any) -> str:
        return str(self.director.begin(name, symbol, duration_s, params, 7)["id"])

    def truth(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.director.documents() if one["id"] == id)["planted"]
        return found


@pytest.fixture
def theatre() -> Theatre:
    recorded = StagedMarket(RecordedMarket(RECORDED[0], load_tape(TAPE)))
    generated = SessionMarket(StagedMarket(GeneratedMarket(*GENERATED[0], seed=11)))
    return Theatre({"BTCUSDT": recorded, "BNBUSDT": generated})


def test_the_menu_documents_every_scenario_and_its_parameters(theatre: Theatre) -> None:
    documents = {entry.name: entry.document() for entry in theatre.director.menu.values()}
    assert set(documents) == set(NAMES)
    assert all(document["params"] and document["summary"] for document in documents.values())


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BNBUSDT"])
@pytest.mark.parametrize("name", NAMES)
def test_each_ends_by_itself_or_when_told_and_leaves_its_truth(theatre: Theatre, name: str, symbol: str) -> None:
    theatre.listen(f"{symbol.lower()}@depth@100ms")
    theatre.run(0.5)
    first, second = theatre.begin(name, 5, symbol), theatre.begin(name, 60, symbol)
    theatre.run(3)
    theatre.director.end(second)
    theatre.run(3)
    assert theatre.director.running == 0
    truths = theatre.truth(first), theatre.truth(second)
    assert all(orjson.dumps(truth) and truth["end_ms"] > truth["start_ms"] for truth in truths)


def test_a_pump_and_a_gap_tell_how_far_and_when(theatre: Theatre) -> None:
    trades = theatre.listen("btcusdt@trade")
    theatre.run(1)
    id = theatre.begin("gap", 4, size_pct=-3)
    theatre.run(6)
    truth = theatre.truth(id)
    before = Decimal(truth["price_before"])
    assert Decimal(truth["lowest_shift"]) == Decimal(truth["highest_shift"])
    inside = [one for one in trades.payloads() if truth["first_trade_id"] < one["t"] <= truth["last_trade_id"] - 5]
    assert len(inside) > 5
    assert all(Decimal("0.965") < Decimal(one["p"]) / before < Decimal("0.975") for one in inside)
    id = theatre.begin("pump", 5, height_pct=10)
    theatre.run(5)
    truth = theatre.truth(id)
    assert Decimal("0.099") < Decimal(truth["highest_shift"]) / Decimal(truth["price_before"]) <= Decimal("0.1")
    assert truth["start_ms"] < truth["highest_at_ms"] < truth["end_ms"]


def test_the_ids_and_levels_of_spoofed_orders_are_those_of_the_depth_updates(theatre: Theatre) -> None:
    depth = theatre.listen("btcusdt@depth@100ms")
    theatre.run(0.5)
    id = theatre.begin("spoofing", 8, size=500, stay_ms=1000, distance_ticks=3)
    theatre.run(10)
    truth, updates = theatre.truth(id), {event["u"]: event for event in depth.payloads()}
    assert truth["orders_placed"] == len(truth["newest_orders"]) >= 4
    for order in truth["newest_orders"]:
        placed, withdrawn = updates[order["placed"]["update_id"]], updates[order["withdrawn"]["update_id"]]
        side = "b" if order["side"] == "bid" else "a"
        assert Decimal(dict(placed[side])[order["price"]]) >= Decimal(order["quantity"])
        assert Decimal(dict(withdrawn[side])[order["price"]]) < Decimal(order["quantity"])


def test_the_ids_of_washed_trades_are_those_of_the_stream(theatre: Theatre) -> None:
    streams = {symbol: theatre.listen(f"{symbol.lower()}@trade") for symbol in ("BTCUSDT", "BNBUSDT")}
    theatre.run(0.5)
    session = theatre.hub.find("BNBUSDT")
    assert isinstance(session, SessionMarket)
    session.place("BUY", "MARKET", session.info.step_size)  # ids after it are one higher
    ids = {symbol: theatre.begin("wash_trading", 15, symbol, share=0.5) for symbol in streams}
    theatre.run(17)
    for symbol, client in streams.items():
        truth = theatre.truth(ids[symbol])
        streamed = {event["t"]: event for event in client.payloads()}
        lot = Decimal(truth["lot"])
        assert truth["trades_washed"] == len(truth["newest_ids"]) > 2
        assert all(Decimal(streamed[id]["q"]) % lot == 0 for id in truth["newest_ids"])
    print({symbol: theatre.truth(id)["trades_washed"] for symbol, id in ids.items()})


def test_a_thin_book_is_thin_in_snapshot_stream_and_best_price_alike(theatre: Theatre) -> None:
    theatre.listen("btcusdt@depth@100ms")
    theatre.run(0.5)
    market = theatre.hub.find("BTCUSDT")
    assert market is not None
    before = sum(quantity for _, quantity in market.book().bids)
    id = theatre.begin("thin_book", 5, keep_pct=5, within_pct=0.1)
    theatre.run(2)
    book = market.book()
    assert sum(quantity for _, quantity in book.bids) < before / 5
    assert (market.best().bid, market.best().ask) == (book.bids[0], book.asks[0])
    truth = theatre.truth(id)
    assert truth["levels_left"] < truth["levels_before"]
    assert truth["ended"] is None
    theatre.run(5)
    assert theatre.truth(id)["ended"]["update_id"] > truth["first"]["update_id"]


def test_a_market_that_is_not_on_stage_refuses_and_wrong_parameters_are_named() -> None:
    theatre = Theatre({"BNBUSDT": GeneratedMarket(*GENERATED[0], seed=11)})
    with pytest.raises(Conflict):
        theatre.begin("thin_book", symbol="BNBUSDT")
    with pytest.raises(InvalidInput) as caught:
        theatre.begin("spoofing", symbol="BNBUSDT", size=0)
    assert caught.value.details[0]["field"] == "params.size"
