"""Every call of database-service as the contract has it, over the service as it is built, in the process."""

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from database_service.config import DatabaseSettings

from .client import NOW, SIGNAL, Client, running, settings_for

pytestmark = [pytest.mark.api, pytest.mark.integration]
TRADE = {"strategy": "rsi", "pnl": 12.5}


# --- POST /signals/save


def test_save_signal_answers_as_documented(client: Client) -> None:
    assert client.post("/signals/save", SIGNAL) == {
        "success": True,
        "message": "Signal saved successfully",
        "signal_id": "BTCUSDT:2025-11-01T10:47:01.535448",
    }


def test_every_field_of_a_signal_comes_back(client: Client) -> None:
    fields = {
        "timestamp": "2025-11-01T13:00:00.5+03:00", "strategy": "rsi", "bot_id": "bot-1", "timeframe": "1h",
        "stop_loss": 108000.5, "take_profit": 115000.0, "leverage": 2.0,
        "indicators": {"rsi": 28.5, "deep": [{"a": None}]}, "metadata": {"note": "ğüş 💥"}, "signal_id": "my-1",
    }  # fmt: skip
    client.post("/signals/save", SIGNAL | fields)
    assert client.get("/signals/my-1")["data"] == SIGNAL | fields | {
        "timestamp": "2025-11-01T10:00:00.500000Z",
        "compliant": True,
        "violations": [],
    }


def test_a_lower_case_symbol_is_stored_upper_case(client: Client) -> None:
    assert client.save(symbol="btcusdt").startswith("BTCUSDT:")
    assert client.get("/signals/history", symbol="btcusdt")["data"]["count"] == 1


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT", "/", "//X", "BTC_USDT-PERP", "ÇĞİ", "日本", "x" * 32, "ß" * 32, "1000SHIB"]
)
def test_any_symbol_of_the_contract_can_be_saved_and_asked_for(client: Client, symbol: str) -> None:
    signal_id = client.save(symbol=symbol)
    assert client.get(f"/signals/{signal_id}")["data"]["signal_id"] == signal_id
    assert client.ids(symbol=symbol) == [signal_id]


@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        ({}, ["stop_loss_required"]),
        ({"stop_loss": 1}, []),
        ({"signal_type": "HOLD"}, []),
        ({"stop_loss": 1, "leverage": 3}, []),
        ({"leverage": 3.1, "confidence": 0.64}, ["leverage_above_3", "confidence_below_65", "stop_loss_required"]),
    ],
)
def test_a_signal_that_breaks_a_rule_is_kept_and_marked(
    client: Client, fields: dict[str, Any], violations: list[str]
) -> None:
    data = client.get(f"/signals/{client.save(**fields)}")["data"]
    assert (data["compliant"], data["violations"]) == (not violations, violations)


@pytest.mark.parametrize("field", ["symbol", "signal_type", "confidence", "price"])
def test_a_required_field_is_required(client: Client, field: str) -> None:
    body = {name: value for name, value in SIGNAL.items() if name != field}
    assert client.refused(422, "POST", "/signals/save", body)["fields"] == [field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", ""), ("symbol", "x" * 33), ("symbol", "BTC USDT"), ("symbol", "BTC:USDT"), ("symbol", "A~B"),
        ("symbol", 5), ("symbol", None), ("symbol", "½"), ("signal_type", "buy"), ("signal_type", "_BUY"),
        ("signal_type", "B" * 33), ("signal_type", "BUY\n"), ("signal_type", 1), ("confidence", 1.01),
        ("confidence", -0.1), ("confidence", "0.8"), ("confidence", True), ("confidence", None), ("price", 0),
        ("price", -1), ("price", "110000"), ("price", True), ("price", []), ("timestamp", "yesterday"),
        ("timestamp", 1700000000), ("timestamp", "2008-12-31T23:59:59Z"), ("timestamp", "2025-11-02T10:47:02Z"),
        ("timestamp", "9999-12-31T23:59:59-14:00"), ("timestamp", ""), ("strategy", ""), ("strategy", "x" * 65),
        ("bot_id", 7), ("timeframe", "x" * 17), ("stop_loss", 0), ("stop_loss", "1"), ("take_profit", -1),
        ("leverage", 0), ("leverage", 1001), ("indicators", []), ("indicators", {"a": "x" * 66000}), ("metadata", "{}"),
        ("signal_id", ""), ("signal_id", "a b"), ("signal_id", "a/b"), ("signal_id", "ç"), ("signal_id", "x" * 129),
        ("signal_id", "a\n"), ("nonsense", 1), ("compliant", True),
        *(("signal_id", word) for word in
          ("save", "batch", "history", "export", "audit", "calibration", "conflicts", ".", "..")),
    ],
)  # fmt: skip
def test_a_wrong_field_is_422_and_named(client: Client, field: str, value: Any) -> None:
    error = client.refused(422, "POST", "/signals/save", SIGNAL | {field: value})
    assert error["code"] == "validation_error"
    assert error["fields"] == [field]
    assert client.ids() == []


