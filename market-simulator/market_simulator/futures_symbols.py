"""The perpetuals that the simulator lists: one for each spot symbol but those that the exchange lists by the thousand.

Tick and step sizes as the exchange writes them: the decimals of the tick are the ones that prices are padded to.
"""

from decimal import Decimal

from market_simulator.futures.market import FuturesInfo
from market_simulator.market import UNIT, SymbolInfo
from market_simulator.seeded.days import Profile
from market_simulator.symbols import GENERATED, RECORDED

_DAYS_OF_INTEREST = 1.2  # open interest is about what spot trades in this time
_MOST_VALUE = 5_000_000  # of one limit order, in quote currency
_SPOT = {info.base: info for info in (*RECORDED, *(info for info, _ in GENERATED))}
_PROFILES = {info.base: profile for info, profile in GENERATED}


def _units(text: str) -> int:
    return int(Decimal(text) * UNIT)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _contract(
    base: str, tick: str, step: str, interest: int, price: float, least_notional: int = 5, percent: str = "0.15"
) -> FuturesInfo:
    spot, step_units = _SPOT[base], _units(step)
    most = 10 ** len(str(int(_MOST_VALUE / price))) * UNIT
    return FuturesInfo(
        spot.symbol, base, spot.quote, _units(tick), step_units, spot.kind,
        price_precision=_decimals(tick), quantity_precision=_decimals(step),
        most_quantity=most, most_market_quantity=most // 5 // step_units * step_units,
        least_notional=least_notional * UNIT, percent_price=_units(percent),
        usual_open_interest=interest * UNIT // step_units * step_units,
    )  # fmt: skip


def _generated(base: str, tick: str, step: str) -> tuple[FuturesInfo, SymbolInfo, Profile]:
    profile = _PROFILES[base]
    interest = round(profile.trades_a_day * profile.trade_value / profile.price * _DAYS_OF_INTEREST)
    return _contract(base, tick, step, interest, profile.price), _SPOT[base], profile


RECORDED_FUTURES: tuple[FuturesInfo, ...] = (
    _contract("BTC", "0.10", "0.001", 75_000, 60_000, least_notional=100, percent="0.05"),
    _contract("ETH", "0.01", "0.001", 800_000, 2_700, least_notional=20, percent="0.05"),
)

# contract, its spot market, that one's profile
GENERATED_FUTURES: tuple[tuple[FuturesInfo, SymbolInfo, Profile], ...] = (
    _generated("BNB", "0.010", "0.01"),
    _generated("SOL", "0.0100", "1"),
    _generated("ADA", "0.00010", "1"),
    _generated("XRP", "0.0001", "0.1"),
    _generated("DOGE", "0.000010", "1"),
    _generated("TRX", "0.00001", "1"),
    _generated("AVAX", "0.0010", "1"),
    _generated("LINK", "0.001", "0.01"),
    _generated("DOT", "0.001", "0.1"),
    _generated("LTC", "0.01", "0.001"),
    _generated("BCH", "0.01", "0.001"),
    _generated("NEAR", "0.0010", "1"),
    _generated("UNI", "0.0010", "1"),
    _generated("ATOM", "0.001", "0.01"),
    _generated("ETC", "0.001", "0.01"),
    _generated("XLM", "0.00001", "1"),
    _generated("FIL", "0.001", "0.1"),
    _generated("APT", "0.00100", "0.1"),
    _generated("ARB", "0.000100", "0.1"),
    _generated("OP", "0.0001000", "0.1"),
    _generated("INJ", "0.001000", "0.1"),
    _generated("SUI", "0.000100", "0.1"),
    _generated("AAVE", "0.010", "0.1"),
    _generated("HBAR", "0.00001", "1"),
)
