"""Log lines for people (coloured on a terminal and under PM2) or for machines (one JSON object a line).

`get_logger` sets the process's log up on its first call; the standard library's loggers, and so every library's, share
it. Known secrets are hidden in every line. Not for hot paths: nothing here is called per message.
"""

if __name__ == "__main__":  # run by path: make `shared` importable from any folder
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import logging
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from shared import tracing
from shared.clock import to_iso
from shared.config import config

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

COLOURS = {"DEBUG": "36", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
# What the standard library itself puts on a record; anything else came by `extra=`.
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Formatter(logging.Formatter):
    """Turns a record into one line (text: a traceback follows, indented) and hides the secrets in it."""

    def __init__(self, *, as_json: bool, coloured: bool, secrets: list[str]):
        super().__init__()
        self.as_json, self.coloured, self.secrets = as_json, coloured, secrets

    def format(self, record: logging.LogRecord) -> str:
        line = self._json(record) if self.as_json else self._text(record)
        for secret in self.secrets:
            line = line.replace(secret, "***")
        return line

    def _text(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        level = f"{record.levelname:8}"
        if self.coloured:
            level = f"\x1b[{COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        tail = "".join(f" {name}={value}" for name, value in _marks(record).items())
        line = f"{moment} {level} {record.name}: {_printable(record.getMessage())}{_printable(tail)}"
        if record.exc_info:  # indented, so that no message inside it passes for a line of the log
            line += "".join(f"\n  {_printable(part)}" for part in self.formatException(record.exc_info).split("\n"))
        return line

    def _json(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": to_iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_marks(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _marks(record: logging.LogRecord) -> dict[str, Any]:
    """The request and the trace that the line belongs to, and what came by `extra=`."""
    extra = {name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS}
    if (trace := tracing.current.get()) is not None:
        extra = {"trace_id": trace.trace_id, "span_id": trace.span_id, **extra}
    return {"request_id": found, **extra} if (found := request_id.get()) else extra


def _printable(text: str) -> str:
    """Control characters escaped, so that no input can forge a line or drive the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class FleetLogger(logging.LoggerAdapter[logging.Logger]):
    """A standard logger with `timed`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Leave message and `extra` as they are (the base class would drop the caller's `extra`)."""
        return msg, kwargs

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Log how long a block (`with log.timed("load"):`) or a function (`@log.timed("load")`) took."""
        start = time.perf_counter()
        outcome = "failed after"
        try:
            yield
            outcome = "took"
        finally:
            self.info("%s %s %.1f ms", name, outcome, (time.perf_counter() - start) * 1000)


def get_logger(name: str, level: str | None = None) -> FleetLogger:
    """A logger of this name, of the level given or the configured one. Sets the process's log up on the first call."""
    _set_up()
    logger = logging.getLogger(name)
    logger.setLevel(level.upper() if level else config.LOG_LEVEL)
    return FleetLogger(logger)


_handler: logging.Handler | None = None


def _set_up() -> None:
    if _handler is None:
        reconfigure()


def reconfigure() -> None:
    """One handler on the root logger, in the form the settings now in force ask for, to standard output.

    The first logger calls it, and create_service once its settings are known.
    """
    global _handler
    root = logging.getLogger()
    if _handler is None:
        logging.raiseExceptions = False  # a full disk or a closed pipe must not fail the caller
        _handler = logging.StreamHandler(sys.stdout)
        root.addHandler(_handler)
    coloured = sys.stdout.isatty() or bool(config.UNDER_PM2)
    as_json = config.LOG_FORMAT == "json"
    _handler.setFormatter(_Formatter(as_json=as_json, coloured=coloured, secrets=config.secrets()))
    root.setLevel(config.LOG_LEVEL)


if __name__ == "__main__":
    log = get_logger("shared.logger", level="DEBUG")
    log.debug("a debug line")
    log.info("an info line", extra={"symbol": "BTCUSDT"})
    log.warning("a warning line")
    log.error("an error line")
    with log.timed("self-check"):
        pass
