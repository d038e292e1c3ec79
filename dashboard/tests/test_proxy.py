"""The calls that are passed on: true answers, true errors, bounded bodies, and nothing that isn't on the list."""

from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from shared.testing.net import wait_until
from trading_dashboard.allowed import CALLS

from .conftest import DashboardFleet

pytestmark = [pytest.mark.integration, pytest.mark.api]

OURS = "the proxy's tests"  # other files store signals in the same fleet
ABOUT = {"symbol": "BTCUSDT", "strategy": OURS}
SIGNALS: list[dict[str, Any]] = [
    {"signal_type": "BUY", "confidence": 0.85, "price": 61000, "stop_loss": 60000},
    {"signal_type": "SELL", "confidence": 0.4, "price": 61500, "leverage": 10},
]
TRADE = {"strategy": "breakout", "side": "LONG", "entry_price": 60000, "exit_price": 60600, "quantity": 0.1, "fees": 2}
SCENARIO = "/api/market-simulator/sim/scenario"
# What moves by itself between two asks.
MOVING = {
    "age_ms", "uptime", "seq", "price", "volume", "change", "changePercent", "timestamp", "update_id", "bids", "asks",
    "stale", "checked", "high", "low",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def stored(fleet: DashboardFleet) -> None:
    """Two signals, one of which breaks rules, and a closed trade."""
    base = fleet.database.base_url
    rows = [ABOUT | signal for signal in SIGNALS]
    assert urllib3.request("POST", f"{base}/signals/batch", json=rows).json()["stored"] == len(SIGNALS)
    assert urllib3.request("POST", f"{base}/performance/track", json=TRADE).status == 200


def still(value: Any) -> Any:
    """A document without what moves by itself."""
    if isinstance(value, dict):
        return {name: still(part) for name, part in value.items() if name not in MOVING}
    return value


READS = {
    "/signals/history": "?symbol=btcusdt&limit=10",
    "/signals/calibration": "",
    "/signals/audit": "?limit=10",
    "/performance/stats": "?strategy=breakout",
    "/price/<symbol>": "BTCUSDT",
    "/symbols": "",
    "/symbols/listed": "?market=futures",
    "/orderbook/<symbol>": "BTCUSDT?limit=5",
    "/sim/scenarios": "",
    "/sim/sessions": "",
}


@pytest.mark.parametrize("path", READS)
def test_a_read_answers_what_the_service_answers(fleet: DashboardFleet, path: str) -> None:
    call = next(call for call in CALLS if call.path == path)
    rest = path.partition("<")[0] + READS[path]
    own = urllib3.request("GET", fleet.services[call.service].base_url + rest)
    passed = fleet.ask(f"/api/{call.service}{rest}")
    assert passed.status == own.status == 200
    assert still(passed.json()) == still(own.json())
    assert passed.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/trades/BTCUSDT?limit=5", "/klines/BTCUSDT?limit=5&interval=5m"])
def test_rows_of_the_live_market_come_through_whole(fleet: DashboardFleet, path: str) -> None:
    own = fleet.streaming.get(path)["data"]
    passed = fleet.ask(f"/api/websocket-streaming{path}").json()["data"]
    rows = "trades" if "trades" in passed else "klines"
    assert len(passed[rows]) == len(own[rows]) == 5
    assert passed[rows][0].keys() == own[rows][0].keys()
    assert passed["symbol"] == "BTCUSDT"


@pytest.mark.parametrize("service", ["database-service", "websocket-streaming", "market-simulator"])
def test_a_services_counters_come_through(fleet: DashboardFleet, service: str) -> None:
    assert fleet.ask(f"/api/{service}/stats").json()["data"]["service"] == service


def test_the_verdict_on_a_signal_is_the_services_own(fleet: DashboardFleet) -> None:
    page = fleet.ask(f"/api/database-service/signals/history?strategy={quote(OURS)}").json()["data"]
    verdicts = {row["signal_type"]: (row["compliant"], row["violations"]) for row in page["signals"]}
    assert verdicts["BUY"] == (True, [])
    assert verdicts["SELL"] == (False, ["leverage_above_3", "confidence_below_65", "stop_loss_required"])


def test_an_export_is_streamed_as_the_service_writes_it(fleet: DashboardFleet) -> None:
    path = f"/signals/export?format=ndjson&strategy={quote(OURS)}"
    own = urllib3.request("GET", fleet.database.base_url + path)
    passed = fleet.ask(f"/api/database-service{path}")
    assert passed.data == own.data
    assert passed.data.count(b"\n") == len(SIGNALS)
    for name in ("Content-Type", "Content-Disposition"):
        assert passed.headers[name] == own.headers[name]


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/database-service/signals/history?limit=zero", 422, "limit"),
        ("/api/database-service/signals/history?limit=1&limit=2", 422, "limit"),
        ("/api/database-service/signals/history?nonsense=1", 422, "nonsense"),
        ("/api/database-service/signals/export?format=pdf", 422, "format"),
        ("/api/database-service/signals/history?symbol=a%20b%26limit", 422, "symbol"),
        ("/api/websocket-streaming/klines/BTCUSDT?interval=7m", 422, "interval"),
    ],
)
def test_what_a_service_refuses_is_passed_back_with_its_field(
    fleet: DashboardFleet, path: str, status: int, field: str
) -> None:
    answer = fleet.ask(path)
    assert answer.status == status
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == [field]


