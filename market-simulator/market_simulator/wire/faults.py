"""The lies in force about REST and about sockets as a whole; those about frames stand in each hub's rules. Scenarios
set them, the routes and the lobby ask; all is empty when nothing is wrong."""

from market_simulator.wire.rest_rules import RestRules


class Faults:
    """What is wrong now."""

    def __init__(self) -> None:
        self.outages: dict[str, int] = {}  # scenario id → HTTP status
        self.rest = RestRules()

    @property
    def outage_status(self) -> int | None:
        """The HTTP status that every exchange call gets now; None: the exchange is up."""
        return next(iter(self.outages.values()), None)
