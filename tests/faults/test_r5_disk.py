"""R5: a disk that is full or mounted read-only, a file held by another program: 503 with a reason, nothing acknowledged
that isn't stored, and all is well again without a restart. On the embedded database's disk, and on the spool's while
PostgreSQL is away.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.database, pytest.mark.slow]
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}
# SQLite's two ways to put it: without its journal's files a read-only disk is one where nothing can be opened.
WHY_NOT_WRITABLE = re.compile("the database file is read-only|the database file can't be opened")
http = urllib3.PoolManager(timeout=15, retries=False)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """No one can write there meanwhile."""
    mount("-o", "remount,ro", str(disk))
    try:
        yield
    finally:
        mount("-o", "remount,rw", str(disk))


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


@pytest.fixture(params=["database", "spool"])
def service(request: pytest.FixtureRequest, disk: Path) -> Iterator[ServiceProcess]:
    """The service with its embedded database on that disk; or with its spool there, and PostgreSQL taken away."""
    env = {"RATE_LIMIT_ENABLED": "false"}
    if request.param == "database":
        with ServiceProcess("database-service", env | {"SQLITE_PATH": str(disk / "database.sqlite3")}) as running:
            ACKNOWLEDGED[running.port] = []
            yield running
            assert running.get("/signals/audit?limit=1000000")["data"]["valid"]
        return
    postgres: PostgresServer = request.getfixturevalue("private_postgres")
    with ServiceProcess("database-service", env | {"DATABASE_URL": postgres.url}, var_dir=disk) as running:
        ACKNOWLEDGED[running.port] = []
        assert save(running, 0)[0] == 200
        postgres.kill()
        yield running
        postgres.start()
        wait_until(lambda: running.get("/stats")["data"]["storage_mode"] == "database", 20, what="drained")
        assert stored(running) == set(ACKNOWLEDGED[running.port])
        assert running.get("/signals/conflicts")["data"]["count"] == 0
        assert running.get("/signals/audit?limit=1000000")["data"]["valid"]


ACKNOWLEDGED: dict[int, list[str]] = defaultdict(list)  # ids in their order, by the service's port


def save(service: ServiceProcess, number: int, size: int = 100) -> tuple[int, Any]:
    """One signal: status and document."""
    body = json.dumps(SIGNAL | {"price": number + 1, "metadata": {"text": "x" * size}})
    answer = http.request(
        "POST", f"{service.base_url}/signals/save", body=body, headers={"Content-Type": "application/json"}
    )
    document = answer.json()
    if answer.status == 503:
        assert int(answer.headers["Retry-After"]) >= 1
        assert document["error"]["code"] == "unavailable"
    if answer.status == 200:
        assert document.get("durable", True)
        ACKNOWLEDGED[service.port].append(document["signal_id"])
    return answer.status, document


def stored(service: ServiceProcess) -> set[str]:
    """The ids of every signal."""
    found: set[str] = set()
    cursor = ""
    while True:
        data = service.get(f"/signals/history?limit=1000{cursor}")["data"]
        found |= {signal["signal_id"] for signal in data["signals"]}
        if data["next_cursor"] is None:
            return found
        cursor = f"&cursor={data['next_cursor']}"


def visible(service: ServiceProcess) -> set[str]:
    """The acknowledged ids that history must show now: while PostgreSQL is away, what waits."""
    return set(ACKNOWLEDGED[service.port][0 if "SQLITE_PATH" in service.env else 1 :])


def recovered(service: ServiceProcess) -> None:
    """Writable again without a restart, and history is what was acknowledged."""
    wait_until(lambda: save(service, 1000)[0] == 200, 10, what="writable again")
    assert stored(service) == visible(service)


def file_of(disk: Path) -> Path:
    """The database's or the spool's file."""
    (path,) = disk.glob("*.sqlite3")
    return path


def test_a_full_disk_is_503_and_recovers_when_there_is_room(service: ServiceProcess, disk: Path) -> None:
    refused = 0
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 1_500_000)
    for number in range(200):
        status, document = save(service, number + 1, 50_000)
        if status != 200:
            refused += 1
            assert (status, "disk is full" in document["error"]["message"]) == (503, True), document
        if refused == 20:
            break
    print(f"\nR5 full disk: {len(ACKNOWLEDGED[service.port])} acknowledged, {refused} answered 503")
    assert refused == 20
    assert stored(service) == visible(service)
    ballast.unlink()
    recovered(service)


def test_a_read_only_disk_is_503_and_recovers_when_it_is_writable(service: ServiceProcess, disk: Path) -> None:
    # Found so at the start: no disk can be mounted read-only while someone has its files open for writing.
    assert save(service, 1)[0] == 200
    service.stop()
    with read_only(disk):
        service.start()
        for number in range(3):
            status, document = save(service, 2 + number)
            assert status == 503
            assert WHY_NOT_WRITABLE.search(document["error"]["message"]), document
        print(f"\nR5 read-only: {document['error']['message']}")
        assert http.request("GET", f"{service.base_url}/signals/history").status in {200, 503}
        health = http.request("GET", f"{service.base_url}/health").json()
        assert health["dependencies"]["database"]["status"] != "healthy"
    recovered(service)


def test_a_file_held_by_another_program_is_503_and_recovers(service: ServiceProcess, disk: Path) -> None:
    assert save(service, 1)[0] == 200
    with closing(sqlite3.connect(file_of(disk), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, document = save(service, 2)
        assert (status, "locked" in document["error"]["message"]) == (503, True)
        assert stored(service) == visible(service)
        other.execute("ROLLBACK")
    recovered(service)
