"""Limits per client: exactly the limit passes, alone, in threads and over processes; waiting as told always helps."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from shared import rate_limiter
from shared.config import Settings, config
from shared.rate_limiter import Limiter, client_address, rate_limit
from shared.redis_cache import RedisCache
from shared.testing.servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def settings() -> Iterator[None]:
    """No `.env` and no variable of this machine decides; Redis stays out."""
    use()
    yield
    config.reset()


def use(**values: str) -> None:
    config.use(Settings.read({"REDIS_ENABLED": "false", **values}))


@pytest.fixture
def app(settings: None) -> Flask:
    """A bare Flask app, as users write it."""
    app = Flask("bare")
    limiter = Limiter()

    @app.route("/things")
    @rate_limit(requests_per_minute=50, limiter=limiter)
    def things() -> dict[str, str]:
        """Docs stay."""
        return {"ok": "yes"}

    @app.route("/failing")
    @rate_limit(requests_per_minute=2, limiter=limiter)
    def failing() -> str:
        raise LookupError

    @app.errorhandler(LookupError)
    def handled(error: LookupError) -> tuple[str, int]:
        return "handled", 404

    return app


@pytest.mark.unit
def test_of_55_calls_at_50_a_minute_exactly_50_pass(app: Flask) -> None:
    answers = [app.test_client().get("/things") for _ in range(55)]
    assert [answer.status_code for answer in answers] == [200] * 50 + [429] * 5
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers] == [*range(49, -1, -1)] + [0] * 5
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"50"}
    assert all(1 <= int(answer.headers["X-RateLimit-Reset"]) <= 60 for answer in answers)


@pytest.mark.unit
def test_a_refusal_has_the_contracts_shape_and_says_when_to_come_back(app: Flask) -> None:
    client = app.test_client()
    for _ in range(50):
        assert "Retry-After" not in client.get("/things").headers
    refused = client.get("/things")
    assert 59 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.mimetype == "application/json"
    body = refused.get_json()
    assert body["success"] is False
    assert body["error"]["code"] == "rate_limited"
    assert body["error"]["message"]


@pytest.mark.unit
def test_answers_of_error_handlers_bear_the_headers_too(app: Flask) -> None:
    answer = app.test_client().get("/failing")
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (404, "1")


@pytest.mark.unit
def test_clients_and_functions_have_windows_of_their_own(app: Flask) -> None:
    client = app.test_client()
    for _ in range(50):
        client.get("/things")
    assert client.get("/things").status_code == 429
    assert client.get("/things", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200
    assert client.get("/failing").status_code == 404


@pytest.mark.unit
def test_limits_can_be_switched_off(app: Flask) -> None:
    use(RATE_LIMIT_ENABLED="false")
    answers = [app.test_client().get("/things") for _ in range(55)]
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0].headers


@pytest.mark.unit
def test_the_decorator_keeps_name_and_docs_and_refuses_a_limit_below_1(app: Flask) -> None:
    assert app.view_functions["things"].__doc__ == "Docs stay."
    with pytest.raises(ValueError, match="at least 1"):
        rate_limit(requests_per_minute=0)


@pytest.mark.unit
def test_the_default_is_60_a_minute(settings: None) -> None:
    app = Flask("default")
    rate_limiter._process_limiter.cache_clear()

    @app.route("/")
    @rate_limit()
    def view() -> str:
        return "ok"

    codes = [app.test_client().get("/").status_code for _ in range(61)]
    assert codes == [200] * 60 + [429]


def seconds_up_to(most: int) -> st.SearchStrategy[float]:
    """In steps of 1/1024 s, so that sums are exact: 1.9 + 60 - 60 isn't 1.9 in floats, and no real client sees that."""
    return st.integers(0, most * 1024).map(lambda steps: steps / 1024)


@pytest.mark.unit
@given(limit=st.integers(1, 5), gaps=st.lists(seconds_up_to(90), min_size=1, max_size=60))
def test_no_window_of_a_minute_ever_holds_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    seconds = Seconds()
    limiter = Limiter(monotonic=seconds)
    passed: list[float] = []
    for gap in gaps:
        seconds.now += gap
        if limiter.check("n", "c", limit).allowed:
            passed.append(seconds.now)
        else:  # and none is refused while there is room
            assert sum(seconds.now - at < 60 for at in passed) == limit
    assert all(later - earlier >= 60 for earlier, later in zip(passed, passed[limit:], strict=False))


@pytest.mark.unit
@given(limit=st.integers(1, 5), gaps=st.lists(seconds_up_to(30), min_size=5, max_size=40))
def test_a_lone_client_that_obeys_retry_after_always_succeeds(limit: int, gaps: list[float]) -> None:
    seconds = Seconds()
    limiter = Limiter(monotonic=seconds)
    for gap in gaps:
        seconds.now += gap
        decision = limiter.check("n", "c", limit)
        if not decision.allowed:
            seconds.now += decision.retry_after_s
            assert limiter.check("n", "c", limit).allowed


@pytest.mark.unit
def test_the_number_of_clients_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limiter, "MAX_CLIENTS", 100)
    limiter = Limiter()
    for n in range(1000):
        limiter.check("n", f"client-{n}", 5)
        limiter.check("n", "faithful", 2000)
    assert len(limiter._calls) <= 100
    assert limiter.check("n", "faithful", 2000).remaining == 2000 - 1001


@pytest.mark.unit
def test_threads_together_get_exactly_the_limit() -> None:
    limiter = Limiter()
    allowed: list[bool] = []

    def call() -> None:
        allowed.extend(limiter.check("n", "c", 500).allowed for _ in range(200))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(allowed), sum(allowed)) == (1600, 500)


