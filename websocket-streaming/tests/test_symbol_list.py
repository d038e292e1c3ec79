"""The exchange's symbols: asked once, again only with reason."""

import pytest

from shared.errors import Unavailable
from shared.testing.fakes import FakeClock
from websocket_streaming.symbol_list import SymbolList


class Exchange:
    """Lists what the test says, or is away."""

    def __init__(self) -> None:
        self.symbols: frozenset[str] | None = frozenset({"BTCUSDT"})
        self.asked = 0

    def list_symbols(self) -> frozenset[str]:
        self.asked += 1
        if self.symbols is None:
            raise Unavailable("away")
        return self.symbols


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def symbols(exchange: Exchange, clock: FakeClock) -> SymbolList:
    return SymbolList(exchange, clock)


def test_known_symbols_cost_one_question(symbols: SymbolList, exchange: Exchange) -> None:
    assert [symbols.unknown(["BTCUSDT"]) for _ in range(3)] == [[], [], []]
    assert exchange.asked == 1


def test_an_unknown_symbol_makes_it_ask_again_at_most_once_a_minute(
    symbols: SymbolList, exchange: Exchange, clock: FakeClock
) -> None:
    assert symbols.unknown(["NEWUSDT"]) == ["NEWUSDT"]
    exchange.symbols = frozenset({"BTCUSDT", "NEWUSDT"})
    assert symbols.unknown(["NEWUSDT"]) == ["NEWUSDT"]
    clock.advance(61)
    assert symbols.unknown(["NEWUSDT"]) == []
    assert exchange.asked == 2


def test_an_exchange_that_is_away_is_unavailable_first_and_later_served_from_memory(
    symbols: SymbolList, exchange: Exchange, clock: FakeClock
) -> None:
    listed, exchange.symbols = exchange.symbols, None
    with pytest.raises(Unavailable):
        symbols.unknown(["BTCUSDT"])
    exchange.symbols = listed
    clock.advance(2)
    assert symbols.unknown(["BTCUSDT"]) == []
    exchange.symbols = None
    clock.advance(7200)
    assert symbols.unknown(["BTCUSDT", "NOPE"]) == ["NOPE"]


def test_all_names_come_in_order_and_are_asked_for_once(symbols: SymbolList, exchange: Exchange) -> None:
    exchange.symbols = frozenset({"ETHUSDT", "BTCUSDT", "币安人生USDT"})
    assert [symbols.names() for _ in range(2)] == [["BTCUSDT", "ETHUSDT", "币安人生USDT"]] * 2
    assert exchange.asked == 1


def test_no_names_are_no_answer_while_the_exchange_was_never_reached(symbols: SymbolList, exchange: Exchange) -> None:
    exchange.symbols = None
    with pytest.raises(Unavailable):
        symbols.names()
