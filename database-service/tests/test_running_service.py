"""The service as it runs, a process under gevent: the contract, crashes under load, a database that goes away."""

import json
import os
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import urllib3

from database_service.stores.schema import performance
from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import sqlite_engine, sqlite_url
from shared.testing.contract import ServiceContract
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer, RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.api]
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}
TRADE = {"strategy": "rsi", "pnl": 1.5}
UNLIMITED = {"RATE_LIMIT_ENABLED": "false", "ACCESS_LOG": "false"}
SCALE = float(os.environ.get("FAULTS_SCALE", "0.1"))  # 1 is full length, as in tests/faults
CLIENTS = 200 if SCALE >= 1 else 20
KILLS = max(2, round(20 * SCALE))
AWAY_S = 60 * SCALE
JSON = {"Content-Type": "application/json"}
http = urllib3.PoolManager(maxsize=200, timeout=10, retries=False)


def post(service: ServiceProcess, path: str, body: Any, key: str | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    answer = http.request("POST", service.base_url + path, body=json.dumps(body), headers=headers)
    return answer.status, answer.json()


def assert_away(method: str, url: str, **sent: Any) -> None:
    """503, saying when to come again."""
    answer = http.request(method, url, **sent)
    assert (answer.status, int(answer.headers["Retry-After"]) >= 1) == (503, True)


def whole_history(service: ServiceProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query = "?limit=1000"
    while True:
        data = service.get(f"/signals/history{query}")["data"]
        found += data["signals"]
        if data["next_cursor"] is None:
            return found
        query = f"?limit=1000&cursor={data['next_cursor']}"


class Writers:
    """Clients that save as fast as they are answered, and repeat each save, under its key, until it is.

    Of five, three save single signals, one batches of three and one trades.
    """

    def __init__(self, service: ServiceProcess, clients: int):
        self.acknowledged: dict[str, list[str]] = {}  # key → ids
        self.other_statuses: Counter[int] = Counter()
        self.reasons: Counter[str] = Counter()  # of the other statuses
        self.slowest_s = 0.0
        self._service, self._stop = service, threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(clients)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads)

    def more(self, count: int) -> None:
        """Return when so many more are acknowledged."""
        goal = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= goal, 30, what=f"{count} more acknowledged saves")

    def _write(self, client: int) -> None:
        save = (self._signal, self._signal, self._signal, self._batch, self._trade)[client % 5]
        number = 0
        while not self._stop.is_set():
            number += 1
            key = f"{client}-{number}"
            while key not in self.acknowledged:
                self._try(key, save)

    def _try(self, key: str, save: Callable[[str], tuple[int, Any, str]]) -> None:
        begun = time.monotonic()
        try:
            status, answer, names = save(key)
        except urllib3.exceptions.HTTPError:
            self._stop.wait(0.02)  # the service is away: ask again, but not thousands of times a second
            return
        if status == 200:
            self.acknowledged[key] = [row[names] for row in answer.get("results", [answer])]
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        else:
            self.other_statuses[status] += 1
            self.reasons[answer["error"]["message"]] += 1
            self._stop.wait(0.02)

    def _signal(self, key: str) -> tuple[int, Any, str]:
        return *post(self._service, "/signals/save", SIGNAL | {"metadata": {"key": key}}, key), "signal_id"

    def _batch(self, key: str) -> tuple[int, Any, str]:
        rows = [SIGNAL | {"metadata": {"key": f"{key}.{n}"}} for n in range(3)]
        return *post(self._service, "/signals/batch?atomic=true", rows, key), "signal_id"

    def _trade(self, key: str) -> tuple[int, Any, str]:
        return *post(self._service, "/performance/track", TRADE | {"bot_id": key}, key), "performance_id"

    def wait_drained(self) -> None:
        """Return when nothing waits in a spool: until then the database may be missing in what history merges."""
        wait_until(lambda: self._service.get("/stats")["data"]["storage_mode"] == "database", 10, what="drained")

    def assert_all_stored_once(self, others: int = 0) -> None:
        """0 acknowledged lost, 0 stored twice; `others` signals are of other clients."""
        self.wait_drained()
        every = whole_history(self._service)
        rows = [signal for signal in every if "metadata" in signal]
        assert len(every) - len(rows) == others
        found = [(signal["metadata"]["key"], signal["signal_id"]) for signal in rows] + stored_trades(self._service)
        stored = dict(found)
        assert len(found) == len(stored), "stored twice"
        for key, ids in self.acknowledged.items():
            keys = [key] if len(ids) == 1 else [f"{key}.{n}" for n in range(len(ids))]
            assert [stored.get(one) for one in keys] == ids, f"{key} was acknowledged and lost"


