"""Markets of which the REST calls are asked at one instant."""

from collections.abc import Mapping

from market_simulator.market import SymbolMarket

NOW_MS = 1_790_000_000_000


class Still:
    """Markets at one instant."""

    def __init__(self, markets: Mapping[str, SymbolMarket]) -> None:
        self._markets = markets

    def now_ms(self) -> int:
        return NOW_MS

    def find(self, symbol: str) -> SymbolMarket | None:
        return self._markets.get(symbol)

    def all(self) -> Mapping[str, SymbolMarket]:
        return self._markets

    def catch_up(self, symbol: str) -> int:
        self._markets[symbol].advance(NOW_MS)
        return NOW_MS
