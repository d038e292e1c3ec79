"""The spot markets of a venue, on stage for its scenarios. Tapes are read once, and all markets on one share it."""

from collections.abc import Collection
from pathlib import Path

from market_simulator.market import SymbolInfo, SymbolMarket
from market_simulator.recorded.market import RecordedMarket, recorded_trades
from market_simulator.recorded.tape import Tape
from market_simulator.recorded.trades import RecordedTrades
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.stage.market import StagedMarket
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape

LISTED = (*(info.symbol for info in RECORDED), *(info.symbol for info, _ in GENERATED))


class SpotMarkets:
    """Makes them. `folder` holds the tapes; reading takes about half a second."""

    def __init__(self, folder: Path) -> None:
        self._recorded: dict[str, tuple[SymbolInfo, Tape, RecordedTrades]] = {}
        for info in RECORDED:
            tape = load_tape(folder / f"binance-spot-{info.symbol.lower()}_20240808.txt.gz")
            self._recorded[info.symbol] = (info, tape, recorded_trades(info, tape))

    @property
    def tapes(self) -> dict[str, Tape]:
        """By symbol."""
        return {symbol: tape for symbol, (_, tape, _) in self._recorded.items()}

    def make(self, seed: int, symbols: Collection[str] = LISTED) -> dict[str, StagedMarket]:
        """A fresh market for each of these symbols, in the exchange's order."""
        markets: list[SymbolMarket] = [
            RecordedMarket(*parts) for symbol, parts in self._recorded.items() if symbol in symbols
        ]
        markets += [GeneratedMarket(info, profile, seed) for info, profile in GENERATED if info.symbol in symbols]
        return {market.info.symbol: StagedMarket(market) for market in markets}
