"""The lies in force on the wire. Scenarios set them, REST and the hub ask them; all is empty when nothing is wrong."""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from market_simulator.wire.streams import Channel

MAX_RECORDED = 1000


@dataclass(slots=True)
class DropRule:
    """Leaves out a share of one channel's frames; by its seed the same frames in every run."""

    channel: Channel
    share: float
    seed: int
    dropped: int = 0
    ids: deque[Any] = field(default_factory=lambda: deque(maxlen=MAX_RECORDED))
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def takes(self, id: Any) -> bool:
        """Whether this frame is left out; if so, its id becomes ground truth."""
        if self._random.random() >= self.share:
            return False
        self.dropped += 1
        self.ids.append(id)
        return True


class Faults:
    """What is wrong now."""

    def __init__(self) -> None:
        self.outages: dict[str, int] = {}  # scenario id → HTTP status
        self.drops: list[DropRule] = []

    @property
    def outage_status(self) -> int | None:
        """The HTTP status that every exchange call gets now; None: the exchange is up."""
        return next(iter(self.outages.values()), None)

    def drops_frame(self, channel: Channel, id: Any) -> bool:
        """Whether a frame is left out. Every rule of the channel sees it, so that each keeps its own sequence."""
        return any([rule.takes(id) for rule in self.drops if rule.channel == channel])  # noqa: C419  # no short cut
