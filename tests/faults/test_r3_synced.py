"""R3: what the embedded database acknowledges is on the disk: the system calls show an fdatasync of the journal in each
group commit, before its answers.
"""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from shared.testing.process import ServiceProcess
from tests.faults.conftest import Start
from tests.faults.load import SIGNAL
from tests.faults.scale import scaled

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.database]

ONE_BY_ONE = scaled(500, at_least=20)
ROUNDS = scaled(250, at_least=10)
AT_ONCE = 20
SYNC = re.compile(r"fdatasync\(\d+<[^>]*\.sqlite3-wal>(?:\) +=| <unfinished)")
http = urllib3.PoolManager(maxsize=AT_ONCE, timeout=20, retries=False)


class Trace:
    """The system calls of a process that sync files, as they happen."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def syncs(self) -> int:
        """How many times the journal was synced so far."""
        return len(SYNC.findall(self._path.read_text()))


@contextmanager
def traced(pid: int, path: Path) -> Iterator[Trace]:
    """Follow every thread of the process. Skips where strace is missing or may not look."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed: the system calls can't be seen")
    words = [program, "-f", "-y", "-e", "trace=fdatasync,fsync", "-o", str(path), "-p", str(pid)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        first = strace.stderr.readline()
        if "attached" not in first:
            strace.kill()
            pytest.skip(f"strace may not look here: {first.strip()}")
        drain = threading.Thread(target=strace.stderr.read)  # a full pipe would halt it
        drain.start()
        try:
            yield Trace(path)
        finally:
            strace.terminate()
            drain.join(10)


def save(service: ServiceProcess, number: int) -> None:
    body = json.dumps(SIGNAL | {"price": number + 1})
    answer = http.request(
        "POST", f"{service.base_url}/signals/save", body=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status == 200


@pytest.mark.parametrize("group_commit", ["true", "false"], ids=["group commit", "one by one"])
def test_no_success_is_answered_before_its_fdatasync(start: Start, tmp_path: Path, group_commit: str) -> None:
    with start("database-service", GROUP_COMMIT=group_commit) as service:
        save(service, 0)
        with traced(service.pid, tmp_path / "trace") as trace, ThreadPoolExecutor(AT_ONCE) as clients:
            for number in range(ONE_BY_ONE):
                before = trace.syncs()
                save(service, 1 + number)
                assert trace.syncs() > before  # strace has written the call down before the thread went on
            alone = trace.syncs()
            for number in range(ROUNDS):
                before = trace.syncs()
                prices = range(10_000 + number * AT_ONCE, 10_000 + (number + 1) * AT_ONCE)
                list(clients.map(lambda price: save(service, price), prices))
                assert trace.syncs() > before
            together = trace.syncs() - alone
        print(
            f"\nR3 {ONE_BY_ONE} saves one by one: {alone} fdatasyncs; {ROUNDS} rounds of {AT_ONCE} at once: {together} "
            f"(group commit: {group_commit})"
        )
        assert alone >= ONE_BY_ONE
        assert together >= (ROUNDS if group_commit == "true" else ROUNDS * AT_ONCE)
