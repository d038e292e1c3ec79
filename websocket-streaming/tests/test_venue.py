"""The venue: asked once, kept, never mixed."""

from pathlib import Path

import pytest

from shared.logger import get_logger
from shared.testing.fakes import FakeClock
from websocket_streaming.stores.verdict import VerdictFile
from websocket_streaming.venue import choose_venue


def never() -> bool:
    raise AssertionError("Binance must not be asked")


@pytest.fixture
def verdicts(tmp_path: Path) -> VerdictFile:
    return VerdictFile(tmp_path / "var", FakeClock(), get_logger("test"))


@pytest.mark.parametrize("market", ["binance", "simulator"])
def test_a_named_market_is_obeyed_without_asking_and_not_kept(market: str, verdicts: VerdictFile) -> None:
    assert choose_venue(market, verdicts, never) == market
    assert verdicts.read() is None


@pytest.mark.parametrize(("answers", "venue"), [(True, "binance"), (False, "simulator")])
def test_auto_asks_once_and_abides_by_the_answer(answers: bool, venue: str, verdicts: VerdictFile) -> None:
    assert choose_venue("auto", verdicts, lambda: answers) == venue
    assert choose_venue("auto", verdicts, never) == venue


@pytest.mark.parametrize("content", ["", "{", "[]", '{"venue": "moon"}', "\xff"])
def test_an_unreadable_verdict_counts_as_none(content: str, verdicts: VerdictFile, tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "market.json").write_text(content, "latin-1")
    assert verdicts.read() is None
    assert choose_venue("auto", verdicts, lambda: False) == "simulator"
    assert verdicts.read() == "simulator"


def test_a_folder_that_cannot_be_written_does_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    verdicts = VerdictFile(tmp_path / "file", FakeClock(), get_logger("test"))
    assert choose_venue("auto", verdicts, lambda: True) == "binance"
