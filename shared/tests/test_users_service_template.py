"""The service template that the users have runs as it stands, and so do the other lines that they type around it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from shared.testing.net import free_port, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.api]

DATA = Path(__file__).parent / "data"

# The lines that users add to the template, in its place before the main guard.
ADDED = """
from shared.rate_limiter import rate_limit
from shared.sentry_integration import init_sentry, capture_exception

init_sentry("my-service", environment="production")

@app.route('/signals', methods=['POST'])
@rate_limit(requests_per_minute=50)
@track_time(metrics)
def signals():
    metrics.increment_counter("my_signals_total", symbol="BTCUSDT")
    cache.set("last", {"symbol": "BTCUSDT"}, ttl=60)
    with logger.timed("save"):
        return jsonify({"success": True, "last": cache.get("last")})

@app.route('/fail')
def fail():
    try:
        raise ValueError("wrong query")
    except Exception as e:
        capture_exception(e, context={"operation": "database_query"})
        raise

"""


class Template:
    """The template's app.py, running."""

    def __init__(self, folder: Path, added: str = "") -> None:
        code = (DATA / "users_service.py.txt").read_text()
        guard = "if __name__ == '__main__':"
        assert code.count(guard) == 1
        (folder / "app.py").write_text(code.replace(guard, added + guard))
        self.port = free_port()
        self.log = folder / "log"
        env = {"PATH": os.environ["PATH"], "PORT": str(self.port), "REDIS_PORT": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=env, stdout=log, stderr=log)

    def call(self, path: str, method: str = "GET") -> urllib3.BaseHTTPResponse:
        return urllib3.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=10, retries=False)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.call("/health").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def end(self) -> None:
        self.process.terminate()  # not SIGINT: what a shell starts in the background ignores it
        try:
            self.process.wait(10)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def as_it_stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    yield from running(Template(tmp_path_factory.mktemp("template")))


@pytest.fixture(scope="module")
def with_lines_added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    yield from running(Template(tmp_path_factory.mktemp("template"), ADDED))


def running(template: Template) -> Iterator[Template]:
    try:
        wait_until(template.answers, 30, what="the template answers")
        yield template
    finally:
        template.end()


def test_it_is_the_block_of_the_users_text() -> None:
    """Kept as they wrote it: nothing in it may be changed to suit the library."""
    code = (DATA / "users_service.py.txt").read_text()
    assert code.startswith('"""\n<SERVICE NAME>\nPort: <PORT>\n')
    assert code.endswith("    app.run(host=config.SERVICE_HOST, port=config.SERVICE_PORT)\n")


def test_health_answers_on_the_port_given(as_it_stands: Template) -> None:
    document = as_it_stands.call("/health").json()
    assert (document["service"], document["port"]) == ("Unknown Service", as_it_stands.port)
    assert document["status"] == "healthy"


def test_metrics_answer_in_prometheus_text(as_it_stands: Template) -> None:
    answer = as_it_stands.call("/metrics")
    assert answer.status == 200
    assert b"python_info{" in answer.data


def test_the_start_is_logged_under_the_services_name(as_it_stands: Template) -> None:
    assert "Starting Unknown Service" in as_it_stands.log.read_text()


def test_its_own_counters_and_timings_stand_in_its_metrics(with_lines_added: Template) -> None:
    with_lines_added.call("/signals", "POST")
    text = with_lines_added.call("/metrics").data.decode()
    assert re.search(r'^my_signals_total\{symbol="BTCUSDT"\} [1-9]', text, re.MULTILINE)
    assert re.search(r"^signals_seconds_count [1-9]", text, re.MULTILINE)


def test_of_55_calls_at_50_a_minute_exactly_50_pass(tmp_path: Path) -> None:
    for template in running(Template(tmp_path, ADDED)):
        answers = [template.call("/signals", "POST") for _ in range(55)]
        assert [answer.status for answer in answers] == [200] * 50 + [429] * 5
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert answers[0].json() == {"success": True, "last": {"symbol": "BTCUSDT"}}


def test_a_captured_exception_is_raised_on_as_before(with_lines_added: Template) -> None:
    assert with_lines_added.call("/fail").status == 500
    wait_until(lambda: "ValueError: wrong query" in with_lines_added.log.read_text(), what="Flask's own log of it")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_loop_that_users_type_sees_its_429(tmp_path: Path) -> None:
    for template in running(Template(tmp_path, ADDED)):
        url = f"http://localhost:{template.port}/signals"
        loop = f"for i in {{1..55}}; do curl -s -o /dev/null -w '%{{http_code}}\\n' -X POST {url}; done"
        codes = subprocess.run(["bash", "-c", loop], capture_output=True, text=True, check=True).stdout.split()
        assert (codes.count("200"), codes.count("429")) == (50, 5)
