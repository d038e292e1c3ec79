"""Log lines: for people or for machines, one a record, without secrets, and never forged by what clients send."""

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator

import pytest

from shared import logger as logger_module
from shared.config import Settings, config
from shared.logger import FleetLogger, get_logger, request_id

pytestmark = pytest.mark.unit

SetUp = Callable[..., FleetLogger]


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What goes to standard output."""
    return io.StringIO()


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch, written: io.StringIO) -> Iterator[SetUp]:
    """Set the process's log up anew, on `written` or the stream given, with these settings."""
    handlers = logging.getLogger().handlers

    def make(stream: io.StringIO = written, **environ: str) -> FleetLogger:
        monkeypatch.setattr(sys, "stdout", stream)
        config.use(Settings.read(environ))
        logger_module.reconfigure()
        return get_logger("tests.logger", level="DEBUG")

    monkeypatch.setattr(logger_module, "_handler", None)
    before = list(handlers)
    yield make
    handlers[:] = before
    config.reset()


def test_a_text_line_has_moment_level_name_and_message(set_up: SetUp, written: io.StringIO) -> None:
    set_up().warning("the upstream is %s", "away")
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING  tests\.logger: the upstream is away\n"
    assert re.fullmatch(pattern, written.getvalue())


def test_a_json_line_is_one_object_with_the_contracts_moment(set_up: SetUp, written: io.StringIO) -> None:
    set_up(LOG_FORMAT="json").info("saved", extra={"symbol": "BTCUSDT", "count": 3})
    line = json.loads(written.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert line == {"level": "INFO", "logger": "tests.logger", "message": "saved", "symbol": "BTCUSDT", "count": 3}


@pytest.mark.parametrize(("level", "colour"), [("info", "32"), ("warning", "33"), ("error", "31"), ("debug", "36")])
def test_levels_are_coloured_on_a_terminal(set_up: SetUp, level: str, colour: str) -> None:
    terminal = Terminal()
    getattr(set_up(terminal), level)("hello")
    assert f"\x1b[{colour}m{level.upper():8}\x1b[0m" in terminal.getvalue()


def test_levels_are_coloured_under_pm2(set_up: SetUp, written: io.StringIO) -> None:
    set_up(pm_id="0").info("hello")
    assert "\x1b[32mINFO" in written.getvalue()


def test_a_pipe_gets_no_colours(set_up: SetUp, written: io.StringIO) -> None:
    set_up().error("hello")
    assert "\x1b" not in written.getvalue()


def test_json_is_never_coloured(set_up: SetUp) -> None:
    terminal = Terminal()
    set_up(terminal, LOG_FORMAT="json", pm_id="0").info("hello")
    assert json.loads(terminal.getvalue())["level"] == "INFO"


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_requests_id_stands_in_its_lines_only(set_up: SetUp, written: io.StringIO, form: str) -> None:
    log = set_up(LOG_FORMAT=form)
    token = request_id.set("trace-1")
    log.info("inside")
    request_id.reset(token)
    log.info("outside")
    inside, outside = written.getvalue().splitlines()
    assert "trace-1" in inside
    assert "request_id" not in outside


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_hidden_in_messages_extras_and_tracebacks(
    set_up: SetUp, written: io.StringIO, form: str
) -> None:
    log = set_up(LOG_FORMAT=form, DB_PASSWORD='canary"é', SENTRY_DSN="https://canarykey@localhost/1")
    log.info('password canary"é', extra={"dsn": "https://canarykey@localhost/1"})
    try:
        raise ValueError('the login trading:canary"é failed')
    except ValueError:
        log.exception("no login")
    assert "***" in written.getvalue()
    assert "canary" not in written.getvalue()


FORGED = "harmless\n2025-11-01 10:00:00.000 INFO     root: forged\r\x1b[2J\u2028\x85"


@pytest.mark.parametrize("form", ["text", "json"])
def test_control_characters_forge_no_line_and_drive_no_terminal(
    set_up: SetUp, written: io.StringIO, form: str
) -> None:
    log = set_up(LOG_FORMAT=form)
    log.info("path %s", FORGED, extra={"agent": FORGED})
    assert len(written.getvalue().splitlines()) == 1
    assert not set(written.getvalue()) & set("\r\x1b\x85")
    assert written.getvalue().endswith("\n")


def test_a_traceback_forges_no_line_either(set_up: SetUp, written: io.StringIO) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        set_up().exception("failed")
    first, *rest = written.getvalue().splitlines()
    assert first.endswith("tests.logger: failed")
    assert all(line.startswith("  ") for line in rest)
    assert "\x1b" not in written.getvalue()


def test_a_json_traceback_stays_in_its_line(set_up: SetUp, written: io.StringIO) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        set_up(LOG_FORMAT="json").exception("failed")
    assert "ValueError: wrong" in json.loads(written.getvalue())["exception"]


def test_a_timed_block_says_how_long_it_took(set_up: SetUp, written: io.StringIO) -> None:
    with set_up().timed("load"):
        pass
    assert re.search(r"INFO .*: load took \d+\.\d ms$", written.getvalue())


def test_a_timed_function_keeps_result_and_name_and_says_so_each_time(set_up: SetUp, written: io.StringIO) -> None:
    @set_up().timed("sum")
    def add(a: int, b: int) -> int:
        return a + b

    assert (add(1, 2), add(3, b=4), add.__name__) == (3, 7, "add")
    assert written.getvalue().count("sum took") == 2


def test_a_timed_block_that_fails_says_so_and_lets_the_error_pass(set_up: SetUp, written: io.StringIO) -> None:
    with pytest.raises(KeyError, match="gone"), set_up().timed("load"):
        raise KeyError("gone")
    assert "load failed after" in written.getvalue()


def test_a_logger_follows_the_configured_level_unless_given_one(set_up: SetUp, written: io.StringIO) -> None:
    set_up(LOG_LEVEL="WARNING")
    get_logger("tests.quiet").info("not this")
    get_logger("tests.loud", level="debug").debug("but this")
    assert [line.split(": ")[1] for line in written.getvalue().splitlines()] == ["but this"]


def test_setting_up_again_adds_no_second_line(set_up: SetUp, written: io.StringIO) -> None:
    set_up()
    logger_module.reconfigure()
    get_logger("tests.once").info("once")
    assert len(written.getvalue().splitlines()) == 1


def test_a_closed_pipe_fails_no_caller(set_up: SetUp, written: io.StringIO) -> None:
    log = set_up()
    written.close()
    log.info("nobody reads this")


def test_the_standard_librarys_loggers_share_the_form(set_up: SetUp, written: io.StringIO) -> None:
    set_up(LOG_FORMAT="json")
    logging.getLogger("some.library").warning("as they do")
    assert json.loads(written.getvalue())["logger"] == "some.library"
