"""A row of a SQLite file is told as it is committed, and without waiting."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.sql.glance import Glance

pytestmark = [pytest.mark.unit, pytest.mark.database]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a file's name.sqlite3"
    with closing(sqlite3.connect(file)) as link:
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("CREATE TABLE t (n)")
    return file


@pytest.fixture
def glance(path: Path) -> Iterator[Glance]:
    made = Glance(path)
    yield made
    made.close()


def numbers(glance: Glance) -> list[int] | None:
    rows = glance.rows("SELECT n FROM t WHERE n < ?", (10,))
    return None if rows is None else [row[0] for row in rows]


def test_every_commit_is_seen_at_once_and_nothing_before_it(path: Path, glance: Glance) -> None:
    assert numbers(glance) == []
    with closing(sqlite3.connect(path)) as link:
        link.execute("INSERT INTO t VALUES (1)")
        assert numbers(glance) == []
        link.commit()
        assert numbers(glance) == [1]
        link.execute("DELETE FROM t")
        link.commit()
    assert numbers(glance) == []


def test_another_process_is_seen_too(path: Path, glance: Glance) -> None:
    assert numbers(glance) == []
    write = "import sqlite3, sys; link = sqlite3.connect(sys.argv[1]); link.execute('INSERT INTO t VALUES (1)')"
    subprocess.run([sys.executable, "-c", f"{write}; link.commit()", str(path)], check=True)
    assert numbers(glance) == [1]


def test_a_file_that_is_not_there_says_nothing_and_is_not_made(tmp_path: Path) -> None:
    assert numbers(Glance(tmp_path / "none.sqlite3")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_the_table_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite3").touch()
    assert numbers(Glance(tmp_path / "empty.sqlite3")) is None


def test_a_writer_that_holds_the_file_is_not_waited_for(path: Path, glance: Glance) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.execute("BEGIN IMMEDIATE")
        assert numbers(glance) == []


def test_a_file_that_nobody_else_may_read_says_nothing(path: Path, glance: Glance) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.execute("PRAGMA locking_mode=EXCLUSIVE")
        link.execute("INSERT INTO t VALUES (1)")
        assert numbers(glance) is None
    assert numbers(glance) == [1]


def test_a_glance_does_not_keep_a_writer_from_shortening_its_journal(path: Path, glance: Glance) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.execute("INSERT INTO t VALUES (1)")
        assert numbers(glance) == [1]
        busy, left, _ = link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, left) == (0, 0)


def test_closed_it_opens_the_file_again(glance: Glance) -> None:
    glance.close()
    assert numbers(glance) == []
