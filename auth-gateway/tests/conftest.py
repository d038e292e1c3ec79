"""What several tests of auth-gateway use: the service in the process, with a clock of their own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from auth_gateway.service import build
from auth_gateway.settings import AuthSettings
from shared.service import Service
from shared.testing.fakes import FakeClock
from shared.testing.servers import PostgresServer

NOW = datetime(2026, 11, 1, 10, 47, tzinfo=UTC)
ADA = {"email": "ada@example.org", "username": "ada", "password": "correct horse battery"}
SECRET = "a secret of more than thirty-two bytes"


class Client:
    """Talks to one service; `token` goes with every request once there is one."""

    def __init__(self, service: Service, clock: FakeClock):
        self.service, self.clock, self._http = service, clock, service.app.test_client()
        self.headers: dict[str, str] = {}

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> TestResponse:
        return self._http.open(path, method=method, json=body, headers=self.headers if headers is None else headers)

    def ok(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        answer = self.send(method, path, body, headers)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.get_json()
        return document.get("data", document)

    def refused(self, status: int, method: str, path: str, body: Any = None, headers: Any = None) -> dict[str, Any]:
        answer = self.send(method, path, body, headers)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.get_json()["error"]
        return error | {"fields": [detail["field"] for detail in error["details"]]}

    def register(self, **fields: str) -> dict[str, Any]:
        account: dict[str, Any] = self.ok("POST", "/auth/register", ADA | fields)
        return account

    def login(self, **fields: str) -> dict[str, Any]:
        """A session; its access token goes with every later request."""
        asked = {"email": ADA["email"], "password": ADA["password"]} | fields
        tokens: dict[str, Any] = self.ok("POST", "/auth/login", asked)
        self.headers = bearer(tokens["access_token"])
        return tokens


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def settings_for(folder: Path, **given: str) -> AuthSettings:
    environ = {"VAR_DIR": str(folder), "REDIS_ENABLED": "false", "RATE_LIMIT_ENABLED": "false", "AUTH_SECRET": SECRET}
    return AuthSettings.read(environ | given, folder)


def running(settings: AuthSettings) -> Iterator[Client]:
    clock = FakeClock(NOW)
    service = build(settings, clock)
    service.start()
    yield Client(service, clock)
    service.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    given = {}
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        given["DATABASE_URL"] = server.create_database()
    yield from running(settings_for(tmp_path, **given))


@pytest.fixture
def ada(client: Client) -> Client:
    """A client that is registered and logged in."""
    client.register()
    client.login()
    return client
