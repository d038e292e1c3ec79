"""The secret that a fleet makes for itself: one for all who ask, and for its user's eyes alone."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.kept_secret import kept_secret

pytestmark = pytest.mark.unit


def test_many_that_ask_at_once_get_the_same_256_bits_and_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: kept_secret(path), range(32)))
    assert len(found) == 1
    assert found == {kept_secret(path)}
    assert re.fullmatch(rb"[0-9a-f]{64}", found.pop())
    assert [file.name for file in path.parent.iterdir()] == ["secret"]


def test_nobody_else_may_read_it_and_no_two_are_alike(tmp_path: Path) -> None:
    assert kept_secret(tmp_path / "one") != kept_secret(tmp_path / "other")
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
