"""Signals as files: CSV, NDJSON and Parquet, written portion by portion, so that memory stays flat at any size.

CSV is for spreadsheets, which run what looks like a formula: a text that begins with = + - @ TAB or CR gets an
apostrophe in front (OWASP, CSV Injection). NDJSON and Parquet hold every text as it is; read those back with programs.
Objects (indicators, metadata) are JSON text in CSV and Parquet.
"""

import io
from operator import attrgetter
from typing import Any, ClassVar, Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from shared.errors import InvalidInput

Format = Literal["csv", "ndjson", "parquet"]
COLUMNS = (
    "signal_id", "timestamp", "symbol", "signal_type", "confidence", "price", "strategy", "bot_id", "timeframe",
    "stop_loss", "take_profit", "leverage", "compliant", "violations", "indicators", "metadata",
)  # fmt: skip
OBJECTS = ("indicators", "metadata")
FORMULA = frozenset("=+-@\t\r")
NUMBERS = frozenset(COLUMNS.index(name) for name in ("confidence", "price", "stop_loss", "take_profit", "leverage"))
NOTHING = Raw(b"")
YES_NO = {True: "true", False: "false", None: ""}


class Writer(Protocol):
    """A file in the making. `portion`: how many rows to hand over at a time, at most."""

    content_type: ClassVar[str]
    portion: ClassVar[int]

    def rows(self, lines: bytes) -> bytes:
        """The next piece of the file, for these signals' JSON texts, one a line; at first with what begins it."""
        ...

    def end(self) -> bytes:
        """What ends the file."""
        ...


class NdjsonWriter:
    """The stored JSON texts as they are, one a line."""

    content_type: ClassVar[str] = "application/x-ndjson"
    portion: ClassVar[int] = 2_000

    def rows(self, lines: bytes) -> bytes:
        """See `Writer.rows`."""
        return lines

    def end(self) -> bytes:
        """See `Writer.end`: nothing."""
        return b""


class _Row(Struct, gc=False):
    """A signal as text: what it lacks is empty, numbers stay as they are written (`float_hook`), objects unread."""

    signal_id: str
    timestamp: str
    symbol: str
    signal_type: str
    confidence: Any
    price: Any
    strategy: str = ""
    bot_id: str = ""
    timeframe: str = ""
    stop_loss: Any = ""
    take_profit: Any = ""
    leverage: Any = ""
    compliant: bool | None = None
    violations: list[str] = []  # msgspec makes a new one for each
    indicators: Raw = NOTHING
    metadata: Raw = NOTHING


_texts = attrgetter(*COLUMNS[:12])
_decode_rows = msgspec.json.Decoder(_Row, float_hook=str).decode_lines


class CsvWriter:
    """RFC 4180, UTF-8, a header line; what a signal lacks is empty.

    Lines are joined by hand: the csv module looks at every letter, which takes a third longer.
    """

    content_type: ClassVar[str] = "text/csv; charset=utf-8"
    portion: ClassVar[int] = 2_000

    def __init__(self) -> None:
        self._begun = False

    def rows(self, lines: bytes) -> bytes:
        """See `Writer.rows`."""
        written = [_csv_line(row) for row in _decode_rows(lines)]
        if not self._begun:
            written.insert(0, ",".join(COLUMNS) + "\r\n")
            self._begun = True
        return "".join(written).encode()

    def end(self) -> bytes:
        """See `Writer.end`: nothing."""
        return b""


def _csv_line(row: _Row) -> str:
    texts = _texts(row)
    signal_id, _, symbol, _, _, _, strategy, bot_id, timeframe, _, _, _ = texts
    begin = signal_id[:1], symbol[:1], strategy[:1], bot_id[:1], timeframe[:1]  # numbers and times may begin with a -
    try:
        cells = ",".join(texts)
    except TypeError:  # a number without a point or an exponent, which the service itself never writes
        texts = tuple(map(str, texts))
        cells = ",".join(texts)
    special = '"' in cells or "\n" in cells or "\r" in cells or cells.count(",") != len(texts) - 1
    if special or not FORMULA.isdisjoint(begin):  # hardly ever
        words = [text if index in NUMBERS else _quoted(_calm(text)) for index, text in enumerate(texts)]
        cells = ",".join(words)
    indicators = "" if row.indicators is NOTHING else _in_quotes(str(row.indicators, "utf-8"))
    metadata = "" if row.metadata is NOTHING else _in_quotes(str(row.metadata, "utf-8"))
    return f"{cells},{YES_NO[row.compliant]},{' '.join(row.violations)},{indicators},{metadata}\r\n"


