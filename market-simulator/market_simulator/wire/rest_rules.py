"""What is wrong with REST: pure decisions by seed, and the record of what was done. All that is recorded is bounded."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from market_simulator.market import BookView
from market_simulator.wire.errors import ExchangeError

MAX_RECORDED = 1000


class Verdict(NamedTuple):
    """What becomes of a call: how long it waits, then whether it is refused."""

    delay_s: float = 0.0
    error: ExchangeError | None = None


class RestRule(Protocol):
    """One lie about calls."""

    def judge(self, path: str, now_s: float) -> Verdict:
        """This call's verdict at this moment of the wall clock."""
        ...

    def truth(self) -> dict[str, Any]:
        """How many calls it met, and the newest of them."""
        ...


@dataclass(slots=True)
class _Rule:
    """`path`: how the paths begin that it is about. By its seed the same calls are struck in every run."""

    path: str
    share: float
    seed: int
    struck: int = 0
    newest: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_RECORDED))
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def strikes(self, path: str, now_s: float) -> bool:
        if not path.startswith(self.path) or self._random.random() >= self.share:
            return False
        self.struck += 1
        self.newest.append({"path": path[:80], "at_ms": int(now_s * 1000)})
        return True

    def truth(self) -> dict[str, Any]:
        return {"calls": self.struck, "newest": list(self.newest)}


@dataclass(slots=True)
class Refuse(_Rule):
    """Calls are refused with the error that `make` builds for the moment."""

    make: Callable[[float], ExchangeError] = field(kw_only=True)

    def judge(self, path: str, now_s: float) -> Verdict:
        return Verdict(error=self.make(now_s)) if self.strikes(path, now_s) else Verdict()


@dataclass(slots=True)
class Slow(_Rule):
    """Calls are answered `delay_s` later."""

    delay_s: float = field(kw_only=True)

    def judge(self, path: str, now_s: float) -> Verdict:
        return Verdict(self.delay_s) if self.strikes(path, now_s) else Verdict()


@dataclass(slots=True)
class StaleSnapshot:
    """`/depth` of one symbol goes on showing the book as it was, with its old `lastUpdateId`."""

    symbol: str
    book: BookView
    served: int = 0

    def truth(self) -> dict[str, Any]:
        return {"last_update_id": self.book.last_update_id, "snapshots_served": self.served}


class RestRules:
    """The rules in force. Delays add up; of several refusals the oldest rule's is given."""

    def __init__(self) -> None:
        self.rules: list[RestRule] = []
        self.snapshots: list[StaleSnapshot] = []

    def judge(self, path: str, now_s: float) -> Verdict:
        """What becomes of a call. Every rule sees it, so that each keeps its own sequence."""
        verdicts = [rule.judge(path, now_s) for rule in self.rules]
        refusal = next((verdict.error for verdict in verdicts if verdict.error is not None), None)
        return Verdict(sum(verdict.delay_s for verdict in verdicts), refusal)

    def book(self, symbol: str) -> BookView | None:
        """The book that `/depth` shows instead of the true one; of several the oldest."""
        for snapshot in self.snapshots:
            if snapshot.symbol == symbol:
                snapshot.served += 1
                return snapshot.book
        return None

    def remove(self, rule: RestRule) -> None:
        """End a rule; unknown ones are ignored."""
        self.rules = [one for one in self.rules if one is not rule]

    def remove_snapshot(self, snapshot: StaleSnapshot) -> None:
        """End a stale snapshot; unknown ones are ignored."""
        self.snapshots = [one for one in self.snapshots if one is not snapshot]
