"""The symbols that the simulator lists: two recorded ones and those that are generated to look like theirs.

Tick and step sizes are the exchange's; prices are of a usual day, not of any date.
"""

from decimal import Decimal

from market_simulator.market import UNIT, SymbolInfo
from market_simulator.seeded.days import Profile

_QUOTE = "USDT"


def _units(text: str) -> int:
    return int(Decimal(text) * UNIT)


def _recorded(base: str, tick: str, step: str) -> SymbolInfo:
    return SymbolInfo(base + _QUOTE, base, _QUOTE, _units(tick), _units(step), "recorded")


def _generated(
    base: str, tick: str, step: str, price: float, volatility: float, trades_a_minute: int, trade_value: float
) -> tuple[SymbolInfo, Profile]:
    info = SymbolInfo(base + _QUOTE, base, _QUOTE, _units(tick), _units(step), "generated")
    return info, Profile(price, volatility, trades_a_minute, trade_value)


RECORDED: tuple[SymbolInfo, ...] = (_recorded("BTC", "0.01", "0.00001"), _recorded("ETH", "0.01", "0.0001"))

GENERATED: tuple[tuple[SymbolInfo, Profile], ...] = (
    # base, tick, step, usual price, daily volatility, trades a minute, value of a trade
    _generated("BNB", "0.01", "0.001", 600, 0.020, 120, 450),
    _generated("SOL", "0.01", "0.001", 150, 0.026, 160, 380),
    _generated("ADA", "0.0001", "0.1", 0.4, 0.025, 60, 260),
    _generated("XRP", "0.0001", "0.1", 0.6, 0.024, 100, 320),
    _generated("DOGE", "0.00001", "1", 0.15, 0.030, 80, 240),
    _generated("TRX", "0.0001", "0.1", 0.2, 0.016, 40, 300),
    _generated("AVAX", "0.01", "0.01", 28, 0.029, 40, 240),
    _generated("LINK", "0.01", "0.01", 14, 0.028, 40, 250),
    _generated("DOT", "0.001", "0.01", 6, 0.026, 30, 210),
    _generated("LTC", "0.01", "0.001", 80, 0.023, 40, 260),
    _generated("BCH", "0.1", "0.001", 400, 0.027, 24, 280),
    _generated("NEAR", "0.001", "0.1", 4.5, 0.031, 30, 200),
    _generated("UNI", "0.001", "0.01", 8, 0.030, 24, 220),
    _generated("ATOM", "0.001", "0.01", 7, 0.027, 24, 190),
    _generated("ETC", "0.01", "0.01", 22, 0.026, 20, 200),
    _generated("XLM", "0.0001", "1", 0.12, 0.024, 24, 180),
    _generated("FIL", "0.001", "0.01", 4.5, 0.029, 20, 180),
    _generated("APT", "0.001", "0.01", 8, 0.031, 24, 190),
    _generated("ARB", "0.0001", "0.1", 0.8, 0.031, 30, 180),
    _generated("OP", "0.001", "0.01", 1.8, 0.032, 24, 180),
    _generated("INJ", "0.001", "0.01", 22, 0.033, 20, 200),
    _generated("SUI", "0.0001", "0.1", 1.5, 0.034, 50, 220),
    _generated("AAVE", "0.01", "0.001", 120, 0.030, 20, 260),
    _generated("HBAR", "0.00001", "1", 0.09, 0.028, 20, 170),
    _generated("PEPE", "0.00000001", "1", 0.00001, 0.036, 50, 200),
)
