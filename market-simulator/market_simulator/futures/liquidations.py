"""Liquidations: orders that fast moves of the futures price force, and a few in calm times.

Each second of a contract has one chance, so no two are less than 1000 ms apart, as on the exchange's stream.
"""

from market_simulator.futures.market import FuturesInfo, Liquidation
from market_simulator.market import UNIT, SymbolMarket
from market_simulator.random_bits import fraction, key, word

SECOND_MS = 1000
MOST_SECONDS = 60
_LOOKED_BACK_MS = 10_000
_CALM_CHANCE = 0.02  # a second
_CERTAIN_MOVE = 0.005  # a move of this share within 10 s liquidates somebody in nearly every second
_MOST_CHANCE = 0.95
_USUAL_SHARE = 2e-7  # of the open interest, times 1 to 200
_PRICE_ROOM = UNIT // 250  # the order may fill up to 0.4 % worse than the last price


class Liquidations:
    """Of one contract, from its own trades (repriced ones included)."""

    def __init__(self, info: FuturesInfo, market: SymbolMarket, seed: int) -> None:
        self._info, self._market = info, market
        self._key = key(seed, info.symbol, "liquidations")
        self._phase_ms = self._key % SECOND_MS

    def between(self, from_ms: int, to_ms: int) -> list[Liquidation]:
        """Those in (from_ms, to_ms], the last minute's at most."""
        from_ms = max(from_ms, to_ms - MOST_SECONDS * SECOND_MS)
        numbers = range(*((at_ms - self._phase_ms) // SECOND_MS + 1 for at_ms in (from_ms, to_ms)))
        found = (self._in_second(number) for number in numbers)
        return [one for one in found if one is not None]

    def _in_second(self, number: int) -> Liquidation | None:
        at_ms = number * SECOND_MS + self._phase_ms
        last = self._market.trades(at_ms, limit=1)
        before = self._market.trades(at_ms - _LOOKED_BACK_MS, limit=1)
        if not last or not before:
            return None
        price, bits = last[0].price, word(self._key, number)
        move = (price - before[0].price) / before[0].price
        wildness = min(abs(move) / _CERTAIN_MOVE, 1.0)
        if fraction(bits) >= _CALM_CHANCE + (_MOST_CHANCE - _CALM_CHANCE) * wildness:
            return None
        luck = fraction(word(self._key ^ 1, number))
        falling = move < 0 if move else luck < 0.5
        return self._order(at_ms, price, falling, luck, wildness)

    def _order(self, at_ms: int, price: int, falling: bool, luck: float, wildness: float) -> Liquidation:
        tick, step = self._info.tick_size, self._info.step_size
        room = max(tick, price * _PRICE_ROOM // UNIT // tick * tick)
        share = _USUAL_SHARE * (1 + 99 * luck**4) * (1 + wildness)
        steps = max(1, round(self._info.usual_open_interest / step * share))
        limit = max(tick, price - room) if falling else price + room
        return Liquidation(at_ms, "SELL" if falling else "BUY", limit, price, steps * step)
