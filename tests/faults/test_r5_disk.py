"""R5: a disk that is full, a file held by another program: 503 with a reason, nothing acknowledged that isn't
stored, and all is well again without a restart.
"""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.database, pytest.mark.slow]
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}
http = urllib3.PoolManager(timeout=15, retries=False)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no tmpfs can be mounted here: {error.stderr.decode()[:100]}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def service(disk: Path) -> Iterator[ServiceProcess]:
    env = {"RATE_LIMIT_ENABLED": "false", "SQLITE_PATH": str(disk / "database.sqlite3")}
    with ServiceProcess("database-service", env) as running:
        yield running


def save(service: ServiceProcess, number: int, size: int = 100) -> tuple[int, Any]:
    body = json.dumps(SIGNAL | {"price": number + 1, "metadata": {"text": "x" * size}})
    answer = http.request(
        "POST", f"{service.base_url}/signals/save", body=body, headers={"Content-Type": "application/json"}
    )
    if answer.status == 503:
        assert int(answer.headers["Retry-After"]) >= 1
    return answer.status, answer.json()


def stored(service: ServiceProcess) -> set[str]:
    return {signal["signal_id"] for signal in service.get("/signals/history?limit=1000")["data"]["signals"]}


def test_a_full_disk_is_503_and_recovers_when_there_is_room(service: ServiceProcess, disk: Path) -> None:
    acknowledged: set[str] = set()
    refused = 0
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 1_500_000)
    for number in range(200):
        status, document = save(service, number, 50_000)
        if status == 200:
            acknowledged.add(document["signal_id"])
        else:
            refused += 1
            assert (status, "disk is full" in document["error"]["message"]) == (503, True), document
        if refused == 20:
            break
    print(f"full disk: {len(acknowledged)} acknowledged, {refused} answered 503")
    assert refused == 20
    assert stored(service) == acknowledged
    assert service.get("/stats")["success"]
    ballast.unlink()
    wait_until(lambda: save(service, 1000)[0] == 200, 10, what="writable again")
    assert service.get("/signals/audit?limit=1000000")["data"]["valid"]


def test_a_file_held_by_another_program_is_503_and_recovers(service: ServiceProcess, disk: Path) -> None:
    _, first = save(service, 1)
    with closing(sqlite3.connect(disk / "database.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # held by another program
        status, document = save(service, 2)
        assert (status, "locked" in document["error"]["message"]) == (503, True)
        assert first["signal_id"] in stored(service)
        other.execute("ROLLBACK")
    wait_until(lambda: save(service, 3)[0] == 200, 10, what="writable again")
