"""Alerts: each fires once, when its condition is met, and outlives the connection that set it.

A client chooses a token and names its alerts. Whoever shows the token gets what fires, and what fired while nobody
was there. All is in memory, bounded, and forgotten a day after the token was last shown.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.clock import Clock, to_iso
from shared.errors import Conflict, InvalidInput, NotFound
from websocket_streaming.alert_conditions import Condition, Moves, read_condition
from websocket_streaming.ticks import Symbol

MAX_ALERTS = 5000
MAX_OF_TOKEN = 50
KEPT_S = 86_400.0
NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}")
TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,64}")

Document = dict[str, Any]
Deliver = Callable[[str, Document], None]  # (connection, the fired alert)


@dataclass(slots=True)
class Alert:
    """One alert. `fired` says what met it; `is_told` that somebody was there to hear."""

    name: str
    symbol: Symbol
    condition: Condition
    fired: Document | None = None
    is_told: bool = False

    def describe(self) -> Document:
        """As the client sees it."""
        document = {"name": self.name, "symbol": self.symbol.name, "market": self.symbol.market}
        return document | self.condition.describe() | {"fired": self.fired is not None} | (self.fired or {})


@dataclass(slots=True)
class _Owner:
    alerts: dict[str, Alert] = field(default_factory=dict)
    connections: set[str] = field(default_factory=set)
    shown_at: float = 0.0


class Alerts:
    """All alerts. `deliver` sends one that has fired to one connection."""

    def __init__(self, clock: Clock, deliver: Deliver) -> None:
        self._clock, self._deliver = clock, deliver
        self._owners: dict[str, _Owner] = {}
        self._armed: dict[Symbol, list[tuple[str, Alert]]] = {}
        self.fired = 0

    def put(self, token: str, alert: Alert) -> None:
        """Set an alert; one of the same name is replaced. Raises Conflict over a bound."""
        owner = self._owners.setdefault(token, _Owner(shown_at=self._clock.monotonic()))
        if alert.name not in owner.alerts:
            if len(owner.alerts) >= MAX_OF_TOKEN:
                raise Conflict(f"a token has at most {MAX_OF_TOKEN} alerts; remove one")
            if sum(len(one.alerts) for one in self._owners.values()) >= MAX_ALERTS:
                raise Conflict("the service holds as many alerts as it can; try later")
        elif (old := owner.alerts[alert.name]).fired is None:
            self._disarm(old)
        owner.alerts[alert.name] = alert
        self._armed.setdefault(alert.symbol, []).append((token, alert))

    def remove(self, token: str, name: str) -> None:
        """Forget an alert. Raises NotFound."""
        owner = self._owners.get(token)
        alert = owner.alerts.pop(name, None) if owner else None
        if alert is None:
            raise NotFound("there is no such alert")
        self._disarm(alert)

    def attach(self, token: str, connection: str) -> list[Alert]:
        """The token was shown on this connection: it gets what fires from now on, and what nobody has heard yet."""
        owner = self._owners.get(token)
        if owner is None:
            return []
        owner.connections.add(connection)
        owner.shown_at = self._clock.monotonic()
        for alert in owner.alerts.values():
            if alert.fired and not alert.is_told:
                self._tell(owner, alert)
        return list(owner.alerts.values())

    def detach(self, connection: str) -> None:
        """The connection has gone."""
        for owner in self._owners.values():
            owner.connections.discard(connection)

    def on_price(self, symbol: Symbol, price: float) -> None:
        """Look whether this price meets an alert. Cheap for symbols without one."""
        armed = self._armed.get(symbol)
        if armed is None:
            return
        now = self._clock.monotonic()
        for token, alert in [one for one in armed if one[1].condition.is_met(price, now)]:
            self._disarm(alert)
            self.fired += 1
            alert.fired = {"price": price, "fired_at": to_iso(self._clock.now())}
            if isinstance(alert.condition, Moves):
                alert.fired["change_pct"] = round(alert.condition.change_pct, 6)
            if owner := self._owners.get(token):
                self._tell(owner, alert)

    def symbols(self, token: str) -> set[Symbol]:
        """The symbols that the token's alerts still wait for."""
        owner = self._owners.get(token)
        return {alert.symbol for alert in owner.alerts.values() if alert.fired is None} if owner else set()

    def expire(self) -> list[str]:
        """About once a second: forget what nobody asked about for a day. Returns the tokens whose symbols changed."""
        now = self._clock.monotonic()
        old = [
            token for token, owner in self._owners.items()
            if not owner.connections and (not owner.alerts or now - owner.shown_at > KEPT_S)
        ]  # fmt: skip
        for token in old:
            for alert in self._owners.pop(token).alerts.values():
                self._disarm(alert)
        return old

    def _tell(self, owner: _Owner, alert: Alert) -> None:
        alert.is_told = bool(owner.connections)
        for connection in tuple(owner.connections):
            self._deliver(connection, alert.describe())

    def _disarm(self, alert: Alert) -> None:
        left = [one for one in self._armed.get(alert.symbol, []) if one[1] is not alert]
        if left:
            self._armed[alert.symbol] = left
        else:
            self._armed.pop(alert.symbol, None)


def read_token(payload: object) -> str:
    """The token of a payload. Raises InvalidInput."""
    token = payload.get("token") if isinstance(payload, Mapping) else None
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise InvalidInput.field("token", "must be 8 to 64 of A-Z a-z 0-9 . _ ~ -, chosen by you and kept to yourself")
    return token


def read_name(payload: object) -> str:
    """The name of an alert. Raises InvalidInput."""
    name = payload.get("name") if isinstance(payload, Mapping) else None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidInput.field("name", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
    return name


def read_alert(payload: Mapping[Any, Any], symbol: Symbol) -> Alert:
    """An alert about that symbol. Raises InvalidInput, which names the field."""
    return Alert(read_name(payload), symbol, read_condition(payload))
