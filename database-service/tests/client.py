"""A client of one service in the process, and how such a service is built for a test."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from werkzeug.test import TestResponse

from database_service.config import DatabaseSettings
from database_service.service import build
from shared.service import Service
from shared.testing.fakes import FakeClock

NOW = datetime(2025, 11, 1, 10, 47, 1, 535448, tzinfo=UTC)
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}


class Client:
    """Talks to one service; answers as (status, document)."""

    def __init__(self, service: Service, clock: FakeClock):
        self.service, self.clock, self._http = service, clock, service.app.test_client()

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        return self._http.open(path, method=method, json=body, **options)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self.ok(self.send("GET", path, query_string=query))

    def post(self, path: str, body: Any, key: str | None = None) -> dict[str, Any]:
        return self.ok(self.send("POST", path, body, headers={"Idempotency-Key": key} if key else {}))

    def put(self, path: str, body: Any) -> dict[str, Any]:
        return self.ok(self.send("PUT", path, body))

    def save(self, key: str | None = None, **fields: Any) -> str:
        identity: str = self.post("/signals/save", SIGNAL | fields, key)["signal_id"]
        return identity

    def ids(self, **query: Any) -> list[str]:
        return [signal["signal_id"] for signal in self.get("/signals/history", **query)["data"]["signals"]]

    @staticmethod
    def ok(answer: TestResponse) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.get_json()
        assert document["success"] is True
        return document

    def refused(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """The error's document; `fields` are the names of the wrong fields."""
        answer = self.send(method, path, body, **options)
        assert answer.status_code == status, answer.text
        document: dict[str, Any] = answer.get_json()
        assert document["success"] is False
        error: dict[str, Any] = document["error"]
        return error | {"fields": [detail["field"] for detail in error["details"]]}


def settings_for(folder: Path, **given: str) -> DatabaseSettings:
    environ = {"VAR_DIR": str(folder), "REDIS_ENABLED": "false", "RATE_LIMIT_ENABLED": "false"} | given
    return DatabaseSettings.read(environ, folder)


def running(settings: DatabaseSettings) -> Iterator[Client]:
    clock = FakeClock(NOW)
    service = build(settings, clock)
    service.start()
    yield Client(service, clock)
    service.stop()
