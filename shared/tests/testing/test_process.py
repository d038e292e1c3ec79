"""ServiceProcess starts, watches and ends a program the way the fault tests need it."""

from pathlib import Path

import pytest

from shared.testing.net import port_taken
from shared.testing.process import ServiceProcess

pytestmark = pytest.mark.integration

APP = """
import json, os, pathlib, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

pathlib.Path(os.environ["VAR_DIR"]).mkdir(exist_ok=True)
with open(os.environ["VAR_DIR"] + "/starts", "a") as starts:
    starts.write("x")
if "FAIL" in os.environ:
    sys.exit("no licence to run")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_it_comes_back_on_its_port_with_its_files(folder: Path) -> None:
    with ServiceProcess(folder) as service:
        port = service.port
        service.kill()
        assert service.exit_code == -9
        assert not port_taken(port)
        service.start()
        assert service.port == port
        assert (service.var_dir / "starts").read_text() == "xx"
        assert service.stop() == 7


def test_the_callers_settings_stay_outside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://of-the-developer")
    with ServiceProcess(folder, {"LOG_LEVEL": "DEBUG"}) as service:
        seen = service.get("/")
    assert "DATABASE_URL" not in seen
    assert seen["LOG_LEVEL"] == "DEBUG"
    assert seen["MARKET"] == "simulator"


def test_a_failed_start_shows_exit_code_and_log(folder: Path) -> None:
    service = ServiceProcess(folder, {"FAIL": "1"})
    with pytest.raises(RuntimeError, match=r"ended with 1:\s+no licence to run"), service:
        pass
    assert not service.var_dir.parent.exists()
