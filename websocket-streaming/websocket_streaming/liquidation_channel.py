"""The liquidations channel of futures: forced orders as the exchange shows them, at most one a second and symbol.

There is no REST call for them: what is missed while the upstream is away is missed for good, and `status` says when.
"""

from collections import deque

from websocket_streaming.exchange_time import iso_of
from websocket_streaming.journal import Document
from websocket_streaming.live_channel import LiveChannel
from websocket_streaming.ticks import Liquidation, Symbol
from websocket_streaming.topics import LIQUIDATIONS, Topic

REMEMBERED = 100  # of one symbol, to know a repeat


class LiquidationChannel(LiveChannel[deque[Liquidation]]):
    """Passes forced orders on."""

    event = "liquidation"

    def on_liquidation(self, symbol: Symbol, order: Liquidation) -> None:
        """One came."""
        topic = Topic(LIQUIDATIONS, *symbol)
        known = self._states.get(topic)
        if known is None or order in known:
            return
        known.append(order)
        self._journal.publish(topic, self.event, describe(topic, order) | {"stale": self.is_stale(topic)})

    def greet(self, topic: Topic) -> Document | None:  # noqa: ARG002  # an old one is no news
        """Nothing."""
        return None

    def catch_up(self, topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:  # noqa: ARG002  # LiveChannel's
        """They are dropped, and counted."""
        return event, {**document, "missed": document.get("missed", 0) + skipped}

    def _make(self, topic: Topic) -> deque[Liquidation]:  # noqa: ARG002  # LiveChannel's
        return deque(maxlen=REMEMBERED)

    def _is_doubtful(self, topic: Topic, state: deque[Liquidation]) -> bool:  # noqa: ARG002  # silence is its nature
        return False

    def _age_s(self, topic: Topic, state: deque[Liquidation]) -> float | None:  # noqa: ARG002  # LiveChannel's
        return None


def describe(topic: Topic, order: Liquidation) -> Document:
    """A forced order as clients see it. SELL closes a long."""
    return {
        "symbol": topic.symbol,
        "market": topic.market,
        "side": order.side.lower(),
        "price": order.price,
        "average_price": order.average_price,
        "quantity": order.quantity,
        "timestamp": iso_of(order.at_ms),
    }
