"""A perpetual on stage: StagedMarket for a FuturesMarket."""

from market_simulator.futures.market import Figures, FuturesMarket
from market_simulator.stage.market import StagedMarket


class StagedFutures(StagedMarket):
    """As the perpetual within, but for the effects planted here. Its figures are the perpetual's own: they follow its
    repriced prices, not what wash trading makes of its volumes."""

    def __init__(self, market: FuturesMarket) -> None:
        super().__init__(market)
        self.contract = market.contract
        self._figures = market.figures

    @property
    def figures(self) -> Figures:
        """As FuturesMarket.figures."""
        return self._figures
