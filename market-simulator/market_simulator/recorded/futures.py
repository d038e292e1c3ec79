"""A recorded perpetual: its tape in laps beside the spot tape's, with the figures of its own and the spot market."""

from market_simulator.futures.figures import FuturesFigures
from market_simulator.futures.market import FuturesInfo
from market_simulator.market import SymbolMarket
from market_simulator.random_bits import key
from market_simulator.recorded.market import RecordedMarket
from market_simulator.recorded.tape import Tape


class RecordedFutures(RecordedMarket):
    """One recorded perpetual. What no tape holds (open interest, the crowd, liquidations) comes from the seed."""

    def __init__(self, contract: FuturesInfo, tape: Tape, seed: int, spot: SymbolMarket) -> None:
        super().__init__(contract, tape)
        self.contract = contract
        self.figures = FuturesFigures(contract, self, spot, key(seed, "futures"))