def test_an_object_nested_too_deep_is_422(client: Client) -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": deep}
    assert client.refused(422, "POST", "/signals/save", SIGNAL | {"metadata": deep})["fields"] == ["metadata"]


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", '{"price": NaN}', '{"price": 1e999}', '{"symbol": "\\ud800"}', "[" * 5000]
)
def test_what_is_no_json_is_400(client: Client, text: str) -> None:
    answer = client.send("POST", "/signals/save", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["code"] == "malformed"


def test_a_body_that_is_not_sent_as_json_is_415(client: Client) -> None:
    assert client.send("POST", "/signals/save", data="symbol=BTC").status_code == 415


@pytest.mark.parametrize("price", [1e308, 5e-324, 2**53 + 1, 10**300])
def test_extreme_numbers_are_stored(client: Client, price: float) -> None:
    assert client.get(f"/signals/{client.save(price=price)}")["data"]["price"] == float(price)


def test_a_timestamp_decides_the_id(client: Client) -> None:
    assert client.save(timestamp="2025-10-31T09:00:00+03:00") == "BTCUSDT:2025-10-31T06:00:00.000000"


def test_a_different_signal_at_the_same_place_gets_the_next_ordinal(client: Client) -> None:
    first = client.save()
    assert [client.save(price=2), client.save(price=3), client.save()] == [f"{first}~2", f"{first}~3", first]


def test_a_clients_id_is_kept_and_another_body_under_it_is_422(client: Client) -> None:
    assert client.save(signal_id="a:b.c_d~e-1") == "a:b.c_d~e-1"
    client.clock.advance(5)
    assert client.save(signal_id="a:b.c_d~e-1") == "a:b.c_d~e-1"
    body = SIGNAL | {"signal_id": "a:b.c_d~e-1", "price": 2}
    assert client.refused(422, "POST", "/signals/save", body)["fields"] == ["signal_id"]
    assert len(client.ids()) == 1


def test_an_idempotency_key_gives_the_same_answer_and_stores_once(client: Client) -> None:
    first = client.post("/signals/save", SIGNAL, "key-1")
    client.clock.advance(23 * 3600)
    assert client.post("/signals/save", dict(reversed(SIGNAL.items())), "key-1") == first
    assert len(client.ids()) == 1


def test_an_idempotency_key_with_another_body_is_422(client: Client) -> None:
    client.save("key-1")
    error = client.refused(422, "POST", "/signals/save", SIGNAL | {"price": 2}, headers={"Idempotency-Key": "key-1"})
    assert error["fields"] == ["Idempotency-Key"]


def test_a_key_means_something_else_on_another_route(client: Client) -> None:
    client.save("key-1")
    client.post("/performance/track", TRADE, "key-1")
    assert client.get("/performance/stats")["data"]["trades"] == 1


@pytest.mark.parametrize("key", ["x" * 256, "ç"])
def test_an_unusable_key_is_422(client: Client, key: str) -> None:
    error = client.refused(422, "POST", "/signals/save", SIGNAL, headers={"Idempotency-Key": key})
    assert error["fields"] == ["Idempotency-Key"]


# --- GET /signals/<signal_id>


def test_one_signal_says_where_it_comes_from(client: Client) -> None:
    document = client.get(f"/signals/{client.save()}")
    assert document["source"] == "database"
    assert document["data"]["symbol"] == "BTCUSDT"


@pytest.mark.parametrize("path", ["nobody", "x" * 2000, "%00", "%ff", "a%20b", "'--"])
def test_an_unknown_signal_is_404(client: Client, path: str) -> None:
    assert client.refused(404, "GET", f"/signals/{path}")["code"] == "not_found"


# --- GET /signals/history


def test_history_is_the_documented_document(client: Client) -> None:
    signal_id = client.save()
    assert client.get("/signals/history")["data"] == {
        "count": 1,
        "source": "database",
        "next_cursor": None,
        "signals": [
            SIGNAL
            | {
                "signal_id": signal_id,
                "timestamp": "2025-11-01T10:47:01.535448Z",
                "compliant": False,
                "violations": ["stop_loss_required"],
            }
        ],
    }


def test_history_pages_by_cursor_newest_first(client: Client) -> None:
    saved = [client.save(signal_id=str(n), timestamp=(NOW + timedelta(seconds=n // 2)).isoformat()) for n in range(25)]
    seen, query = [], {"limit": "10"}
    while True:
        data = client.get("/signals/history", **query)["data"]
        seen += [signal["signal_id"] for signal in data["signals"]]
        if data["next_cursor"] is None:
            break
        query["cursor"] = data["next_cursor"]
    assert seen == saved[::-1]


def test_history_filters(client: Client) -> None:
    client.save(signal_id="a", strategy="rsi", timestamp="2025-10-01T00:00:00Z")
    client.save(signal_id="b", bot_id="bot", timestamp="2025-10-02T00:00:00Z", signal_type="SELL")
    client.save(signal_id="c", symbol="ETHUSDT", timestamp="2025-10-03T00:00:00Z", confidence=0.99)
    assert client.ids(symbol="ethusdt") == ["c"]
    assert client.ids(signal_type="SELL") == ["b"]
    assert client.ids(strategy="rsi") == ["a"]
    assert client.ids(bot_id="bot") == ["b"]
    assert client.ids(min_confidence="0.9") == ["c"]
    assert client.ids(**{"from": "2025-10-02", "to": "2025-10-03T00:00:00Z"}) == ["b"]
    assert client.ids(**{"from": "2025-10-02T03:00:00+03:00"}) == ["c", "b"]


def test_history_gives_100_unless_told(client: Client) -> None:
    for n in range(101):
        client.save(price=n + 1)
    assert client.get("/signals/history")["data"]["count"] == 100
    assert client.get("/signals/history", limit=1000)["data"]["count"] == 101


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "1001"), ("limit", "0"), ("limit", "ten"), ("limit", "9" * 30), ("min_confidence", "2"),
        ("min_confidence", "nan"), ("from", "yesterday"), ("to", "9" * 50), ("cursor", "x"), ("cursor", "x" * 500),
        ("cursor", "MQ"), ("symbol", "a b"), ("signal_type", "buy"), ("nonsense", "1"), ("strategy", "x" * 65),
        ("strategy", "\x00"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_422_and_named(client: Client, field: str, value: str) -> None:
    assert client.refused(422, "GET", "/signals/history", query_string={field: value})["fields"] == [field]


def test_history_outlives_a_restart(embedded: DatabaseSettings) -> None:
    for first in running(embedded):
        saved = first.save("key-1")
    for second in running(embedded):
        assert second.ids() == [saved]
        second.clock.advance(60)
        assert second.save("key-1") == saved
        assert second.get("/stats")["data"]["signal_count"] == 1


# --- performance


def test_track_answers_as_documented(client: Client) -> None:
    document = client.post("/performance/track", TRADE)
    assert document["message"] == "Performance tracked successfully"
    assert isinstance(document["performance_id"], str)
    assert document.keys() == {"success", "message", "performance_id"}


@pytest.mark.parametrize(
    ("side", "entry", "exit_", "quantity", "fees", "pnl"),
    [
        ("LONG", 100.1, 100.4, 3, 0.2, 0.7),
        ("SHORT", 100.1, 100.4, 3, 0.2, -1.1),
        ("LONG", 110000, 111000, 0.01, None, 10.0),
        ("SHORT", 0.00001234, 0.00001134, 1e9, 0, 1000.0),
    ],
)
def test_profit_is_computed_net_of_fees_and_exactly(
    client: Client, side: str, entry: float, exit_: float, quantity: float, fees: float | None, pnl: float
) -> None:
    body = {"strategy": "s", "side": side, "entry_price": entry, "exit_price": exit_, "quantity": quantity}
    client.post("/performance/track", body | {"fees": fees})
    assert client.get("/performance/stats")["data"]["total_pnl"] == pnl


def test_a_given_profit_is_net_already(client: Client) -> None:
    client.post("/performance/track", TRADE | {"fees": 5})
    assert client.get("/performance/stats")["data"]["total_pnl"] == 12.5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"pnl": 1}, "strategy"), ({"strategy": "s"}, "pnl"), (TRADE | {"pnl": "1"}, "pnl"),
        (TRADE | {"pnl": 1e308}, "pnl"), (TRADE | {"pnl": True}, "pnl"), (TRADE | {"side": "BUY"}, "side"),
        ({"strategy": "s", "side": "LONG", "entry_price": 1, "exit_price": 2}, "pnl"),
        ({"strategy": "s", "side": "LONG", "entry_price": 1e15, "exit_price": 1, "quantity": 1e15}, "pnl"),
        (TRADE | {"quantity": 0}, "quantity"), (TRADE | {"closed_at": "soon"}, "closed_at"),
        (TRADE | {"opened_at": "2025-11-02T00:00:00Z"}, "opened_at"), (TRADE | {"nonsense": 1}, "nonsense"),
        (TRADE | {"symbol": "a b"}, "symbol"), (TRADE | {"fees": "1"}, "fees"), (TRADE | {"leverage": 0}, "leverage"),
        (TRADE | {"metadata": 1}, "metadata"),
    ],
)  # fmt: skip
def test_a_wrong_trade_is_422_and_the_field_is_named(client: Client, body: dict[str, Any], field: str) -> None:
    assert client.refused(422, "POST", "/performance/track", body)["fields"] == [field]


def test_a_trade_is_tracked_once_under_its_key(client: Client) -> None:
    first = client.post("/performance/track", TRADE, "key-1")
    client.clock.advance(60)
    assert client.post("/performance/track", TRADE, "key-1") == first
    body = TRADE | {"pnl": 1}
    client.refused(422, "POST", "/performance/track", body, headers={"Idempotency-Key": "key-1"})
    assert client.get("/stats")["data"]["performance_count"] == 1


def test_statistics_are_the_documented_document(client: Client) -> None:
    for n, (strategy, pnl) in enumerate([("rsi", 10), ("rsi", -5), ("macd", 20), ("rsi", 0)]):
        closed_at = (NOW + timedelta(minutes=n)).isoformat()
        client.post("/performance/track", {"strategy": strategy, "pnl": pnl, "closed_at": closed_at})
    data = client.get("/performance/stats")["data"]
    assert data["equity_curve"][-1] == {"timestamp": "2025-11-01T10:50:01.535448Z", "equity": 25.0}
    assert [point["equity"] for point in data["equity_curve"]] == [10, 5, 25, 25]
    assert data["by_strategy"].keys() == {"rsi", "macd"}
    assert data["by_strategy"]["macd"]["total_pnl"] == 20
    del data["equity_curve"], data["by_strategy"]
    assert data.pop("sharpe") == pytest.approx(6.25 / math.sqrt((3.75**2 + 11.25**2 + 13.75**2 + 6.25**2) / 3))
    assert data == {
        "strategy": None, "trades": 4, "wins": 2, "losses": 1, "win_rate": 50.0, "total_pnl": 25.0,
        "average_pnl": 6.25, "best": 20.0, "worst": -5.0, "profit_factor": 6.0, "expectancy": 6.25,
        "sortino": pytest.approx(2.5), "max_drawdown": 5.0, "max_drawdown_pct": 50.0, "source": "database",
    }  # fmt: skip


def test_statistics_of_one_strategy_symbol_bot_or_time(client: Client) -> None:
    client.post("/performance/track", TRADE | {"symbol": "btcusdt", "closed_at": "2025-10-01T00:00:00Z"})
    client.post("/performance/track", {"strategy": "macd", "pnl": -2, "bot_id": "bot"})
    for query in ({"strategy": "macd"}, {"bot_id": "bot"}, {"from": "2025-10-02"}):
        assert client.get("/performance/stats", **query)["data"]["total_pnl"] == -2
    for query in ({"symbol": "BTCUSDT"}, {"to": "2025-10-02"}):
        assert client.get("/performance/stats", **query)["data"]["total_pnl"] == 12.5
    assert client.get("/performance/stats", strategy="macd")["data"]["strategy"] == "macd"


def test_statistics_of_nothing_are_null_never_nan(client: Client) -> None:
    data = client.get("/performance/stats")["data"]
    assert (data["trades"], data["total_pnl"], data["equity_curve"], data["by_strategy"]) == (0, 0, [], {})
    undefined = {"win_rate", "average_pnl", "best", "worst", "profit_factor", "expectancy", "sharpe", "sortino"}
    assert all(data[name] is None for name in undefined)


# --- settings


def test_settings_never_saved_are_404(client: Client) -> None:
    assert client.refused(404, "GET", "/settings/ann")["code"] == "not_found"


def test_settings_are_saved_under_a_new_version(client: Client) -> None:
    assert client.put("/settings/ann", {"settings": {"theme": "dark"}})["version"] == 1
    saved = client.put("/settings/ann", {"version": 1, "settings": {"theme": "light", "deep": {"a": [1, None]}}})
    assert saved == client.get("/settings/ann")
    assert saved == {"success": True, "version": 2, "settings": {"theme": "light", "deep": {"a": [1, None]}}}


def test_a_stale_version_is_409_and_changes_nothing(client: Client) -> None:
    client.put("/settings/ann", {"version": 0, "settings": {"a": 1}})
    for stale in (0, 2, 2**53 - 1):
        error = client.refused(409, "PUT", "/settings/ann", {"version": stale, "settings": {"a": 2}})
        assert (error["code"], error["fields"]) == ("conflict", ["version"])
    assert client.get("/settings/ann")["settings"] == {"a": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "settings"), ({"settings": []}, "settings"), ({"version": -1, "settings": {}}, "version"),
        ({"version": "1", "settings": {}}, "version"), ({"version": 2**60, "settings": {}}, "version"),
        ({"settings": {"a": "x" * 70000}}, "settings"), ({"settings": {}, "b": 1}, "b"),
    ],
)  # fmt: skip
def test_wrong_settings_are_422_and_the_field_is_named(client: Client, body: dict[str, Any], field: str) -> None:
    assert client.refused(422, "PUT", "/settings/ann", body)["fields"] == [field]


