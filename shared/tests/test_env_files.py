"""`.env` files: how a line is read. What their names mean is asked in test_config.py."""

from pathlib import Path

import pytest

from shared.env_files import read_env_file
from shared.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("export NAME=exported", "exported"),
        ("  NAME = spaced  ", "spaced"),
        ("NAME='single # kept'", "single # kept"),
        ('NAME="double" # gone', "double"),
        ("NAME=value # gone", "value"),
        ("NAME=a#b", "a#b"),
        ("NAME=#gone", ""),
        ("NAME=", ""),
        ("NAME=a=b=c", "a=b=c"),
        ("NAME='half", "'half"),
        ("NAME=first\nNAME=last", "last"),
        ("NAME=türkçe", "türkçe"),
        ("\ufeffNAME=after a byte-order mark", "after a byte-order mark"),
    ],
)
def test_a_line_is_read_as_shells_read_it(tmp_path: Path, line: str, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{line}\n", "utf-8")
    assert read_env_file(path) == {"NAME": value}


@pytest.mark.parametrize("line", ["", "# NAME=comment", "no equals sign", "   "])
def test_comments_and_blank_lines_say_nothing(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{line}\n")
    assert read_env_file(path) == {}


def test_no_file_is_no_error(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}


def test_a_file_that_is_no_text_stops_the_start_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"NAME=\xff\xfe\n")
    with pytest.raises(ConfigError, match="must be text in UTF-8"):
        read_env_file(path)
