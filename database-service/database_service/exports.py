"""Signals as files: CSV, NDJSON and Parquet, written portion by portion, so that memory stays flat at any size.

CSV is for spreadsheets, which run what looks like a formula: a text that begins with = + - @ TAB or CR gets an
apostrophe in front (OWASP, CSV Injection). NDJSON and Parquet hold every text as it is; read those back with programs.
Objects (indicators, metadata) are JSON text in CSV and Parquet.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol

import orjson

from shared.errors import InvalidInput

Format = Literal["csv", "ndjson", "parquet"]
COLUMNS = (
    "signal_id", "timestamp", "symbol", "signal_type", "confidence", "price", "strategy", "bot_id", "timeframe",
    "stop_loss", "take_profit", "leverage", "compliant", "violations", "indicators", "metadata",
)  # fmt: skip
OBJECTS = ("indicators", "metadata")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Writer(Protocol):
    """A file in the making. `portion`: how many rows to hand over at a time."""

    content_type: ClassVar[str]
    portion: ClassVar[int]

    def rows(self, documents: Sequence[str]) -> bytes:
        """The next piece of the file, for these signals' JSON texts; before the first row with what begins it."""
        ...

    def end(self) -> bytes:
        """What ends the file."""
        ...


class NdjsonWriter:
    """The stored JSON texts as they are, one a line."""

    content_type: ClassVar[str] = "application/x-ndjson"
    portion: ClassVar[int] = 2_000

    def rows(self, documents: Sequence[str]) -> bytes:
        """See `Writer.rows`."""
        return "".join(f"{document}\n" for document in documents).encode()

    def end(self) -> bytes:
        """See `Writer.end`: nothing."""
        return b""


class CsvWriter:
    """RFC 4180, UTF-8, a header line; what a signal lacks is empty."""

    content_type: ClassVar[str] = "text/csv; charset=utf-8"
    portion: ClassVar[int] = 2_000

    def __init__(self) -> None:
        self._begun = False

    def rows(self, documents: Sequence[str]) -> bytes:
        """See `Writer.rows`."""
        text = io.StringIO()
        lines = csv.writer(text)
        if not self._begun:
            lines.writerow(COLUMNS)
            self._begun = True
        lines.writerows([_cell(name, signal.get(name)) for name in COLUMNS] for signal in map(orjson.loads, documents))
        return text.getvalue().encode()

    def end(self) -> bytes:
        """See `Writer.end`: nothing."""
        return b""


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in OBJECTS and value is not None:
        return orjson.dumps(value).decode()
    return " ".join(value) if name == "violations" else value


class ParquetWriter:
    """Apache Parquet, zstd, one row group a portion. Raises InvalidInput if the optional package is missing."""

    content_type: ClassVar[str] = "application/vnd.apache.parquet"
    portion: ClassVar[int] = 20_000

    def __init__(self) -> None:
        try:
            import pyarrow as pa  # 31 MB of memory: only for those who ask for it
            from pyarrow import parquet
        except ImportError:
            message = "parquet needs the optional package pyarrow on the server: pip install pyarrow"
            raise InvalidInput.field("format", message) from None
        types = {
            "timestamp": pa.timestamp("us", tz="UTC"), "compliant": pa.bool_(), "violations": pa.list_(pa.string()),
            **dict.fromkeys(("confidence", "price", "stop_loss", "take_profit", "leverage"), pa.float64()),
        }  # fmt: skip
        self._schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
        self._batch, self._array = pa.record_batch, pa.array
        self._sink = _Spout()
        self._file = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def rows(self, documents: Sequence[str]) -> bytes:
        """See `Writer.rows`."""
        if documents:
            signals = orjson.loads(f"[{','.join(documents)}]")
            columns = [self._column(name, [signal.get(name) for signal in signals]) for name in COLUMNS]
            self._file.write_batch(self._batch(columns, schema=self._schema))
        return self._sink.take()

    def _column(self, name: str, values: list[Any]) -> Any:
        if name == "timestamp":
            return self._array(values).cast(self._schema.field(name).type)
        if name in OBJECTS:
            values = [None if value is None else orjson.dumps(value).decode() for value in values]
        return self._array(values, self._schema.field(name).type)

    def end(self) -> bytes:
        """See `Writer.end`: the footer, which readers need first."""
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
