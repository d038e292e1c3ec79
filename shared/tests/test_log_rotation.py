"""PM2's log files stay bounded while PM2 goes on appending to them."""

import logging
from pathlib import Path

import pytest

from shared.log_rotation import keep_bounded, rotate

pytestmark = pytest.mark.unit


def test_a_writer_that_keeps_the_file_open_goes_on_in_the_emptied_one(tmp_path: Path) -> None:
    path = tmp_path / "s.out.log"
    with path.open("a") as pm2:
        pm2.write("old line\n" * 10)
        pm2.flush()
        assert rotate(path, max_bytes=20)
        pm2.write("new\n")
    assert path.read_text() == "new\n"
    assert (tmp_path / "s.out.log.1").read_text() == "old line\n" * 10


def test_a_small_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.out.log"
    path.write_text("x")
    assert not rotate(path, max_bytes=1)
    assert [p.name for p in tmp_path.iterdir()] == ["s.out.log"]


def test_only_so_many_are_kept_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "s.out.log"
    for generation in "abcd":
        path.write_text(generation * 3)
        rotate(path, max_bytes=2, keep=2)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "s.out.log": "", "s.out.log.1": "ddd", "s.out.log.2": "ccc",
    }  # fmt: skip


def test_only_the_services_own_files_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.log_rotation.rotate", lambda path: seen.append(path.name))
    seen: list[str] = []
    for name in ("a.out.log", "a.error.log", "a.out.log.1", "b.out.log"):
        (tmp_path / name).touch()

    class Enough(Exception):
        pass

    def stop(_seconds: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        keep_bounded(tmp_path, "a", logging.getLogger("t"), stop)
    assert seen == ["a.error.log", "a.out.log"]