@pytest.mark.parametrize("symbol", ["NOSUCH", "..", ".", "%2e%2e", "..%2f..%2fstats", "a%2Fb", "%00", "BTC%3Flimit=1"])
def test_a_symbol_reaches_nothing_but_symbols(fleet: DashboardFleet, symbol: str) -> None:
    answer = fleet.ask(f"/api/websocket-streaming/price/{symbol}")
    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/database-service/signals/save", 404),
        ("GET", "/api/database-service/settings/me", 404),
        ("GET", "/api/database-service/metrics", 404),
        ("GET", "/api/market-simulator/api/v3/time", 404),
        ("POST", "/api/market-simulator/sim/session", 404),
        ("GET", "/api/nobody/stats", 404),
        ("GET", "/api/http://127.0.0.1:1/", 404),
        ("POST", "/api/database-service/signals/history", 405),
        ("DELETE", "/api/websocket-streaming/symbols", 405),
        ("PUT", "/api/market-simulator/sim/scenario", 405),
        ("POST", "/api/fleet", 405),
    ],
)
def test_what_is_not_on_the_list_is_refused(fleet: DashboardFleet, method: str, path: str, status: int) -> None:
    others = {name: process for name, process in fleet.services.items() if name != "dashboard"}
    before = {name: process.log.count("\n") for name, process in others.items()}
    answer = fleet.ask(path, method, json={} if method == "POST" else None)
    assert (answer.status, answer.json()["success"]) == (status, False)
    asked = [line for name, process in others.items() for line in process.log.splitlines()[before[name] :]]
    assert not [line for line in asked if "signals/save" in line or "sim/session" in line], "no service was asked"


def test_the_request_id_goes_with_the_call(fleet: DashboardFleet) -> None:
    answer = fleet.ask("/api/market-simulator/sim/scenarios", headers={"X-Request-ID": "from-the-page-1"})
    assert answer.headers["X-Request-ID"] == "from-the-page-1"
    wait_until(lambda: "from-the-page-1" in fleet.simulator.log, what="the simulator logs the call under that id")


def test_limits_of_a_service_come_back_with_when_to_retry() -> None:
    with DashboardFleet(RATE_LIMIT_ENABLED="true", RATE_LIMIT_SIGNALS_CALIBRATION="2") as limited:
        answers = [limited.ask("/api/database-service/signals/calibration") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
    assert answers[0].headers["X-RateLimit-Limit"] == "2"
    assert answers[2].json()["error"]["code"] == "rate_limited"


def test_a_scenario_begins_and_ends_from_the_own_page(fleet: DashboardFleet) -> None:
    own = {"Origin": fleet.dashboard.base_url}
    begun = fleet.ask(SCENARIO, "POST", json={"name": "pump", "symbol": "ETHUSDT", "duration_s": 600}, headers=own)
    assert begun.status == 200, begun.data
    ident = begun.json()["data"]["id"]
    status = fleet.ask("/api/market-simulator/sim/status").json()["data"]
    assert ident in str(status)
    ended = fleet.ask(f"{SCENARIO}/{ident}", "DELETE", headers=own)
    assert ended.status == 200
    assert ended.json()["data"]["id"] == ident
    assert fleet.ask(f"{SCENARIO}/nosuch-1", "DELETE", headers=own).status == 404


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:1", "https://evil.example", "null"])
def test_another_page_begins_and_ends_nothing(fleet: DashboardFleet, origin: str) -> None:
    headers = {"Origin": origin}
    begun = fleet.ask(SCENARIO, "POST", json={"name": "outage", "duration_s": 1}, headers=headers)
    ended = fleet.ask(f"{SCENARIO}/outage-1", "DELETE", headers=headers)
    assert [begun.status, ended.status] == [403, 403]
    assert begun.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_of_another_page_is_no_json(fleet: DashboardFleet, kind: str) -> None:
    answer = fleet.ask(SCENARIO, "POST", body=b'{"name": "outage"}', headers={"Content-Type": kind})
    assert (answer.status, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b'{"duration_s": NaN}', 400, None),
        (b"[" * 500 + b"]" * 500, 400, None),
        (b"[]", 422, "body"),
        (b'{"name": "outage", "colour": "red"}', 422, "colour"),
        (b'{"name": "outage", "duration_s": -1}', 422, "duration_s"),
        (b'{"name": "nosuch"}', 422, "name"),
        (b'{"name": "' + b"a" * 100_001 + b'"}', 413, None),
    ],
)
def test_a_bad_scenario_is_refused_with_its_field(
    fleet: DashboardFleet, body: bytes, status: int, field: str | None
) -> None:
    answer = fleet.ask(SCENARIO, "POST", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == status, answer.data
    details = answer.json()["error"]["details"]
    assert [detail["field"] for detail in details] == ([field] if field else [])
