"""What the page has from others is what it was when it came, each with version and licence."""

import hashlib
from pathlib import Path

import pytest

import trading_dashboard

pytestmark = pytest.mark.unit

VENDOR = Path(trading_dashboard.__file__).parent / "page" / "vendor"


def test_every_file_is_in_the_list_and_is_what_the_list_says() -> None:
    lines = (VENDOR / "SHA256SUMS").read_text("utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    found = {path.relative_to(VENDOR).as_posix(): path for path in VENDOR.glob("*/**/*") if path.is_file()}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == listed


def test_each_has_its_version_and_its_licence() -> None:
    versions = (VENDOR / "VERSIONS.txt").read_text("utf-8")
    folders = [path for path in VENDOR.iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        assert f"\n{folder.name} " in versions
        assert (folder / "LICENSE").stat().st_size > 500
