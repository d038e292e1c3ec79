"""The calls of other services that the page may make, declared once: what isn't here is 404, or 405.

Paths are the services' own. Answers of the `streamed` types are passed on as they come: an export has no size that
anybody knows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one service; `quiet` ones are asked for all the time and leave no log line when all is well."""

    service: str
    method: str
    path: str
    summary: str
    quiet: bool = False
    streamed: tuple[str, ...] = ()

    @property
    def own_path(self) -> str:
        """Where the dashboard offers it: as the gateway will."""
        return f"/api/{self.service}{self.path}"


EXPORTS = ("text/csv", "application/x-ndjson", "application/vnd.apache.parquet")

CALLS = (
    Call("database-service", "GET", "/signals/history", "Signals, newest first", quiet=True),
    Call("database-service", "GET", "/signals/calibration", "Hit rate per confidence band", quiet=True),
    Call("database-service", "GET", "/signals/audit", "The audit chain's proof and head"),
    Call("database-service", "GET", "/signals/export", "All signals of a filter, streamed", streamed=EXPORTS),
    Call("database-service", "GET", "/performance/stats", "What the closed trades say", quiet=True),
    Call("database-service", "GET", "/stats", "Counters of database-service", quiet=True),
    Call("websocket-streaming", "GET", "/price/<symbol>", "The newest price of a symbol", quiet=True),
    Call("websocket-streaming", "GET", "/symbols", "The symbols streamed now", quiet=True),
    Call("websocket-streaming", "GET", "/symbols/listed", "Every symbol of a market", quiet=True),
    Call("websocket-streaming", "GET", "/orderbook/<symbol>", "The order book of a symbol", quiet=True),
    Call("websocket-streaming", "GET", "/trades/<symbol>", "The newest trades of a symbol", quiet=True),
    Call("websocket-streaming", "GET", "/klines/<symbol>", "The newest klines of a symbol", quiet=True),
    Call("websocket-streaming", "GET", "/stats", "Counters of websocket-streaming", quiet=True),
    Call("market-simulator", "GET", "/sim/scenarios", "The scenarios and their parameters"),
    Call("market-simulator", "GET", "/sim/status", "Ground truth: the market, and every lie told", quiet=True),
    Call("market-simulator", "GET", "/sim/sessions", "Private markets that are open", quiet=True),
    Call("market-simulator", "GET", "/stats", "Counters of market-simulator", quiet=True),
    Call("market-simulator", "POST", "/sim/scenario", "Begin a scenario"),
    Call("market-simulator", "DELETE", "/sim/scenario/<scenario_id>", "End a scenario"),
)
