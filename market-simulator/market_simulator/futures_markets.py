"""All perpetuals on stage, each made when first asked for: a recorded one takes a second to read and 20 MB to keep."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from market_simulator.futures.market import FuturesInfo, FuturesMarket
from market_simulator.futures_symbols import GENERATED_FUTURES, RECORDED_FUTURES
from market_simulator.market import SymbolInfo, SymbolMarket
from market_simulator.recorded.futures import RecordedFutures
from market_simulator.recorded.tape import Tape
from market_simulator.seeded.days import Profile
from market_simulator.seeded.futures import GeneratedFutures
from market_simulator.stage.futures import StagedFutures
from market_simulator.tape_reader import load_tape

Make = Callable[[], FuturesMarket]
Run = Callable[[Callable[[], None]], None]


def _here(job: Callable[[], None]) -> None:
    job()


class FuturesMarkets(Mapping[str, FuturesMarket]):
    """Perpetuals by symbol. Listing and counting makes none; `[]`, `get` and `values` make what they return."""

    def __init__(self, contracts: Mapping[str, tuple[FuturesInfo, Make]]) -> None:
        self._contracts = dict(contracts)
        self._made: dict[str, FuturesMarket] = {}

    @property
    def infos(self) -> list[FuturesInfo]:
        """What is listed, without making any."""
        return [info for info, _ in self._contracts.values()]

    @property
    def made(self) -> Mapping[str, FuturesMarket]:
        """Those that somebody has asked for already."""
        return self._made

    def __getitem__(self, symbol: str) -> FuturesMarket:
        if symbol not in self._made:
            market = self._contracts[symbol][1]()
            self._made.setdefault(symbol, market)  # whoever asked meanwhile made one, too: all must have the same
        return self._made[symbol]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._contracts

    def __iter__(self) -> Iterator[str]:
        return iter(self._contracts)

    def __len__(self) -> int:
        return len(self._contracts)


class FuturesListing:
    """Makes the perpetuals of a venue. A tape is read when first needed, and all markets on it share it."""

    def __init__(self, folder: Path, spot_tapes: Mapping[str, Tape], read: Run = _here) -> None:
        """`read` runs one reading at a time where it halts nobody; by default, here."""
        self._folder, self._spot_tapes, self._run = folder, spot_tapes, read
        self._tapes: dict[str, Tape] = {}

    def tape(self, symbol: str) -> Tape:
        """One recorded contract's tape; reading it takes about a second, once."""
        if symbol not in self._tapes:
            self._run(partial(self._read, symbol))
        return self._tapes[symbol]

    def _read(self, symbol: str) -> None:
        if symbol not in self._tapes:
            path = self._folder / f"binance-usdm-{symbol.lower()}_20240808.txt.gz"
            self._tapes[symbol] = load_tape(path, beside=self._spot_tapes[symbol])

    def make(self, seed: int, spot: Mapping[str, SymbolMarket]) -> FuturesMarkets:
        """Fresh ones beside these spot markets, which must be of the same seed; none without a spot market."""

        def recorded(contract: FuturesInfo) -> FuturesMarket:
            market = RecordedFutures(contract, self.tape(contract.symbol), seed, spot[contract.symbol])
            return StagedFutures(market)

        def generated(contract: FuturesInfo, spot_info: SymbolInfo, profile: Profile) -> FuturesMarket:
            return StagedFutures(GeneratedFutures(contract, spot_info, profile, seed, spot[contract.symbol]))

        contracts: dict[str, tuple[FuturesInfo, Make]] = {
            contract.symbol: (contract, partial(recorded, contract)) for contract in RECORDED_FUTURES
        }
        contracts |= {one[0].symbol: (one[0], partial(generated, *one)) for one in GENERATED_FUTURES}
        return FuturesMarkets({symbol: one for symbol, one in contracts.items() if symbol in spot})