@pytest.mark.parametrize("user", ["x" * 129, "a%0ab"])
def test_an_unusable_user_is_422(client: Client, user: str) -> None:
    assert client.refused(422, "GET", f"/settings/{user}")["fields"] == ["user"]


# --- counters, health, modes


def test_stats_and_health_count(client: Client) -> None:
    client.save()
    client.post("/performance/track", TRADE)
    data = client.get("/stats")["data"]
    assert (data["signal_count"], data["performance_count"], data["storage_mode"]) == (1, 1, "database")
    health = client.send("GET", "/health").get_json()
    assert health["metrics"] == {"signal_count": 1, "performance_count": 1, "white_hat_mode": True}
    assert health["status"] == "healthy"
    assert health["dependencies"]["database"]["status"] == "healthy"


def test_without_a_database_every_answer_says_that_it_is_not_durable(memory_client: Client) -> None:
    saved = memory_client.post("/signals/save", SIGNAL)
    assert saved["durable"] is False
    assert memory_client.post("/performance/track", TRADE)["durable"] is False
    assert memory_client.get("/signals/history")["data"]["source"] == "memory"
    assert memory_client.get("/performance/stats")["data"]["source"] == "memory"
    assert memory_client.get("/stats")["data"]["storage_mode"] == "memory"


