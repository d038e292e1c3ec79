"""Which exchange serves: decided once, so that a machine never mixes real and simulated prices in one history."""

from collections.abc import Callable
from typing import Literal, Protocol

Venue = Literal["binance", "simulator"]
PING_TIMEOUT_S = 2.0


class VerdictStore(Protocol):
    """Where the verdict outlives a restart."""

    def read(self) -> Venue | None:
        """The verdict that was kept, or None."""
        ...

    def keep(self, venue: Venue) -> None:
        """Keep it until the fleet is taken down."""
        ...


def choose_venue(market: str, verdicts: VerdictStore, binance_answers: Callable[[], bool]) -> Venue:
    """`binance` and `simulator` are obeyed; `auto` asks Binance once and abides by the answer.

    `binance` never falls back: a wrong venue is worse than none.
    """
    if market == "binance":
        return "binance"
    if market == "simulator":
        return "simulator"
    if kept := verdicts.read():
        return kept
    venue: Venue = "binance" if binance_answers() else "simulator"
    verdicts.keep(venue)
    return venue
