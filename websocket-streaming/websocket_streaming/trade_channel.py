"""The trades channel: every trade once, in the order of its id; what the stream missed comes from REST by its id."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from shared.clock import Clock
from shared.errors import InvalidInput, NotFound
from shared.logger import FleetLogger
from websocket_streaming.errands import Errands
from websocket_streaming.exchange_time import iso_of
from websocket_streaming.fetched import Fetched
from websocket_streaming.freshness import SILENT_AFTER_S
from websocket_streaming.journal import Document, Journal
from websocket_streaming.live_channel import LiveChannel
from websocket_streaming.price_book import PriceBook
from websocket_streaming.ticks import Symbol, Trade
from websocket_streaming.topics import TRADES, Topic
from websocket_streaming.trade_tape import TAPE_LENGTH, TradeTape

# Frames that only came in another order are there by then, and REST isn't asked.
FILL_AFTER_S = 0.3
# The 24 h figures know a later trade for that long, and the exchange has gone on meanwhile: the stream has missed it.
# They run up to 50 ms ahead of the trade. An exchange that stands still in between has yet to send it.
BEHIND_AFTER_S = 1.5
MAX_FILLED = 20_000  # trades of one hole; twenty calls. A larger one is told by `missed`
MAX_TRIES = 5  # answers of REST that brought nothing for a hole


class TradeSource(Protocol):
    """The exchange's REST side of trades, ids rising. Raises FleetError; Unavailable and RateLimited: retry."""

    def newest_trades(self, symbol: Symbol, limit: int) -> list[Trade]:
        """The newest trades."""
        ...

    def trades_from(self, symbol: Symbol, trade_id: int, limit: int) -> list[Trade]:
        """Trades from that id on."""
        ...


@dataclass(slots=True)
class _Behind:
    """An id that others know and the tape doesn't."""

    trade_id: int
    since: float
    event_ms: int  # the newest event's then, by the exchange's clock


@dataclass(slots=True)
class _Tape:
    tape: TradeTape = field(default_factory=TradeTape)
    behind: _Behind | None = None
    is_filled: bool = False  # the history is there
    known: int = 0  # the 24 h figures' newest id at the last look
    tries: int = 0
    missed: int = 0  # to be told with the next trade


