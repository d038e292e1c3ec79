"""R15: schemathesis, led by each service's own description, finds no 5xx and no answer that the description denies."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.testing.process import ServiceProcess
from tests.faults.scale import scaled

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.timeout(1800)]

# Without allow_header_conformance: GET /signals/save looks for an id "save", so Allow rightly names GET there.
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "unsupported_method",
]  # fmt: skip


def check(running: ServiceProcess, folder: Path, *more: str) -> None:
    """It finds nothing, and the service lives on. `more`: further words of its command line."""
    program = Path(sys.executable).parent / "schemathesis"
    words = [
        str(program), "run", f"{running.base_url}/openapi.json", "--checks", ",".join(CHECKS), "--seed", "15",
        "--max-examples", str(scaled(250, at_least=10)), "--phases", "examples,coverage,fuzzing", "--mode", "all",
        "--no-color", "--generation-database", "none", "--no-shrink", "--continue-on-failure", *more,
    ]  # fmt: skip
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    print(f"\nR15 {running.folder.name}: schemathesis\n" + ended.stdout[-1200:])
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    assert running.get("/health/live") == {"status": "alive"}
    assert "Traceback" not in running.log


def test_schemathesis_finds_nothing(running: ServiceProcess, tmp_path: Path) -> None:
    check(running, tmp_path)