def stored_trades(service: ServiceProcess) -> list[tuple[str, str]]:
    """Key and id of each trade, from the database itself."""
    url = service.env.get("DATABASE_URL")
    engine = postgres_engine(url) if url else sqlite_engine(sqlite_url(service.var_dir / "database.sqlite3"))
    with engine.connect() as link:
        found = link.execute(sa.select(performance.c.bot_id, performance.c.performance_id)).all()
    engine.dispose()
    return [(row.bot_id, row.performance_id) for row in found]


@pytest.fixture(scope="module", params=["true", "false"], ids=["with the lane", "without"])
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with ServiceProcess("database-service", {"HOT_LANE": request.param}) as running:
        yield running.base_url


class TestContract(ServiceContract):
    """What every service of the fleet keeps."""

    name, title = "database-service", "Database Service"


def test_a_signal_saved_by_the_lane_is_answered_like_any_other() -> None:
    """The same requests to a service with the lane and to one without: the same answers, the ids aside."""
    moment = {"timestamp": "2025-11-01T10:47:01.535448Z"}
    asked: list[tuple[Any, str | None]] = [
        (SIGNAL | moment, None), (SIGNAL | moment, "k"), (SIGNAL | moment | {"price": 1}, "k"), (SIGNAL | moment, "k"),
        (SIGNAL | moment | {"price": 2}, None), (SIGNAL | {"signal_id": "a", **moment}, None),
        (SIGNAL | {"signal_id": "a", "price": 5}, None), (SIGNAL | {"price": "1"}, None), ([], None), (None, None),
        (SIGNAL | {"unknown": 1}, None), (SIGNAL | {"metadata": {"a": "\0"}}, None), (SIGNAL, "k" * 256),
        (SIGNAL | {"timestamp": "1999-01-01T00:00:00Z"}, None), (SIGNAL | {"symbol": "💥"}, None),
    ]  # fmt: skip
    answers = []
    for lane in ("true", "false"):
        with ServiceProcess("database-service", UNLIMITED | {"HOT_LANE": lane}) as running:
            answers.append([post(running, "/signals/save", body, key) for body, key in asked])
            counts = http.request("GET", f"{running.base_url}/metrics").data.decode()
            assert re.search(r'http_requests_total\{.*route="/signals/save",.*status="200"\} 5.0', counts)
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[0]] == [200, 200, 422, 200, 200, 200, *[422] * 5, 400, *[422] * 3]


@pytest.fixture(params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest) -> Iterator[ServiceProcess]:
    """The service on a new database of each kind."""
    env = dict(UNLIMITED)
    if request.param == "postgres":
        env["DATABASE_URL"] = request.getfixturevalue("postgres_server").create_database()
    with ServiceProcess("database-service", env) as running:
        yield running


@pytest.mark.faults
@pytest.mark.database
@pytest.mark.slow
def test_r1_r3_killed_under_writers_nothing_acknowledged_is_lost_or_stored_twice(service: ServiceProcess) -> None:
    with Writers(service, CLIENTS) as writers:
        for _ in range(KILLS):
            writers.more(100)
            service.kill()
            service.start()
        writers.more(100)
    statuses = dict(writers.other_statuses)
    print(f"{len(writers.acknowledged)} acknowledged over {KILLS} kills, other statuses: {statuses}")
    writers.assert_all_stored_once()
    assert writers.other_statuses.keys() <= {503}  # it listens a moment before it is ready
    service.stop()
    for path in service.var_dir.glob("*.sqlite3"):
        with sqlite3.connect(path) as link:
            assert link.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.faults
@pytest.mark.database
@pytest.mark.slow
def test_r2_postgres_killed_under_writers_nothing_acknowledged_is_lost_or_stored_twice(
    private_postgres: PostgresServer,
) -> None:
    with ServiceProcess("database-service", UNLIMITED | {"DATABASE_URL": private_postgres.url}) as service:
        with Writers(service, CLIENTS) as writers:
            for _ in range(KILLS):
                writers.more(100)
                private_postgres.kill()
                private_postgres.start()
            writers.more(100)
        writers.assert_all_stored_once()
        statuses = dict(writers.other_statuses)
        print(f"{len(writers.acknowledged)} acknowledged over {KILLS} kills of PostgreSQL, other statuses: {statuses}")
        assert service.get("/signals/conflicts")["data"]["count"] == 0
        assert writers.other_statuses.keys() <= {503}