class TradeChannel(LiveChannel[_Tape]):
    """Keeps a tape for each symbol, fills its holes, serves subscribers."""

    event = "trade"

    def __init__(
        self, *, clock: Clock, logger: FleetLogger, journal: Journal, errands: Errands, exchange: TradeSource,
        prices: PriceBook, fetched: Fetched, renew: Any,
    ) -> None:  # fmt: skip
        super().__init__(clock, journal, renew)
        self._logger, self._errands, self._exchange = logger, errands, exchange
        self._prices = prices  # knows the newest trade's id from the 24 h figures too, and who is silent
        self._fetched = fetched
        self._closed_found = self._closed_filled = 0

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        """A trade from the stream."""
        topic = Topic(TRADES, *symbol)
        state = self._states.get(topic)
        if state is None:
            return
        placed = state.tape.on_trade(trade)
        self._publish(topic, state, placed, "stream")
        if state.tape.hole:
            self._errands.ask(topic, partial(self._fill, topic), FILL_AFTER_S)

    def check(self) -> None:
        """About once a second: find tapes that are behind what the 24 h figures know."""
        now = self._clock.monotonic()
        for topic, state in list(self._states.items()):
            known, last_id = self._prices.trade_id(topic.of), state.tape.last_id
            if known is None:  # nothing is held for a moment: what was known stays so
                state.behind = None
                continue
            lower, state.known = known < state.known, known
            if last_id is None or known == last_id:
                state.behind = None
            elif known < last_id:
                # Figures that went back: the exchange began anew. Else REST's history only ran ahead of the stream,
                # and what it gave must be followed by the trade after it.
                if lower:
                    state.tape.restart()
                    self._begin(topic)
            elif state.behind is None or state.behind.trade_id <= last_id:
                state.behind = _Behind(known, now, self._prices.event_ms(topic.of))
            elif self._has_missed(topic, state.behind, now):
                state.tape.expect(state.behind.trade_id)
                self._errands.ask(topic, partial(self._fill, topic))

    def trades(self, symbol: Symbol, limit: int) -> tuple[list[Document], str, float, bool]:
        """Up to `limit` newest trades, oldest first; source, age in seconds, stale.

        Raises NotFound, or Unavailable (retry).
        """
        topic = Topic(TRADES, *symbol)
        if (state := self._states.get(topic)) and (state.is_filled or len(state.tape.trades) >= limit):
            rows = [describe(topic, trade) for trade in list(state.tape.trades)[-limit:]]
            return rows, "cache", self._prices.age_s(symbol) or 0.0, self.is_stale(topic)
        trades, age_s = self._fetched.get(
            symbol, (TRADES,), lambda: self._exchange.newest_trades(symbol, TAPE_LENGTH)
        )
        return [describe(topic, trade) for trade in trades[-limit:]], "rest", age_s, False

    @property
    def gaps_found(self) -> int:
        """Holes seen in the ids since the start."""
        return self._closed_found + sum(state.tape.gaps_found for state in self._states.values())

    @property
    def gaps_filled(self) -> int:
        """Of those, closed whole, by REST or because the trades only came late."""
        return self._closed_filled + sum(state.tape.gaps_filled for state in self._states.values())

    def close(self, topic: Topic) -> None:
        """See `LiveChannel`."""
        if state := self._states.get(topic):
            self._closed_found += state.tape.gaps_found
            self._closed_filled += state.tape.gaps_filled
        super().close(topic)

    def greet(self, topic: Topic) -> Document | None:
        """The newest trade, for the sake of its price; it is no new one."""
        state = self._states.get(topic)
        if state is None or not state.tape.trades:
            return None
        return self._journal.stamped(topic, self._document(topic, state.tape.trades[-1], "cache"))

    def catch_up(self, topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:  # noqa: ARG002  # LiveChannel's
        """Trades are dropped, and counted."""
        return event, {**document, "missed": document.get("missed", 0) + skipped}

    def _make(self, topic: Topic) -> _Tape:  # noqa: ARG002  # LiveChannel's
        return _Tape()

    def _is_doubtful(self, topic: Topic, state: _Tape) -> bool:
        return state.tape.hole is not None or self._prices.is_stale(topic.of)

    def _age_s(self, topic: Topic, state: _Tape) -> float | None:  # noqa: ARG002  # LiveChannel's
        return self._prices.age_s(topic.of)

    def _has_missed(self, topic: Topic, behind: _Behind, now: float) -> bool:
        """Whether the trade will not come any more. Of a symbol that is silent altogether only the clock can tell."""
        waited_s = now - behind.since
        went_on = self._prices.event_ms(topic.of) > behind.event_ms
        return waited_s >= (BEHIND_AFTER_S if went_on else SILENT_AFTER_S)

    def _begin(self, topic: Topic) -> None:
        state = self._states.get(topic)
        if state and len(state.tape.trades) < TAPE_LENGTH:
            self._errands.ask((topic, "history"), partial(self._prepend, topic))

    def _prepend(self, topic: Topic) -> None:
        state = self._states.get(topic)
        if state and len(state.tape.trades) < TAPE_LENGTH:
            state.tape.prepend(self._exchange.newest_trades(topic.of, TAPE_LENGTH))
            state.is_filled = True

    def _fill(self, topic: Topic) -> None:
        """Ask REST for the hole, page by page. The newest thousand cost least on futures, so they are tried first."""
        while (state := self._states.get(topic)) and (hole := state.tape.hole):
            first, last = hole
            if last - first >= MAX_FILLED or state.tries >= MAX_TRIES:
                self._give_up(topic, state)
                continue
            trades = self._ask(topic.of, first) if state.tries else self._exchange.newest_trades(topic.of, TAPE_LENGTH)
            if trades is None:
                self._give_up(topic, state)
                continue
            placed = state.tape.fill(trade for trade in trades if first <= trade.trade_id <= last)
            state.tries = 0 if state.tape.hole != hole and placed else state.tries + 1
            self._publish(topic, state, [trade for trade in placed if trade.trade_id <= last], "rest")
            self._publish(topic, state, [trade for trade in placed if trade.trade_id > last], "stream")

    def _ask(self, symbol: Symbol, first: int) -> list[Trade] | None:
        """None where the exchange doesn't tell old trades (some mirrors; futures without a key)."""
        try:
            return self._exchange.trades_from(symbol, first, TAPE_LENGTH)
        except (InvalidInput, NotFound):
            return None

    def _give_up(self, topic: Topic, state: _Tape) -> None:
        missing, placed = state.tape.give_up()
        self._logger.warning("%s: %d trades are missing for good", topic.symbol, missing)
        state.tries, state.missed = 0, state.missed + missing
        self._publish(topic, state, placed, "stream")

    def _publish(self, topic: Topic, state: _Tape, trades: list[Trade], source: str) -> None:
        if not self._journal.is_heard(topic):  # most trades of most symbols: a third of what they cost
            self._journal.pass_over(topic, len(trades))
            state.missed = 0
            return
        for trade in trades:
            document = self._document(topic, trade, source)
            if state.missed:
                document["missed"], state.missed = state.missed, 0
            self._journal.publish(topic, self.event, document)

    def _document(self, topic: Topic, trade: Trade, source: str) -> Document:
        return describe(topic, trade) | {"source": source, "stale": topic.market not in self._connected}


def describe(topic: Topic, trade: Trade) -> Document:
    """A trade as clients see it. `side` is the taker's."""
    return {
        "symbol": topic.symbol,
        "market": topic.market,
        "trade_id": trade.trade_id,
        "price": trade.price,
        "quantity": trade.quantity,
        "side": "sell" if trade.buyer_is_maker else "buy",
        "buyer_is_maker": trade.buyer_is_maker,
        "timestamp": iso_of(trade.at_ms),
    }
