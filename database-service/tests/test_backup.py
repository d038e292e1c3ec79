"""Backup and restore: one moment of a database in use, checked; a restore never touches one that is in use."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from database_service.backup import BackupError, backup, check, restore
from database_service.migrate import FOLDER
from database_service.signals import SignalFilter
from database_service.storage import Store
from database_service.stores.sqlite import sqlite_store
from shared.testing.fakes import FakeClock
from shared.testing.net import wait_until

from .client import NOW

pytestmark = [pytest.mark.integration, pytest.mark.database]
Make = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "database.sqlite3"


def signals_in(path: Path) -> int:
    store = sqlite_store(path, FakeClock())
    assert store.prepare()
    count = len(store.history(SignalFilter(), 1000).documents)
    store.close()
    return count


def test_a_backup_is_the_whole_database_in_one_file(
    open_sqlite: Callable[[], Store], path: Path, signal: Make, trade: Make
) -> None:
    store = open_sqlite()
    store.append([signal(price=n + 1) for n in range(5)], NOW)
    store.track([trade("k")], NOW)
    store.save_settings("ann", 0, "{}", NOW)
    target = path.with_name("backup.sqlite3")
    counts = backup(path, target)
    assert counts | {"signals": 5, "performance": 1, "user_settings": 1, "idempotency_keys": 1} == counts
    assert check(target) == counts
    store.close()
    assert sorted(one.name for one in path.parent.glob("*backup*")) == ["backup.sqlite3"]
    assert signals_in(target) == 5


def test_a_backup_under_writers_is_one_moment_and_holds_nobody_up(
    open_sqlite: Callable[[], Store], path: Path, signal: Make
) -> None:
    """Each transaction stores two signals: a moment holds an even number of them."""
    store, stop = open_sqlite(), threading.Event()
    written: list[int] = []

    def write() -> None:
        while not stop.is_set():
            n = len(written)
            store.append([signal(price=2.0 * n + 1), signal(price=2.0 * n + 2)], NOW)
            written.append(n)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for n in range(5):
            goal = len(written) + 5
            wait_until(lambda goal=goal: len(written) >= goal, 10, what="writers that go on")  # type: ignore[misc]  # a bound default
            counts = backup(path, path.with_name(f"backup-{n}"))
            assert counts["signals"] % 2 == 0
            assert counts["signals"] >= 2 * goal
    finally:
        stop.set()
        thread.join(10)
        store.close()


def test_a_restore_brings_back_that_moment_and_keeps_what_was_there(
    open_sqlite: Callable[[], Store], path: Path, signal: Make
) -> None:
    store = open_sqlite()
    store.append([signal(price=1.0)], NOW)
    backup(path, path.with_name("backup"))
    store.append([signal(price=2.0)], NOW)
    store.close()
    counts, aside = restore(path.with_name("backup"), path)
    assert counts["signals"] == signals_in(path) == 1
    assert aside is not None
    assert signals_in(aside) == 2


def test_a_restore_into_nothing_or_over_a_damaged_file_works(
    open_sqlite: Callable[[], Store], path: Path, signal: Make
) -> None:
    store = open_sqlite()
    store.append([signal()], NOW)
    backup(path, path.with_name("backup"))
    store.close()
    assert restore(path.with_name("backup"), path.with_name("other") / "new")[1] is None
    assert signals_in(path.with_name("other") / "new") == 1
    path.write_bytes(b"not a database any more " * 1000)
    restore(path.with_name("backup"), path)
    assert signals_in(path) == 1


def test_a_database_in_use_is_not_restored_over(open_sqlite: Callable[[], Store], path: Path, signal: Make) -> None:
    store = open_sqlite()
    store.append([signal()], NOW)
    backup(path, path.with_name("backup"))
    with pytest.raises(BackupError, match="stop the service"):
        restore(path.with_name("backup"), path)
    store.append([signal(price=2.0)], NOW)
    store.close()
    assert signals_in(path) == 2


def test_a_damaged_or_foreign_backup_is_refused_and_nothing_changes(
    open_sqlite: Callable[[], Store], path: Path, signal: Make
) -> None:
    store = open_sqlite()
    store.append([signal(price=n + 1.0) for n in range(500)], NOW)
    store.close()
    good = path.with_name("good")
    backup(path, good)
    torn = bytearray(good.read_bytes())
    torn[20_000:60_000] = bytes(40_000)
    newer = path.with_name("newer")
    newer.write_bytes(good.read_bytes())
    with sqlite3.connect(newer) as link:
        link.execute("UPDATE alembic_version SET version_num = '9999'")
    for name, data in (("torn", bytes(torn)), ("half", good.read_bytes()[:9000]), ("foreign", b"x"), ("empty", b"")):
        path.with_name(name).write_bytes(data)
    for name in ("torn", "half", "foreign", "empty", "newer", "missing"):
        with pytest.raises(BackupError):
            restore(path.with_name(name), path)
    assert signals_in(path) == 500
    assert not list(path.parent.glob(".*"))


def test_a_file_that_is_there_is_never_overwritten(open_sqlite: Callable[[], Store], path: Path) -> None:
    open_sqlite().close()
    path.with_name("kept").write_text("mine")
    with pytest.raises(BackupError, match="exists"):
        backup(path, path.with_name("kept"))
    assert path.with_name("kept").read_text() == "mine"


def test_the_command_line_backs_up_and_restores(tmp_path: Path, migrated_sqlite: bytes) -> None:
    (tmp_path / "database.sqlite3").write_bytes(migrated_sqlite)

    def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "database_service.backup", *words]
        environ = {"VAR_DIR": str(tmp_path), "ENV_FILES": "false"} | environ
        return subprocess.run(command, env=environ, cwd=FOLDER.parent, capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 0, done.stderr
    [made] = (tmp_path / "backups").iterdir()
    assert done.stdout.startswith(f"{made}: ")
    assert run("--restore", str(made)).stdout.startswith(f"{tmp_path / 'database.sqlite3'} is {made}")
    for failed in (run("--restore", "nothing"), run(DATABASE_URL="postgresql://u:secret@localhost/x")):
        assert failed.returncode == 1
        assert len(failed.stderr.splitlines()) == 1
        assert "secret" not in failed.stderr