@pytest.mark.faults
@pytest.mark.database
def test_r7_a_hundred_identical_requests_at_once_store_one_row(service: ServiceProcess) -> None:
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: post(service, "/signals/save", SIGNAL, "same"), range(100)))
    assert [status for status, _ in answers] == [200] * 100
    assert len({json.dumps(document) for _, document in answers}) == 1
    assert len(whole_history(service)) == 1
    assert post(service, "/signals/save", SIGNAL | {"price": 1}, "same")[0] == 422


@pytest.mark.database
def test_readers_and_writers_work_side_by_side(service: ServiceProcess) -> None:
    def work(n: int) -> int:
        if n % 2:
            return post(service, "/signals/save", SIGNAL | {"price": n})[0]
        paths = ("/signals/history", "/performance/stats", "/stats", "/health")
        return http.request("GET", service.base_url + paths[n // 2 % 4]).status

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(work, range(1000))) == {200}


@pytest.mark.database
def test_history_outlives_a_clean_restart(service: ServiceProcess) -> None:
    _, document = post(service, "/signals/save", SIGNAL)
    assert service.stop() == 0
    service.start()
    assert [signal["signal_id"] for signal in whole_history(service)] == [document["signal_id"]]


@pytest.mark.database
def test_postgres_away_is_503_with_retry_after_and_comes_back_by_itself(private_postgres: PostgresServer) -> None:
    private_postgres.stop()
    env = UNLIMITED | {"DATABASE_URL": private_postgres.url, "SPOOL_MAX_ROWS": "0"}
    with ServiceProcess("database-service", env) as service:
        for method, path in (("POST", "/signals/save"), ("GET", "/signals/history"), ("GET", "/performance/stats")):
            body = json.dumps(SIGNAL) if method == "POST" else None
            headers = {"Content-Type": "application/json"}
            answer = http.request(method, service.base_url + path, body=body, headers=headers)
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert "PostgreSQL does not answer" in answer.json()["error"]["message"]
        health = http.request("GET", service.base_url + "/health").json()
        assert health["dependencies"]["database"]["status"] == "unhealthy"
        private_postgres.start()
        wait_until(lambda: post(service, "/signals/save", SIGNAL)[0] == 200, 10)
        wait_until(lambda: service.get("/health")["status"] == "healthy", 5)


@pytest.mark.faults
@pytest.mark.database
@pytest.mark.slow
def test_r4_postgres_away_under_writers_goes_on_into_the_spool_and_is_drained(private_postgres: PostgresServer) -> None:
    with ServiceProcess("database-service", UNLIMITED | {"DATABASE_URL": private_postgres.url}) as service:
        before = post(service, "/signals/save", SIGNAL, "before")
        with Writers(service, CLIENTS) as writers:
            writers.more(100)
            private_postgres.kill()
            begun = time.monotonic()
            writers.more(300)
            wait_until(lambda: time.monotonic() - begun > AWAY_S, AWAY_S + 5, what="the outage's length")
            assert writers.reasons == {}
            data = service.get("/signals/history?limit=5")["data"]
            assert (data["source"], data["count"], data["complete"]) == ("database+spool", 5, False)
            stats = service.get("/performance/stats")["data"]
            assert (stats["source"], stats["trades"] > 0, stats["complete"]) == ("database+spool", True, False)
            for path in ("/signals/export", "/signals/calibration", "/settings/ann", "/signals/audit"):
                assert_away("GET", service.base_url + path)
            settings = json.dumps({"version": 0, "settings": {}})
            assert_away("PUT", service.base_url + "/settings/ann", body=settings, headers=JSON)
            assert service.get("/stats")["data"]["storage_mode"] == "database+spool"
            health = service.get("/health")
            assert health["status"] == "degraded"
            assert "wait in the local spool, which was last empty" in health["dependencies"]["database"]["detail"]
            assert health["dependencies"]["database"]["spool_rows"] > 0
            assert post(service, "/signals/save", SIGNAL, "before") == before
            assert post(service, "/signals/save", SIGNAL | {"price": 1}, "before")[0] == 422
            during = post(service, "/signals/save", SIGNAL, "during")
            assert during[0] == 200
            service.kill()
            service.start()
            assert post(service, "/signals/save", SIGNAL, "during") == during
            writers.more(100)
            private_postgres.start()
            back_at = time.monotonic()
        writers.wait_drained()
        seconds = time.monotonic() - back_at
        print(f"{len(writers.acknowledged)} saves, the last in PostgreSQL {seconds:.1f} s after its return")
        assert post(service, "/signals/save", SIGNAL, "during") == during
        assert post(service, "/signals/save", SIGNAL, "before") == before
        assert service.get("/signals/conflicts")["data"] == {"count": 0, "conflicts": []}
        audit = service.get("/signals/audit?limit=1000000")["data"]
        assert audit["valid"]
        assert audit["checked"] == len(whole_history(service))
        assert writers.other_statuses.keys() <= {503}  # while the service itself restarts
        wait_until(lambda: service.get("/health")["status"] == "healthy", 5)
        writers.assert_all_stored_once(others=2)


@pytest.mark.faults
@pytest.mark.database
@pytest.mark.slow
def test_r4_postgres_hung_under_writers_every_save_goes_on_and_is_stored_once(private_postgres: PostgresServer) -> None:
    """Stopped by SIGSTOP, a server keeps its connections open and answers nothing; on SIGCONT it goes on where it was,
    with what it had received, be it a COMMIT."""
    hangs = max(2, round(5 * SCALE))
    reads: list[float] = []
    drains: list[float] = []
    with ServiceProcess("database-service", UNLIMITED | {"DATABASE_URL": private_postgres.url}) as service:
        with Writers(service, CLIENTS) as writers:
            for _ in range(hangs):
                writers.more(100)
                private_postgres.pause()
                end = time.monotonic() + AWAY_S / 2
                writers.more(300)
                paths = ("/signals/history?limit=5", "/performance/stats", "/health", "/stats")
                reads += [seconds(partial(service.get, path)) for path in paths]
                wait_until(lambda end=end: time.monotonic() > end, AWAY_S, what="the hang's length")  # type: ignore[misc]
                private_postgres.resume()
                drains.append(seconds(writers.wait_drained))
        print(
            f"{len(writers.acknowledged)} saves over {hangs} hangs of PostgreSQL: the slowest took "
            f"{writers.slowest_s:.2f} s, the slowest read {max(reads):.2f} s; drained within {max(drains):.1f} s"
        )
        assert writers.reasons == {}
        assert max(reads) < 5
        assert service.get("/signals/conflicts")["data"]["count"] == 0
        assert service.get("/signals/audit?limit=1000000")["data"]["valid"]
        writers.assert_all_stored_once()


def seconds(call: Callable[[], Any]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


@pytest.mark.faults
@pytest.mark.database
@pytest.mark.slow
def test_r4_drained_within_ten_seconds_while_writers_go_on(private_postgres: PostgresServer) -> None:
    """As after an outage at a thousand rows a second. A writer that had to wait for 8 s would be told 503."""
    batches = max(1, round(AWAY_S))
    with ServiceProcess("database-service", UNLIMITED | {"DATABASE_URL": private_postgres.url}) as service:
        with Writers(service, 20) as writers:
            writers.more(100)
            private_postgres.kill()
            for number in range(batches):
                rows = [SIGNAL | {"metadata": {"key": f"outage-{number}.{row}"}} for row in range(1000)]
                status, document = post(service, "/signals/batch", rows, f"outage-{number}")
                assert (status, document["stored"]) == (200, 1000)
                writers.acknowledged[f"outage-{number}"] = [row["signal_id"] for row in document["results"]]
            private_postgres.start()
            before = len(writers.acknowledged)
            took = seconds(writers.wait_drained)
            rate = (len(writers.acknowledged) - before) / took
        beside = f"{rate:.0f} saves/s, of which none took longer than {writers.slowest_s:.2f} s"
        print(f"{batches},000 rows of batches drained in {took:.1f} s beside {beside}")
        assert writers.reasons == {}
        writers.assert_all_stored_once()


@pytest.mark.redis
def test_without_a_database_redis_keeps_signals_over_a_restart(private_redis: RedisServer) -> None:
    env = UNLIMITED | {"DB_ENABLED": "false", "REDIS_ENABLED": "auto", "REDIS_PORT": str(private_redis.port)}
    with ServiceProcess("database-service", env) as service:
        status, document = post(service, "/signals/save", SIGNAL)
        assert (status, document["durable"]) == (200, False)
        service.kill()
        service.start()
        data = service.get("/signals/history")["data"]
        assert (data["source"], data["count"]) == ("cache", 1)
        private_redis.kill()
        assert post(service, "/signals/save", SIGNAL)[0] == 200
        assert service.get("/signals/history")["data"]["source"] == "memory"


def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path) -> None:
    env = {"DATABASE_URL": "mysql://user:canary-7731@host/db"}
    with pytest.raises(RuntimeError, match=r"DATABASE_URL=\(hidden\): .*postgresql://") as error:
        ServiceProcess("database-service", env).start()
    assert "canary" not in str(error.value)
    assert "Traceback" not in str(error.value)
