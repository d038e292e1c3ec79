"""Wash trading: trades of the tape that change size and side.

Ids, prices and times stay: only sessions' own orders add trades. A washed trade's partner is the trade beside it: the
same quantity, the other side, as somebody who trades with himself leaves it.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from market_simulator.market import Trade
from market_simulator.random_bits import fraction, key, word

MAX_RECORDED = 1000  # ids that one scenario lists
_LOTS = 8


@dataclass(slots=True, eq=False)
class WashTrading:
    """By `seed` about `share` of all pairs of trades are washed: 1 to 8 times `lot` (units of 1e-8), one on each side.

    In force for trades at `start_ms` and later and before `end_ms`; which ones is a function of seed and id alone.
    """

    start_ms: int
    end_ms: int
    share: float
    lot: int
    seed: int
    washed: int = 0
    ids: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_RECORDED))

    def label(self, trade: Trade) -> Trade | None:
        """The trade as washed; None for one that is left alone."""
        if not self.start_ms <= trade.at_ms < self.end_ms:
            return None
        pair, second = divmod(trade.id, 2)
        if fraction(word(key(self.seed, "pair"), pair)) >= self.share:
            return None
        bits = word(key(self.seed, "lot"), pair)
        is_maker = bool(bits >> 32 & 1) != bool(second)
        return replace(trade, quantity=self.lot * (1 + bits % _LOTS), buyer_is_maker=is_maker)
