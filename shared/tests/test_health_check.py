"""The health document: bounded however long a probe hangs, and what each dependency's state means for the whole."""

import json
import re
import threading
from collections.abc import Callable, Iterator

import pytest

from shared.config import Settings, config
from shared.health_check import HealthCheck
from shared.testing.net import wait_until

pytestmark = pytest.mark.unit


@pytest.fixture
def health() -> HealthCheck:
    return HealthCheck("Test Service", 5099)


@pytest.fixture
def hang() -> Iterator[Callable[[], object]]:
    """A probe that hangs until the test is over."""
    released = threading.Event()
    yield lambda: released.wait(30)
    released.set()


def probes(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"probe-{name}"]


def test_the_document_is_the_contracts_and_plain(health: HealthCheck) -> None:
    health.add_dependency("cache", lambda: None)
    document = json.loads(json.dumps(health.get_health()))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", document.pop("timestamp"))
    assert document.pop("uptime") == "0h 0m 0s"
    assert document.pop("uptime_seconds") >= 0
    assert document == {
        "service": "Test Service",
        "status": "healthy",
        "port": 5099,
        "version": "1.0.0",
        "dependencies": {"cache": {"status": "healthy"}},
        "metrics": {"white_hat_mode": True},
    }


def test_uptime_reads_in_hours_minutes_and_seconds(health: HealthCheck) -> None:
    health._started -= 26 * 3600 + 3 * 60 + 11
    assert health.uptime == "26h 3m 11s"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, {"status": "healthy"}),
        (True, {"status": "healthy"}),
        (False, {"status": "unhealthy"}),
        ({"status": "degraded", "detail": "slow"}, {"status": "degraded", "detail": "slow"}),
        ({"status": "on fire"}, {"status": "unhealthy"}),
        ({"keys": 3}, {"status": "healthy", "keys": 3}),
    ],
)
def test_a_probes_answer_becomes_a_state(health: HealthCheck, answer: object, state: dict[str, object]) -> None:
    health.add_dependency("it", lambda: answer)
    assert health.get_health()["dependencies"]["it"] == state


def test_a_probe_that_raises_is_unhealthy_and_says_why(health: HealthCheck) -> None:
    def probe() -> None:
        raise ConnectionError("refused " + "x" * 500)

    health.add_dependency("it", probe)
    state = health.get_health()["dependencies"]["it"]
    assert state["status"] == "unhealthy"
    assert state["detail"].startswith("ConnectionError: refused x")
    assert len(state["detail"]) == 200


def test_a_probes_error_shows_no_secret(health: HealthCheck) -> None:
    def probe() -> None:
        raise ConnectionError("no answer from postgresql://trading:canary-1@db/trading")

    config.use(Settings.read({"DB_PASSWORD": "canary-1"}))
    try:
        health.add_dependency("it", probe)
        assert "canary" not in str(health.get_health())
    finally:
        config.reset()


@pytest.mark.parametrize(
    ("critical", "status", "expected"),
    [
        (False, "healthy", "healthy"),
        (False, "degraded", "degraded"),
        (False, "unhealthy", "degraded"),
        (True, "degraded", "degraded"),
        (True, "unhealthy", "unhealthy"),
    ],
)
def test_only_a_critical_dependency_makes_the_whole_unhealthy(
    health: HealthCheck, critical: bool, status: str, expected: str
) -> None:
    health.add_dependency("it", lambda: {"status": status}, critical=critical)
    health.add_dependency("other", lambda: None, critical=True)
    assert health.get_health()["status"] == expected


def test_a_hanging_probe_is_unhealthy_within_its_time(health: HealthCheck, hang: Callable[[], object]) -> None:
    health.add_dependency("hung", hang, timeout_s=0.05)
    state = health.get_health()["dependencies"]["hung"]
    assert state == {"status": "unhealthy", "detail": "no answer within 0.05 s"}


def test_there_is_one_thread_per_hanging_dependency_however_often_asked(
    health: HealthCheck, hang: Callable[[], object]
) -> None:
    health.add_dependency("hung-once", hang, timeout_s=0.01)
    askers = [threading.Thread(target=health.get_health) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(10)
    assert len(probes("hung-once")) == 1


def test_a_probe_known_to_hang_is_not_waited_for_again(
    health: HealthCheck, hang: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    health.add_dependency("hung", hang, timeout_s=0.05)
    health.get_health()
    waits: list[float] = []
    join = threading.Thread.join

    def noted(self: threading.Thread, timeout: float | None = None) -> None:
        waits.append(timeout or 0.0)
        join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", noted)
    assert health.get_health()["dependencies"]["hung"]["status"] == "unhealthy"
    assert waits == [0.0]


def test_probes_are_asked_at_once_so_that_their_waits_do_not_add_up(health: HealthCheck) -> None:
    meeting = threading.Barrier(3)
    for name in "abc":
        health.add_dependency(name, lambda: meeting.wait(10) >= 0, timeout_s=10)
    assert health.get_health()["status"] == "healthy"


def test_a_probe_that_comes_back_is_healthy_again(health: HealthCheck) -> None:
    released = threading.Event()
    health.add_dependency("slow", lambda: released.wait(30), timeout_s=0.01)
    assert health.get_health()["status"] == "degraded"
    released.set()
    wait_until(lambda: health.get_health()["status"] == "healthy", what="healthy again")


def test_a_fresh_answer_is_kept_and_a_stale_one_asked_again(health: HealthCheck) -> None:
    asked = []
    health.add_dependency("kept", lambda: asked.append("kept"), keep_s=60)
    health.add_dependency("not kept", lambda: asked.append("not kept"), keep_s=0)
    for _ in range(3):
        health.get_health()
    assert (asked.count("kept"), asked.count("not kept")) == (1, 3)


def test_metrics_and_notes_stand_in_the_document(health: HealthCheck) -> None:
    health.metrics(lambda: {"signal_count": 3})
    health.notes(lambda: {"rate_limits": "off"})
    document = health.get_health()
    assert document["metrics"] == {"white_hat_mode": True, "signal_count": 3}
    assert document["rate_limits"] == "off"
