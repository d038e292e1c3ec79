"""The symbols that the simulator lists."""

from market_simulator.market import SymbolInfo

RECORDED = (
    SymbolInfo("BTCUSDT", "BTC", "USDT", 1_000_000, 1_000, "recorded"),
    SymbolInfo("ETHUSDT", "ETH", "USDT", 1_000_000, 10_000, "recorded"),
)
