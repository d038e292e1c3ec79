"""Backup and restore of the embedded database: `python -m database_service.backup`, `… --restore FILE`.

The backup is online: it copies one moment of the database while the service goes on. Copy and original are compared,
and a file only gets its name when it has passed. A restore needs the service stopped; it puts the database that was
there aside. PostgreSQL has its own tools for this (pg_dump, pg_basebackup).
"""

import argparse
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from database_service.config import DatabaseSettings
from database_service.stores.schema import HEAD, metadata

SIDE_FILES = ("-wal", "-shm")
Counts = dict[str, int]


class BackupError(Exception):
    """Nothing was changed; the message says why."""


def backup(source: Path, target: Path) -> Counts:
    """Copy one moment of the database to the new file `target`; the rows of each table. Raises BackupError."""
    if not source.exists():
        raise BackupError(f"there is no database at {source}")
    if target.exists():
        raise BackupError(f"{target} exists already")
    with _translated(), _scratch(target) as scratch:
        with _opened(source) as origin, closing(sqlite3.connect(scratch)) as copy:
            origin.execute("BEGIN")
            counts = _counts(origin)  # from here on this connection sees this moment
            origin.backup(copy, pages=-1)  # in steps it would begin anew whenever somebody writes
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
        if (found := check(scratch)) != counts:
            raise BackupError(f"the copy differs: {found} instead of {counts}")
        _put(scratch, target)
    return counts


def check(path: Path) -> Counts:
    """The rows of each table of a whole, sound database of ours. Raises BackupError."""
    if not path.exists():
        raise BackupError(f"there is no file {path}")
    with _translated(), _opened(path) as link:
        verdict = link.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise BackupError(f"{path} is damaged: {verdict}")
        version = link.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        if version > HEAD:
            raise BackupError(f"{path} is of a newer version of this program ({version}, this is {HEAD})")
        return _counts(link)


def restore(source: Path, target: Path) -> tuple[Counts, Path | None]:
    """Put the backup in the database's place. Returns its rows, and where what was there is kept. Raises BackupError.

    An older backup is migrated by the next start of the service.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _translated(), _scratch(target) as scratch:
        shutil.copyfile(source, scratch)
        counts = check(scratch)
        aside = _set_aside(target)
        _put(scratch, target)
    return counts, aside


def _set_aside(target: Path) -> Path | None:
    if not target.exists():
        return None
    try:
        with closing(sqlite3.connect(target, timeout=1)) as link:
            # Only the last connection of all programs can end the journal; after this the file is whole by itself.
            link.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname == "SQLITE_BUSY":
            raise BackupError("the database is in use: stop the service first") from None
        # A damaged one is what restores are for; it is kept as it is.
    aside = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    for suffix in ("", *SIDE_FILES):
        with suppress(FileNotFoundError):
            Path(f"{target}{suffix}").rename(f"{aside}{suffix}")
    return aside


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as link:
        yield link


def _counts(link: sqlite3.Connection) -> Counts:
    there = {row[0] for row in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    names = [table.name for table in metadata.sorted_tables if table.name in there]
    return {name: link.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}  # noqa: S608  # our own names


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A name beside `target`, removed at the end."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield scratch
    finally:
        for suffix in ("", "-journal", *SIDE_FILES):
            Path(f"{scratch}{suffix}").unlink(missing_ok=True)


def _put(scratch: Path, target: Path) -> None:
    """Give the finished file its name, so that a power cut finds either nothing or the whole."""
    for path, move in ((scratch, True), (target.parent, False)):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if move:
            scratch.rename(target)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"SQLite refuses: {error}") from None
    except OSError as error:
        raise BackupError(f"{error.filename}: {error.strerror}") from None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m database_service.backup", description="Back up or restore.")
    parser.add_argument("file", nargs="?", type=Path, help="the new backup; default: VAR_DIR/backups/<time>.sqlite3")
    parser.add_argument("--restore", type=Path, metavar="FILE", help="put this backup in the database's place")
    given = parser.parse_args()
    settings = DatabaseSettings.read(folder=Path(__file__).parent.parent)
    if settings.database_url:
        sys.exit("This is for the embedded database; DATABASE_URL or DB_HOST names PostgreSQL: use pg_dump.")
    try:
        if given.restore:
            counts, aside = restore(given.restore, settings.sqlite_path)
            print(f"{settings.sqlite_path} is {given.restore}: {_shown(counts)}")
            print(f"What was there is {aside}" if aside else "Nothing was there before.")
        else:
            default = settings.VAR_DIR / "backups" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.sqlite3"
            target: Path = given.file or default
            if given.file and not target.parent.is_dir():
                sys.exit(f"There is no folder {target.parent}; nothing was written.")
            target.parent.mkdir(parents=True, exist_ok=True)
            print(f"{target}: {_shown(backup(settings.sqlite_path, target))}; checked")
    except BackupError as error:
        sys.exit(str(error))


def _shown(counts: Counts) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


if __name__ == "__main__":
    main()
