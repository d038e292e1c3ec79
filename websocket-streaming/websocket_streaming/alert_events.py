"""The events of alerts: `alert` sets one, `alert_remove` forgets it, `alerts` lists them and gives what has fired."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import FleetError, InvalidInput
from websocket_streaming.alert_conditions import CONDITION_FIELDS
from websocket_streaming.alerts import Alerts, read_alert, read_name, read_token
from websocket_streaming.channels import Channels
from websocket_streaming.topics import PRICE, SPOT, Problem, Topic, Wish, read_symbol, read_wish, unknown_fields

Emit = Callable[[str, str, dict[str, Any]], None]  # (connection, event, document)

FIELDS = {
    "alert": ("token", "name", "symbol", "market", *CONDITION_FIELDS),
    "alert_remove": ("token", "name"),
    "alerts": ("token",),
}


class AlertEvents:
    """Takes the events, and holds the prices open that alerts wait for."""

    def __init__(self, alerts: Alerts, channels: Channels, emit: Emit) -> None:
        self._alerts, self._channels, self._emit = alerts, channels, emit
        self._handlers: dict[str, Callable[[str, Mapping[Any, Any]], list[Problem]]] = {
            "alert": self._set, "alert_remove": self._remove, "alerts": self._list,
        }  # fmt: skip
        self._holding: set[str] = set()  # tokens whose symbols' prices are held open

    def serve(self, event: str, sid: str, payload: object) -> list[Problem]:
        """Do what the client asks, or nothing: returns what is wrong with it."""
        if not isinstance(payload, Mapping):
            shape = f"must be an object; the fields are {', '.join(FIELDS[event])}"
            return [Problem("validation_error", f"payload {shape}", [{"field": "payload", "message": shape}])]
        if unknown := unknown_fields(payload, FIELDS[event]):
            return [unknown]
        try:
            return self._handlers[event](sid, payload)
        except FleetError as error:
            details = [{"field": one["field"], "message": one["message"]} for one in error.details]
            return [Problem(error.code, error.message, details)]

    def check(self) -> None:
        """About once a second: forget old alerts, let go of the prices that none waits for any more."""
        self._alerts.expire()
        for token in tuple(self._holding):
            self._let_go(token)

    def _set(self, sid: str, payload: Mapping[Any, Any]) -> list[Problem]:
        token = read_token(payload)
        wish = _read_one(payload)
        if wish.problems:
            return wish.problems
        alert = read_alert(payload, wish.topics[0].of)
        topics = self._channels.admit(_holder(token), wish)
        if wish.problems or not topics:
            return [_about_one(problem) for problem in wish.problems]
        self._alerts.put(token, alert)
        self._holding.add(token)
        self._channels.subscribe(_holder(token), topics, wish)
        self._emit(sid, "alert_set", alert.describe())
        self._alerts.attach(token, sid)
        if price := self._channels.held_price(alert.symbol):
            self._alerts.on_price(alert.symbol, price)
        return []

    def _remove(self, sid: str, payload: Mapping[Any, Any]) -> list[Problem]:
        name = read_name(payload)
        self._alerts.remove(read_token(payload), name)
        self._emit(sid, "alert_removed", {"name": name})
        return []

    def _list(self, sid: str, payload: Mapping[Any, Any]) -> list[Problem]:
        alerts = self._alerts.attach(read_token(payload), sid)
        self._emit(sid, "alerts", {"alerts": [alert.describe() for alert in alerts]})
        return []

    def _let_go(self, token: str) -> None:
        wanted = {Topic(PRICE, *symbol) for symbol in self._alerts.symbols(token)}
        held = set(self._channels.subscriptions.topics(_holder(token)))
        self._channels.unsubscribe(_holder(token), list(held - wanted))
        if not wanted:
            self._holding.discard(token)


def _read_one(payload: Mapping[Any, Any]) -> Wish:
    """The wish for an alert's one price. Raises InvalidInput."""
    symbol = read_symbol(payload.get("symbol"))
    if symbol is None:
        raise InvalidInput.field("symbol", "must be one symbol such as BTCUSDT: 1 to 32 letters, digits or _")
    return read_wish({"symbols": [symbol], "market": payload.get("market", SPOT)})


def _about_one(problem: Problem) -> Problem:
    """An alert has one `symbol`, where a wish has `symbols`."""
    return Problem(problem.code, problem.message, [one | {"field": "symbol"} for one in problem.details])


def _holder(token: str) -> str:
    """The name under which a token's alerts hold prices open; no connection has such a one."""
    return f"alerts of {token}"
