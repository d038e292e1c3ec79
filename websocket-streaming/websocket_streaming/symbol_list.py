"""Which symbols the exchange lists: asked once, kept, asked again when old or when a client names an unknown one."""

import threading
from typing import Protocol

from shared.clock import Clock
from shared.errors import Unavailable

LASTS_S = 3600.0
# A client may name unknown symbols all day; the list costs weight 20 of the exchange's budget each time.
ASK_AGAIN_AFTER_S = 60.0


class Lister(Protocol):
    """Where the list comes from."""

    def list_symbols(self) -> frozenset[str]:
        """Every symbol that trades now, upper-case. Raises FleetError when the exchange can't be asked."""
        ...


class SymbolList:
    """The exchange's symbols, from memory where that will do."""

    def __init__(self, lister: Lister, clock: Clock) -> None:
        self._lister = lister
        self._clock = clock
        self._symbols: frozenset[str] | None = None
        self._asked_at = float("-inf")
        self._lock = threading.Lock()

    def unknown(self, names: list[str]) -> list[str]:
        """Those of `names` that the exchange doesn't list. Raises Unavailable while it was never reached: retry."""
        listed = self._listed(names)
        return [name for name in names if name not in listed]

    def names(self) -> list[str]:
        """All that the exchange lists, in order. Raises Unavailable while it was never reached: retry."""
        return sorted(self._listed([]))

    def _listed(self, names: list[str]) -> frozenset[str]:
        with self._lock:  # who comes while another asks waits for that answer
            if self._is_old() or not self._has(names):
                self._refresh()
        if self._symbols is None:
            raise Unavailable("the exchange can't be asked for its symbols right now", retry_after_s=5)
        return self._symbols

    def _is_old(self) -> bool:
        return self._symbols is None or self._clock.monotonic() - self._asked_at > LASTS_S

    def _has(self, names: list[str]) -> bool:
        return self._symbols is not None and self._symbols.issuperset(names)

    def _refresh(self) -> None:
        """Ask, unless that was just done; a failure leaves the old list in force."""
        waited_s = self._clock.monotonic() - self._asked_at
        if self._symbols is not None and waited_s < ASK_AGAIN_AFTER_S:
            return
        if self._symbols is None and waited_s < 1.0:
            return  # the exchange is away: one question a second is enough for all clients
        self._asked_at = self._clock.monotonic()
        try:
            self._symbols = self._lister.list_symbols()
        except Unavailable:
            return
