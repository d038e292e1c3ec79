"""docs/security.md names tests that are there, for every item of the list and every rule that it goes by."""

import re

import pytest

from shared.fleet import ROOT

pytestmark = pytest.mark.unit
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = re.findall(r"`([\w./-]+\.py)::(\w+)(?:\[([^\]`]+)\])?`", TEXT)


@pytest.mark.parametrize(("file", "name", "case"), NAMED, ids="::".join)
def test_each_test_that_it_names_is_there(file: str, name: str, case: str) -> None:
    source = (ROOT / file).read_text("utf-8")
    assert re.search(rf"^ *def {name}\(", source, re.M)
    assert not case or f'"{case}": ' in source


def test_what_looks_like_a_test_is_read_as_one() -> None:
    assert len(NAMED) == TEXT.count(".py::") > 60


def test_every_item_of_owasps_list_is_there_once_with_tests() -> None:
    sections = re.findall(r"^### (API\d+:2023) [^\n]+\n(.*?)(?=^#)", TEXT, re.M | re.S)
    assert [title for title, _ in sections] == [f"API{number}:2023" for number in range(1, 11)]
    assert all(body.count(".py::") >= 2 for _, body in sections)


def test_every_rule_of_rfc_8725_is_there_with_its_test_or_the_reason_why_it_needs_none() -> None:
    rows = re.findall(r"^\| (3\.\d+) [^|]+\| ([^|]+) \| ([^|]+) \|$", TEXT, re.M)
    assert [rule for rule, _, _ in rows] == [f"3.{number}" for number in range(1, 13)]
    assert {rule for rule, _, tests in rows if ".py::" not in tests} == {"3.4", "3.6"}