# --- whose address counts ---


def address(remote: str, forwarded: str | None = None, trusted: str = "") -> str:
    use(TRUSTED_PROXIES=trusted)
    environ: dict[str, Any] = {"REMOTE_ADDR": remote}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(environ)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "expected"),
    [
        pytest.param("203.0.113.9", "198.51.100.1", "", "203.0.113.9", id="nobody is trusted by default"),
        pytest.param("203.0.113.9", "198.51.100.1", "10.0.0.0/8", "203.0.113.9", id="a stranger's header"),
        pytest.param("10.1.2.3", "198.51.100.1", "10.0.0.0/8", "198.51.100.1", id="one proxy"),
        pytest.param("10.1.2.3", "6.6.6.6, 198.51.100.1", "10.1.2.3", "198.51.100.1", id="a forged beginning"),
        pytest.param("10.0.0.1", "198.51.100.1, 10.0.0.2", "10.0.0.0/8", "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.1", "10.0.0.2", "10.0.0.0/8", "10.0.0.2", id="proxies alone"),
        pytest.param("10.0.0.1", "junk", "10.0.0.0/8", "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", None, "10.0.0.0/8", "10.0.0.1", id="no header"),
        pytest.param("10.0.0.1", "198.51.100.1:4711", "10.0.0.0/8", "198.51.100.1", id="with a port"),
        pytest.param("::1", "[2001:db8::7]:443", "::1", "2001:db8::7", id="IPv6 in brackets"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.1", "10.0.0.1", "198.51.100.1", id="IPv4 inside IPv6"),
    ],
)
def test_the_client_is_the_first_address_that_no_trusted_proxy_has(
    settings: None, remote: str, forwarded: str | None, trusted: str, expected: str
) -> None:
    assert address(remote, forwarded, trusted) == expected


# --- shared through Redis ---

WORKER = """
import sys, threading
from shared.rate_limiter import Limiter
from shared.redis_cache import RedisCache
limiter = Limiter(RedisCache(host="127.0.0.1", port=int(sys.argv[1]), enabled=True))
limiter.check("warm-up", "c", 1)
print("ready", flush=True)
sys.stdin.readline()
allowed = []
def call():
    for _ in range(50):
        allowed.append(limiter.check("shared", "c", 300).allowed)
threads = [threading.Thread(target=call) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sum(allowed), len(allowed), limiter.counted_alone, flush=True)
"""


@pytest.mark.redis
@pytest.mark.integration
def test_eight_threads_in_each_of_four_processes_get_exactly_the_limit(private_redis: RedisServer) -> None:
    command = [sys.executable, "-c", WORKER, str(private_redis.port)]
    workers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    counts = [[int(word) for word in worker.communicate(timeout=60)[0].split()] for worker in workers]
    allowed, calls, alone = (sum(column) for column in zip(*counts, strict=True))
    assert (calls, alone) == (1600, 0)
    assert allowed == 300


@pytest.fixture
def shared_limiter(private_redis: RedisServer) -> Iterator[Limiter]:
    cache = RedisCache(host="127.0.0.1", port=private_redis.port, enabled=True)
    yield Limiter(cache)
    cache.close()


@pytest.mark.redis
def test_the_shared_window_counts_down_and_forgets_by_itself(
    shared_limiter: Limiter, private_redis: RedisServer
) -> None:
    decisions = [shared_limiter.check("n", "c", 3) for _ in range(4)]
    assert [(d.allowed, d.remaining) for d in decisions] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    assert 59 <= decisions[3].retry_after_s <= 60
    assert 0 < int(private_redis.call("PTTL", "rate:n:c")[1:]) <= 61_000


@pytest.mark.redis
def test_a_shared_slot_is_free_again_when_the_oldest_call_is_a_minute_old(
    shared_limiter: Limiter, private_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limiter, "WINDOW_S", 0.4)
    assert shared_limiter.check("n", "c", 1).allowed
    refused = shared_limiter.check("n", "c", 1)
    assert not refused.allowed
    threading.Event().wait(refused.retry_after_s)  # what a client that obeys does
    assert shared_limiter.check("n", "c", 1).allowed


@pytest.mark.redis
def test_calls_from_before_the_clock_was_set_back_do_not_block(
    shared_limiter: Limiter, private_redis: RedisServer
) -> None:
    ahead = str(int(private_redis_us(private_redis)) + 3_600_000_000)
    private_redis.call("ZADD", "rate:n:c", ahead, ahead)
    assert shared_limiter.check("n", "c", 1).allowed


def private_redis_us(server: RedisServer) -> str:
    cache = RedisCache(host="127.0.0.1", port=server.port, enabled=True)
    seconds, microseconds = cache.run(lambda client: client.time())
    cache.close()
    return str(seconds * 1_000_000 + microseconds)


@pytest.mark.redis
@pytest.mark.faults
def test_without_its_redis_the_process_counts_alone_and_says_so(
    shared_limiter: Limiter, private_redis: RedisServer
) -> None:
    assert shared_limiter.check("n", "c", 50).allowed
    private_redis.kill()
    assert sum(shared_limiter.check("n", "c", 50).allowed for _ in range(55)) == 50
    assert shared_limiter.counted_alone == 55


@pytest.mark.unit
def test_run_by_path_it_checks_itself(tmp_path: Path) -> None:
    path = ROOT / "shared" / "rate_limiter.py"
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "50 passed" in done.stdout
