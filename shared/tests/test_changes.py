"""Whether anybody has written to a SQLite file is told exactly, and without waiting."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.sql.changes import Changes

pytestmark = [pytest.mark.unit, pytest.mark.database]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a file's name.sqlite3"
    with closing(sqlite3.connect(file)) as link:
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("CREATE TABLE t (n)")
    return file


@pytest.fixture
def changes(path: Path) -> Iterator[Changes]:
    made = Changes(path)
    yield made
    made.close()


def test_every_commit_of_another_connection_is_another_count(path: Path, changes: Changes) -> None:
    seen = [changes.count()]
    with closing(sqlite3.connect(path)) as link:
        for number in range(3):
            with link:
                link.execute("INSERT INTO t VALUES (?)", (number,))
            seen.append(changes.count())
    assert None not in seen
    assert len(set(seen)) == 4


def test_another_process_counts_too(path: Path, changes: Changes) -> None:
    before = changes.count()
    write = "import sqlite3, sys; link = sqlite3.connect(sys.argv[1]); link.execute('INSERT INTO t VALUES (1)')"
    subprocess.run([sys.executable, "-c", f"{write}; link.commit()", str(path)], check=True)
    assert changes.count() != before


def test_looking_and_what_is_not_committed_change_nothing(path: Path, changes: Changes) -> None:
    before = changes.count()
    with closing(sqlite3.connect(path)) as link:
        link.execute("SELECT * FROM t").fetchall()
        link.execute("INSERT INTO t VALUES (1)")
        assert changes.count() == before
        link.rollback()
    assert changes.count() == before


def test_a_file_that_is_not_there_has_no_count_and_is_not_made(tmp_path: Path) -> None:
    changes = Changes(tmp_path / "none.sqlite3")
    assert changes.count() is None
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_holds_the_file_is_not_waited_for(path: Path, changes: Changes) -> None:
    before = changes.count()
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.execute("BEGIN IMMEDIATE")
        assert changes.count() == before


def test_a_count_before_closing_is_none_of_those_after_it(changes: Changes) -> None:
    before = changes.count()
    changes.close()
    assert changes.count() != before
