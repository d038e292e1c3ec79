"""The folder of recorded minute bars that `SIM_REPLAY_DIR` names: what can be replayed, and one symbol's bars.

Files: `<venue>-<BASE>_<QUOTE>-1m-<anything>.json[.gz]`, rows `[open ms, open, high, low, close, volume]`, and
`<base>-perp-1m-<anything>.csv[.gz]` or `<venue>-<BASE>_<QUOTE>-1m-….csv[.gz]`, columns
`timestamp,open,high,low,close,volume` (UTC). A perpetual without a named quote is taken to be against USD.
"""

import csv
import gzip
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from market_simulator.replay.bars import ReplayBars, make_bars
from shared.clock import parse_time
from shared.errors import InvalidInput, NotFound

MAX_BYTES = 512 * 2**20  # of one file unpacked: ten years of minutes
_NAME = re.compile(
    r"(?:[a-z0-9]+-(?P<base>[A-Z0-9]{1,20})_(?P<quote>[A-Z0-9]{1,20})|(?P<perp>[a-z0-9]{1,20})-perp)"
    r"-1m-[\w.-]*\.(?P<kind>json|csv)(?:\.gz)?"
)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Replay:
    """Recordings of one time. `date` (ISO) is the day on which most of them stood lowest."""

    date: str
    start_ms: int
    end_ms: int
    symbols: tuple[ReplayBars, ...]

    def described(self) -> dict[str, object]:
        """As a JSON object; times in ms."""
        return {
            "date": self.date,
            "from": self.start_ms,
            "to": self.end_ms,
            "symbols": {
                bars.symbol: {
                    "from": bars.start_ms, "to": bars.end_ms, "bars": bars.recorded,
                    "holes": [list(hole) for hole in bars.holes], "duplicates": list(bars.duplicates_ms),
                    "rounded": bars.rounded, "quoted": bars.quoted,
                }
                for bars in self.symbols
            },
        }  # fmt: skip


class ReplayFolder:
    """Reads a folder once (some 0.2 s a file and month) and keeps what it holds: 2 MB a symbol and month."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._replays: list[Replay] | None = None
        self.unreadable: dict[str, str] = {}  # file name → why

    def replays(self) -> list[Replay]:
        """All that can be replayed, oldest first. Raises NotFound without a folder or with nothing in it."""
        if self._folder is None:
            raise NotFound("No replays: SIM_REPLAY_DIR names no folder of recorded minute bars")
        if self._replays is None:
            self._replays = _grouped(self._read(self._folder))
        if not self._replays:
            raise NotFound("No replays: the folder that SIM_REPLAY_DIR names holds no recorded minute bars")
        return self._replays

    def find(self, moment: str) -> tuple[Replay, int]:
        """What was recorded at a date (its midnight, or where the recording begins on it) or an instant, ISO 8601.

        The recordings that run then, and the instant in ms. Raises NotFound, InvalidInput for no such moment.
        """
        try:
            at = parse_time(moment)
        except ValueError as error:
            raise InvalidInput.field("replay", str(error)) from None
        at_ms = int(at.timestamp() * 1000)
        latest_ms = at_ms + (int(_DAY.total_seconds() * 1000) - 1 if len(moment) == len("2021-05-19") else 0)
        replays = self.replays()
        for replay in replays:
            running = tuple(bars for bars in replay.symbols if bars.start_ms <= latest_ms and at_ms < bars.end_ms)
            if running:
                start_ms = max(at_ms, min(bars.start_ms for bars in running))
                return Replay(replay.date, replay.start_ms, replay.end_ms, running), start_ms
        spans = ", ".join(f"{one.date} ({_day(one.start_ms)} to {_day(one.end_ms - 1)})" for one in replays)
        raise NotFound(f"Nothing was recorded at {at:%Y-%m-%d %H:%M}; there are {spans}")

    def _read(self, folder: Path) -> list[ReplayBars]:
        if not folder.is_dir():
            raise NotFound("No replays: the folder that SIM_REPLAY_DIR names does not exist")
        recordings = []
        for path in sorted(folder.iterdir()):
            if match := _NAME.fullmatch(path.name):
                base, quote = match["base"] or match["perp"].upper(), match["quote"] or "USD"
                try:
                    rows = _json_rows(path) if match["kind"] == "json" else _csv_rows(path)
                    recordings.append(make_bars(base, quote, *rows))
                except (OSError, EOFError, ValueError) as error:
                    self.unreadable[path.name] = str(error)
        return recordings


def _grouped(recordings: Sequence[ReplayBars]) -> list[Replay]:
    """Recordings of overlapping times together; of two of one symbol the longer one."""
    groups: list[list[ReplayBars]] = []
    for bars in sorted(recordings, key=lambda one: (one.start_ms, one.symbol)):
        if groups and bars.start_ms < max(one.end_ms for one in groups[-1]):
            groups[-1].append(bars)
        else:
            groups.append([bars])
    replays = []
    for group in groups:
        longest = {one.symbol: one for one in sorted(group, key=lambda one: one.recorded)}
        symbols = tuple(longest[symbol] for symbol in sorted(longest))
        lowest = Counter(sorted(_day(one.lowest_ms()) for one in symbols))
        start_ms, end_ms = min(one.start_ms for one in symbols), max(one.end_ms for one in symbols)
        replays.append(Replay(lowest.most_common(1)[0][0], start_ms, end_ms, symbols))
    return replays


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()


def _bytes(path: Path) -> bytes:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    return content


Rows = tuple[list[int], NDArray[np.float64]]


def _json_rows(path: Path) -> Rows:
    rows = orjson.loads(_bytes(path))
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == 6 and all(type(cell) in (int, float) for cell in row) for row in rows
    ):
        raise ValueError("no list of [open ms, open, high, low, close, volume]")
    if not all(type(row[0]) is int and abs(row[0]) < 2**53 for row in rows):
        raise ValueError("an open time that is no number of milliseconds")
    return [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=np.float64)


def _csv_rows(path: Path) -> Rows:
    lines = csv.reader(_bytes(path).decode().splitlines())
    if next(lines, None) != ["timestamp", "open", "high", "low", "close", "volume"]:
        raise ValueError("no columns timestamp,open,high,low,close,volume")
    times: list[int] = []
    figures: list[list[float]] = []
    for at, *cells in lines:
        times.append(round(parse_time(at).timestamp() * 1000))
        figures.append([float(cell) for cell in cells])
    return times, np.array(figures, dtype=np.float64)