def _calm(text: str) -> str:
    return f"'{text}" if text[:1] in FORMULA else text


def _quoted(text: str) -> str:
    return _in_quotes(text) if any(letter in text for letter in ',"\r\n') else text


def _in_quotes(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


class _Objects(Struct, gc=False):
    """The parts of a signal that Arrow's reader can't leave unread."""

    indicators: Raw = NOTHING
    metadata: Raw = NOTHING


_decode_objects = msgspec.json.Decoder(_Objects).decode_lines


class ParquetWriter:
    """Apache Parquet, zstd. Raises InvalidInput if the optional package is missing.

    Arrow reads the lines itself: as long as Python objects for each row (2 µs), but without Python's lock, so that the
    loop goes on. Row groups take several portions: small ones would make the file and its footer bigger.
    """

    content_type: ClassVar[str] = "application/vnd.apache.parquet"
    portion: ClassVar[int] = 2_000
    group: ClassVar[int] = 20_000  # rows, or what comes first:
    group_bytes: ClassVar[int] = 2_000_000

    def __init__(self) -> None:
        try:
            import pyarrow as pa  # 31 MB of memory: only for those who ask for it
            from pyarrow import json, parquet
        except ImportError:
            message = "parquet needs the optional package pyarrow on the server: .venv/bin/pip install pyarrow"
            raise InvalidInput.field("format", message) from None
        types = {
            "timestamp": pa.timestamp("us", tz="UTC"), "compliant": pa.bool_(), "violations": pa.list_(pa.string()),
            **dict.fromkeys(("confidence", "price", "stop_loss", "take_profit", "leverage"), pa.float64()),
        }  # fmt: skip
        self._pa, self._json = pa, json
        self._schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
        known = pa.schema([field for field in self._schema if field.name not in OBJECTS])
        self._parse = json.ParseOptions(explicit_schema=known, unexpected_field_behavior="ignore")
        self._waiting: list[Any] = []
        self._sink = _Spout()
        # A dictionary of what never comes twice would double the file.
        again = [name for name in COLUMNS if name not in ("signal_id", "timestamp")]
        self._file = parquet.ParquetWriter(self._sink, self._schema, compression="zstd", use_dictionary=again)

    def rows(self, lines: bytes) -> bytes:
        """See `Writer.rows`: often nothing, until a row group is whole."""
        if lines:
            self._waiting.append(self._table(lines))
        rows, size = (sum(getattr(table, name) for table in self._waiting) for name in ("num_rows", "nbytes"))
        if rows >= self.group or size >= self.group_bytes:
            self._write_group()
        return self._sink.take()

    def _table(self, lines: bytes) -> Any:
        # One block for all: a line that lies across two is read twice.
        options = self._json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        table = self._json.read_json(self._pa.BufferReader(lines), options, self._parse)
        objects = _decode_objects(lines) if b'"indicators":{' in lines or b'"metadata":{' in lines else []
        for name in OBJECTS:
            texts = [None if (text := getattr(one, name)) is NOTHING else str(text, "utf-8") for one in objects]
            table = table.append_column(name, self._pa.array(texts or [None] * len(table), self._pa.string()))
        return table.select(COLUMNS)

    def _write_group(self) -> None:
        self._file.write_table(self._pa.concat_tables(self._waiting), row_group_size=self.group + self.portion)
        self._waiting = []

    def end(self) -> bytes:
        """See `Writer.end`: the last rows, and the footer, which readers need first."""
        if self._waiting:
            self._write_group()
        self._file.close()
        return self._sink.take()


class _Spout(io.RawIOBase):
    """A file that is only written; what came is taken out again piece by piece."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """For pyarrow."""
        return True

    def write(self, data: Any) -> int:
        """Hold a copy."""
        piece = bytes(data)
        self._held.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        """For pyarrow, whose footer names positions."""
        return self._written

    def take(self) -> bytes:
        """What was written since the last call."""
        taken, self._held = b"".join(self._held), []
        return taken


WRITERS: dict[Format, type[CsvWriter] | type[NdjsonWriter] | type[ParquetWriter]] = {
    "csv": CsvWriter,
    "ndjson": NdjsonWriter,
    "parquet": ParquetWriter,
}
