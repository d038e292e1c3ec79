"""Reads the page's folder, bounded."""

from pathlib import Path

MAX_FILES = 200
MAX_BYTES = 5_000_000  # all files together


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by its path below the folder, hidden ones aside. Raises ValueError when it is too much."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if len(found) > MAX_FILES or sum(path.stat().st_size for path in found) > MAX_BYTES:
        raise ValueError(f"{folder} holds more than {MAX_FILES} files or {MAX_BYTES:,} bytes")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
