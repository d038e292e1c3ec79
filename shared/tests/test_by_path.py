"""The library's modules run by path, from any folder, check themselves on the terminal and exit 0."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.fleet import ROOT

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("module", ["config", "logger", "health_check", "rate_limiter", "sentry_integration"])
def test_a_module_run_by_path_checks_itself_and_exits_0(module: str, tmp_path: Path) -> None:
    script = ROOT / "shared" / f"{module}.py"
    ended = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip()
    assert list(tmp_path.iterdir()) == []


def test_the_settings_shown_hide_their_secrets(tmp_path: Path) -> None:
    env = {"DB_PASSWORD": "canary-1", "SENTRY_DSN": "https://canary@127.0.0.1:1/1", "GRAFANA_PASSWORD": "canary-2"}
    script = ROOT / "shared" / "config.py"
    shown = subprocess.run([sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True).stdout
    assert "DB_PASSWORD" in shown
    assert "canary" not in shown
