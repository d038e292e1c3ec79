"""The page's files in memory: their version, their forms, and what a page has no use for."""

import gzip
from pathlib import Path

import pytest

from trading_dashboard.page_files import page_files
from trading_dashboard.page_folder import MAX_BYTES, MAX_FILES, read_folder

pytestmark = pytest.mark.unit

PAGE = {
    "index.html": b'<script type="module" src="assets/js/main.js"></script>',
    "js/main.js": b"import './live.js';\n" * 100,
    "vendor/LICENSE": b"MIT",
    "icon.png": b"\x89PNG" + b"\x00" * 1000,
}


def test_the_index_names_its_files_by_their_version() -> None:
    made = page_files(PAGE)
    assert made.index.body == f'<script type="module" src="assets/{made.version}/js/main.js"></script>'.encode()
    assert set(made.assets) == {"js/main.js", "vendor/LICENSE", "icon.png"}
    assert made.assets["js/main.js"].content_type == "text/javascript"


def test_any_change_of_any_file_is_another_version() -> None:
    versions = {
        page_files(pages).version
        for pages in (
            PAGE,
            PAGE | {"js/main.js": b"1"},
            PAGE | {"js/other.js": b""},
            {**PAGE, "index.html": PAGE["index.html"] + b" "},
        )
    }
    assert len(versions) == 4
    assert page_files(dict(reversed(PAGE.items()))).version == page_files(PAGE).version


def test_texts_have_a_compressed_form_where_that_is_smaller() -> None:
    made = page_files(PAGE).assets
    packed = made["js/main.js"].packed
    assert packed is not None
    assert gzip.decompress(packed) == PAGE["js/main.js"]
    assert made["icon.png"].packed is None
    assert made["vendor/LICENSE"].packed is None


def test_a_file_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"app\.py"):
        page_files(PAGE | {"app.py": b""})


def test_a_folder_is_read_whole_hidden_files_aside(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").write_bytes(b"1")
    (tmp_path / ".hidden").write_bytes(b"2")
    assert read_folder(tmp_path) == {"js/main.js": b"1"}


def test_a_folder_that_is_too_much_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large.js").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ValueError, match="more than"):
        read_folder(tmp_path)
    (tmp_path / "large.js").unlink()
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}.js").touch()
    with pytest.raises(ValueError, match="more than"):
        read_folder(tmp_path)
