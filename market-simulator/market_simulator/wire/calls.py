"""What every REST call starts from: where its markets are, its parameters, its weight."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from market_simulator.futures.market import FuturesMarket
from market_simulator.market import SymbolMarket
from market_simulator.wire import errors
from market_simulator.wire.params import Params


class Markets(Protocol):
    """Where the calls find their markets."""

    def now_ms(self) -> int:
        """Simulated time."""
        ...

    def find(self, symbol: str) -> SymbolMarket | None:
        """A symbol's market; None when the exchange doesn't list it."""
        ...

    def all(self) -> Mapping[str, SymbolMarket]:
        """Every symbol's market, in the exchange's order."""
        ...

    def catch_up(self, symbol: str) -> int:
        """Advance a live book to now (its subscribers get what happened); return that instant."""
        ...


@dataclass(slots=True)
class Call:
    """One request on its way: its parameters, the time unit of its answer, the weight that it comes to."""

    params: Params
    scale: int
    weight: int


Endpoint = Callable[[Call], Any]


def listed(markets: Markets, symbol: str) -> SymbolMarket:
    """A symbol's market. Raises -1121 when the exchange doesn't list it."""
    market = markets.find(symbol)
    if market is None:
        raise errors.bad_symbol()
    return market


def futures_listed(markets: Markets, symbol: str) -> FuturesMarket:
    """A perpetual's market, where `markets` are perpetuals. Raises -1121."""
    return cast(FuturesMarket, listed(markets, symbol))


def trading(markets: Markets, symbol: str, status: str | None) -> SymbolMarket:
    """The same, in the wanted status (everything here trades). Raises -1220."""
    market = listed(markets, symbol)
    if status not in (None, "TRADING"):
        raise errors.not_in_status()
    return market
