"""R20: no secret of the settings shows in logs, health, metrics, errors or stats, whatever goes wrong."""

import json
import urllib.parse
from collections.abc import Iterator

import pytest
import urllib3

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer
from tests.faults.conftest import NAMES, Start
from tests.faults.garbage import bad_requests, operations
from tests.faults.scale import scaled

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api]

CANARY = "canary-7Qx@/é"
QUOTED = urllib.parse.quote(CANARY, safe="")
FORM = "canary-7Qx"  # stands in every form in which the canary could show: plain, percent-encoded, in JSON
SECRETS = {
    "DB_PASSWORD": CANARY,
    "GRAFANA_PASSWORD": CANARY,
    "SENTRY_DSN": "http://canary-7Qx@127.0.0.1:1/1",
    "REDIS_URL": f"redis://:{QUOTED}@127.0.0.1:1/0",
    "REDIS_ENABLED": "true",  # away, so that its errors are told
    "LOG_LEVEL": "DEBUG",
    "AUTH_SECRET": f"{FORM}, the key that signs access tokens",
    "AUTH_SECRET_OLD": f"{FORM}, the key that signed them before",
    "FLEET_SECRET": f"{FORM}, the key that signs the vouchers",
}


def everything(service: ServiceProcess) -> Iterator[str]:
    """All that a stranger may read, errors of many kinds included."""
    for path in ("/health", "/stats", "/metrics", "/openapi.json", "/docs", "/health/ready", "/nothing"):
        answer = urllib3.request("GET", service.base_url + path, retries=False)
        yield f"{dict(answer.headers)} {answer.data.decode()}"
    calls = operations(service.get("/openapi.json"))
    pool = urllib3.HTTPConnectionPool("127.0.0.1", service.port, timeout=30, retries=False)
    for bad in bad_requests(calls, scaled(5000, at_least=200), seed=20):
        answer = pool.request(bad.method, bad.path, body=bad.body, headers=bad.headers, redirect=False)
        yield f"{dict(answer.headers)} {answer.data.decode('utf-8', 'replace')}"


def assert_no_secret(texts: Iterator[str] | list[str]) -> int:
    """Returns the number of texts looked through."""
    read = 0
    for text in texts:
        assert FORM not in text, text[:2000]
        read += 1
    return read


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("name", NAMES)
def test_a_running_service_shows_no_secret(start: Start, name: str, log_format: str) -> None:
    with start(name, **SECRETS, LOG_FORMAT=log_format) as service:
        count = assert_no_secret(everything(service))
        assert service.stop() == 0
        assert_no_secret([service.log])
        print(f"\nR20 {name} {log_format}: {count} answers and {len(service.log):,} characters of log, no canary")


def test_the_gateway_logs_and_answers_nothing_that_opens_it(start: Start) -> None:
    """What clients send and are given once: passwords, tokens, keys, a hook's secret and its address."""
    with start("auth-gateway", LOG_LEVEL="DEBUG", SERVICE_URLS="database-service=http://127.0.0.1:1") as gateway:

        def post(path: str, body: object, headers: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
            return urllib3.request("POST", gateway.base_url + path, json=body, headers=headers, retries=False)

        ada = {"username": "ada", "password": f"{FORM} and more"}
        post("/auth/register", ada | {"email": "ada@example.org"})
        tokens = post("/auth/login", ada).json()["data"]
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        key = post("/auth/keys", {"name": "bot"}, bearer).json()["data"]["key"]
        hook = post("/auth/hooks", {"name": "chart", "proof": "address_and_secret"}, bearer).json()["data"]
        secrets = [tokens["access_token"], tokens["refresh_token"], key, hook["secret"], ada["password"]]
        answers = [
            post("/auth/login", ada | {"password": f"{FORM} is wrong"}),
            post("/auth/register", ada | {"email": "no address"}),
            post("/auth/password", {"old_password": f"{FORM} x", "new_password": f"{FORM} y"}, bearer),
            post("/auth/refresh", {"refresh_token": tokens["refresh_token"] + "x"}),
            post("/auth/refresh", {"refresh_token": FORM * 40}),
            post("/auth/logout", {}, {"X-API-Key": key}),
            post(hook["path"], {"symbol": "BTCUSDT", "secret": hook["secret"]}),
            post(hook["path"], {"symbol": FORM, "secret": "tfh_wrong"}),
            urllib3.request("GET", f"{gateway.base_url}/auth/validate?access_token={tokens['access_token']}"),
            urllib3.request("GET", f"{gateway.base_url}/api/database-service/{key}", headers={"X-API-Key": key}),
            urllib3.request("GET", f"{gateway.base_url}/auth/keys", headers=bearer),
            urllib3.request("GET", f"{gateway.base_url}/metrics", headers=bearer),
        ]
        for answer in answers:
            said = f"{dict(answer.headers)} {answer.data.decode()}"
            assert not [secret for secret in secrets if secret in said], said
            assert FORM not in said
        assert gateway.stop() == 0
        named_by_the_client_itself = gateway.log.replace(f"/api/database-service/{key}", "")
        assert not [secret for secret in [*secrets, FORM, hook["id"]] if secret in named_by_the_client_itself]


@pytest.mark.database
def test_a_database_that_goes_away_takes_no_secret_with_it(start: Start, private_postgres: PostgresServer) -> None:
    url = private_postgres.create_database().replace("postgres@", f"postgres:{QUOTED}@")
    saved = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000.0}
    with start("database-service", DATABASE_URL=url, SENTRY_DSN=SECRETS["SENTRY_DSN"]) as service:
        assert_no_secret([json.dumps(service.get("/health"))])
        private_postgres.kill()

        def away() -> bool:
            answer = urllib3.request("GET", f"{service.base_url}/health", retries=False)
            assert_no_secret([answer.data.decode()])
            return bool(answer.json()["status"] != "healthy")

        wait_until(away, 20, what="health says that the database is away")
        trade = {"strategy": "s", "pnl": 1.0}
        for path, body, status in (("/signals/save", saved, 200), ("/performance/track", trade, 200)):
            answer = urllib3.request("POST", service.base_url + path, json=body, timeout=20, retries=False)
            assert answer.status == status
            assert_no_secret([f"{dict(answer.headers)} {answer.data.decode()}"])
        for path in ("/signals/history", "/performance/stats", "/stats", "/metrics"):
            answer = urllib3.request("GET", service.base_url + path, timeout=20, retries=False)
            assert_no_secret([f"{dict(answer.headers)} {answer.data.decode()}"])
        assert_no_secret([service.log])


@pytest.mark.parametrize(
    "url", [f"mysql://u:{QUOTED}@h/d", f"postgresql://u:{QUOTED}@[h/d", f"postgresql://u:{QUOTED}@127.0.0.1:1/d"]
)
def test_a_wrong_or_dead_database_url_is_told_without_its_password(start: Start, url: str) -> None:
    with start("database-service", DATABASE_URL=url).start(wait=False) as service:
        told = "the database is not available"
        wait_until(lambda: not service.running or told in service.log, 30, what="it ends, or says what is wrong")
        assert "DATABASE_URL=(hidden)" in service.log or told in service.log
        assert_no_secret([service.log])