def test_without_a_database_health_is_degraded_with_http_200(memory_client: Client) -> None:
    answer = memory_client.send("GET", "/health")
    assert answer.status_code == 200
    assert answer.get_json()["status"] == "degraded"
    assert answer.get_json()["dependencies"]["database"]["status"] == "unhealthy"


def test_limits_are_the_contracts_and_one_variable_each(tmp_path: Path, migrated_sqlite: bytes) -> None:
    (tmp_path / "database.sqlite3").write_bytes(migrated_sqlite)
    given = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_SIGNALS_GET": "2"}
    for client in running(settings_for(tmp_path, **given)):
        limits = {(spec.method, spec.path): spec.limit for spec in client.service.routes if spec.limit}
        assert limits == limits | {
            ("POST", "/signals/save"): 100, ("POST", "/signals/batch"): 100, ("GET", "/signals/export"): 10,
            ("GET", "/signals/audit"): 10, ("GET", "/signals/calibration"): 10, ("POST", "/signals/calibration"): 10,
            ("GET", "/signals/<any:signal_id>"): 2, ("GET", "/signals/history"): 200,
            ("POST", "/performance/track"): 100, ("GET", "/performance/stats"): 200, ("GET", "/settings/<user>"): 100,
            ("PUT", "/settings/<user>"): 100,
        }  # fmt: skip
        statuses = [client.send("GET", "/signals/nobody").status_code for _ in range(3)]
        assert statuses == [404, 404, 429]


def test_the_first_start_migrates_and_makes_its_folder(tmp_path: Path) -> None:
    for client in running(settings_for(tmp_path / "new" / "folder")):
        assert client.ids() == []
        client.save()


@pytest.mark.parametrize("path", ["/signals/save", "/signals/batch"])
def test_reading_a_path_that_only_takes_posts_is_405_and_says_so(client: Client, path: str) -> None:
    assert client.refused(405, "GET", path)["code"] == "method_not_allowed"
