"""Without redis, prometheus_client, python-dotenv or sentry_sdk the users' imports and calls work all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

# What users write on a bare Flask app, every import and call of the contract's list.
USERS_APP = """
import sys
for name in sys.argv[1:]:
    sys.modules[name] = None  # an import of it now raises ImportError

from flask import Flask, jsonify
from shared.binance_client import BinanceClient
from shared.config import config
from shared.health_check import HealthCheck
from shared.logger import get_logger
from shared.metrics import MetricsCollector, track_time
from shared.rate_limiter import rate_limit
from shared.redis_cache import RedisCache
from shared.sentry_integration import capture_exception, init_sentry, set_user

app = Flask(__name__)
logger = get_logger(__name__, level=config.LOG_LEVEL)
health = HealthCheck(config.SERVICE_NAME, config.SERVICE_PORT)
cache = RedisCache(host=config.REDIS_HOST, port=config.REDIS_PORT, enabled=config.REDIS_ENABLED)
metrics = MetricsCollector(__name__, enabled=config.PROMETHEUS_ENABLED)
binance = BinanceClient()
health.add_dependency("cache", lambda: cache.is_available)
assert config.validate()
init_sentry("my-service", environment="production")

@app.route("/health")
def health_endpoint():
    return jsonify(health.get_health())

@app.route("/price")
@rate_limit(requests_per_minute=2)
@track_time(metrics)
def price():
    with logger.timed("price"):
        metrics.increment_counter("users_app_calls_total", symbol="BTCUSDT")
        metrics.set_gauge("users_app_gauge", 1)
        metrics.observe("users_app_seconds", 0.1)
        cache.set("price", {"price": 1}, ttl=5)
        cached = cache.get("price")
        cache.delete("price")
    return jsonify(cached)

try:
    raise ValueError("wrong")
except ValueError as error:
    set_user("7")
    capture_exception(error, context={"operation": "database_query"})

client = app.test_client()
assert client.get("/health").get_json()["service"] == "Unknown Service"
answers = [client.get("/price") for _ in range(3)]
assert [answer.status_code for answer in answers] == [200, 200, 429], answers
assert answers[0].get_json() == {"price": 1}
assert "Retry-After" in answers[2].headers
print("all of it works")
"""


@pytest.mark.parametrize(
    "missing",
    [[], ["redis"], ["prometheus_client"], ["dotenv"], ["sentry_sdk"],
     ["redis", "prometheus_client", "dotenv", "sentry_sdk"]],
    ids=lambda names: ",".join(names) or "none",
)  # fmt: skip
def test_the_users_imports_and_calls_work_without(missing: list[str], tmp_path: Path) -> None:
    # Port 1 refuses: no Redis that happens to run on this machine takes part.
    env = {"REDIS_PORT": "1", "SENTRY_DSN": "http://key@127.0.0.1:1/1"}
    ended = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", USERS_APP, *missing],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "all of it works" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
