"""What several tests of auth-gateway use: the service in the process, with a clock of their own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from auth_gateway.migrate import migrate
from auth_gateway.service import build
from auth_gateway.settings import AuthSettings
from auth_gateway.stores.schema import metadata
from shared.service import Service
from shared.sql.sqlite import sqlite_url
from shared.testing.fakes import FakeClock
from shared.testing.migrations import engine_for
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


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty SQLite database at the newest migration, as the bytes of its file."""
    path = tmp_path_factory.mktemp("template") / "auth.sqlite3"
    migrate(sqlite_url(path))
    return path.read_bytes()


@pytest.fixture(scope="session")
def migrated_postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL database at the newest migration."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    migrate(url)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings that name an empty database, of each kind in turn."""
    if request.param == "sqlite":
        (tmp_path / "auth.sqlite3").write_bytes(request.getfixturevalue("migrated_sqlite"))
        return {}
    url: str = request.getfixturevalue("migrated_postgres")
    engine = engine_for(url)
    with engine.begin() as link:
        link.execute(sa.text(f"TRUNCATE {', '.join(metadata.tables)}"))
    engine.dispose()
    return {"DATABASE_URL": url}


def all_that_is_stored(settings: AuthSettings) -> str:
    """Every value of every row."""
    engine = engine_for(settings.store_url)
    with engine.connect() as link:
        rows = [tuple(row) for table in metadata.sorted_tables for row in link.execute(sa.select(table))]
    engine.dispose()
    return repr(rows)


@pytest.fixture
def settings(tmp_path: Path, place: dict[str, str]) -> AuthSettings:
    return settings_for(tmp_path, **place)


@pytest.fixture
def client(settings: AuthSettings) -> Iterator[Client]:
    yield from running(settings)


@pytest.fixture
def ada(client: Client) -> Client:
    """A client that is registered and logged in."""
    client.register()
    client.login()
    return client
