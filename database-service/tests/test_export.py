"""GET /signals/export: each form holds every signal of the filter, streamed; a failure never looks like the end."""

import csv
import io
import json
import socket
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3

from database_service.exports import COLUMNS, CsvWriter, NdjsonWriter, ParquetWriter
from shared.clock import to_iso
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

from .client import NOW, SIGNAL, Client

pytestmark = [pytest.mark.api, pytest.mark.integration]
FULL: dict[str, Any] = {
    "signal_id": "full", "timestamp": "2025-11-01T10:00:00.500000Z", "symbol": "ETHUSDT", "strategy": "rsi",
    "bot_id": "bot, \"1\"\n", "timeframe": "1h", "stop_loss": 1.5, "take_profit": 2.5, "leverage": 5.0,
    "indicators": {"rsi": 28.5}, "metadata": {"note": "ğüş 💥"},
}  # fmt: skip


def export(client: Client, **query: str) -> bytes:
    answer = client.send("GET", "/signals/export", query_string=query)
    assert answer.status_code == 200, answer.text
    data: bytes = answer.data
    return data


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def fill(client: Client, count: int) -> list[str]:
    """So many signals, a second apart; their ids, newest first."""
    rows = [
        SIGNAL | {"signal_id": f"s{n}", "timestamp": to_iso(NOW - timedelta(seconds=count - n))} for n in range(count)
    ]
    for begin in range(0, count, 10_000):
        client.post("/signals/batch", rows[begin : begin + 10_000])
    return [f"s{n}" for n in reversed(range(count))]


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    for writer in (CsvWriter, NdjsonWriter):
        monkeypatch.setattr(writer, "portion", 10)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 35])
def test_every_signal_is_there_once_newest_first(client: Client, count: int) -> None:
    ids = fill(client, count)
    assert [row["signal_id"] for row in table(export(client))] == ids
    assert [json.loads(line)["signal_id"] for line in export(client, format="ndjson").splitlines()] == ids


def test_csv_holds_every_field(client: Client) -> None:
    client.save(**FULL)
    [row] = table(export(client))
    assert tuple(row) == COLUMNS
    assert row == {
        **{name: str(value) for name, value in (SIGNAL | FULL).items()},
        "price": "110000.0", "indicators": '{"rsi":28.5}', "metadata": '{"note":"ğüş 💥"}',
        "compliant": "false", "violations": "leverage_above_3",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", '=cmd|" /C calc"!A0'])
def test_no_text_in_csv_is_a_formula_and_ndjson_keeps_it(client: Client, text: str) -> None:
    client.save(strategy=text)
    assert table(export(client))[0]["strategy"] == f"'{text}"
    assert json.loads(export(client, format="ndjson"))["strategy"] == text


@pytest.mark.parametrize("text", ["a,b", 'a"b', "a\nb", "a\rb", ",", '"', "a;b\tc", "💥", "\u2028", " a "])
@pytest.mark.parametrize("name", ["strategy", "bot_id", "timeframe"])
def test_whatever_a_text_holds_csv_reads_it_back(client: Client, name: str, text: str) -> None:
    client.save(**{name: text}, metadata={"note": text}, indicators={})
    [row] = table(export(client))
    assert row[name] == text
    assert json.loads(row["metadata"]) == {"note": text}
    assert (row["indicators"], row["price"], row["signal_type"]) == ("{}", "110000.0", "BUY")


def test_a_number_that_begins_with_minus_is_a_number_beside_a_formula() -> None:
    lines = CsvWriter().rows(
        b'{"signal_id":"=a","timestamp":"t","symbol":"-B","signal_type":"BUY","confidence":1,"price":-1.5e-07}\n'
    )
    [row] = table(lines)
    assert (row["signal_id"], row["symbol"], row["confidence"], row["price"]) == ("'=a", "'-B", "1", "-1.5e-07")


def test_ndjson_is_the_stored_documents(client: Client) -> None:
    client.save(**FULL)
    assert json.loads(export(client, format="ndjson")) == client.get("/signals/full")["data"]


def test_the_filter_is_historys(client: Client) -> None:
    client.save(**FULL)
    client.save(signal_id="other", confidence=0.5)
    for query in ({"symbol": "ethusdt"}, {"min_confidence": "0.8"}, {"strategy": "rsi"}, {"to": "2025-11-01T10:30"}):
        assert [row["signal_id"] for row in table(export(client, **query))] == ["full"]
    assert table(export(client, bot_id="nobody")) == []


@pytest.mark.parametrize("query", [{"format": "xls"}, {"limit": "1"}, {"cursor": "x"}, {"from": "soon"}])
def test_what_is_not_known_is_refused(client: Client, query: dict[str, str]) -> None:
    assert client.refused(422, "GET", "/signals/export", query_string=query)["fields"] == list(query)


@pytest.mark.parametrize(
    ("form", "kind"), [("csv", "text/csv; charset=utf-8"), ("ndjson", "application/x-ndjson")]
)
def test_the_answer_names_its_type_and_a_file(client: Client, form: str, kind: str) -> None:
    answer = client.send("GET", "/signals/export", query_string={"format": form})
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Content-Disposition"] == f'attachment; filename="signals.{form}"'


def test_parquet_holds_every_signal_with_its_types(client: Client) -> None:
    pa = pytest.importorskip("pyarrow", reason="the optional package pyarrow is not installed")
    from pyarrow import parquet

    client.save(**FULL)
    ids = fill(client, 3)
    found = parquet.read_table(io.BytesIO(export(client, format="parquet")))
    assert found.column_names == list(COLUMNS)
    assert found["signal_id"].to_pylist() == [*ids, "full"]
    assert found.schema.field("timestamp").type == pa.timestamp("us", tz="UTC")
    full = found.slice(3).to_pylist()[0]
    assert full["timestamp"] == datetime(2025, 11, 1, 10, 0, 0, 500_000, tzinfo=UTC)
    assert (full["stop_loss"], full["compliant"], full["violations"]) == (1.5, False, ["leverage_above_3"])
    assert json.loads(full["indicators"]) == FULL["indicators"]


def test_parquet_joins_portions_and_parts_row_groups(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects in some portions only; every kind of number; texts that look like JSON."""
    pytest.importorskip("pyarrow", reason="the optional package pyarrow is not installed")
    from pyarrow import parquet

    monkeypatch.setattr(ParquetWriter, "portion", 10)
    monkeypatch.setattr(ParquetWriter, "group", 25)
    ids = fill(client, 60)
    tricky: dict[str, Any] = {
        "price": 1, "confidence": 0.5, "stop_loss": 5e-324, "take_profit": 1e15, "strategy": '"metadata":{💥\n',
    }  # fmt: skip
    objects: dict[str, Any] = {
        "metadata": {"metadata": {"indicators": {"violations": [1]}}, "a": 'b"'}, "indicators": {},
    }  # fmt: skip
    client.save(signal_id="last", timestamp="2025-10-01T00:00:00Z", **tricky, **objects)
    file = parquet.ParquetFile(io.BytesIO(export(client, format="parquet")))
    rows = file.read().to_pylist()
    assert [row["signal_id"] for row in rows] == [*ids, "last"]
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [30, 30, 1]
    assert {name: rows[-1][name] for name in tricky} == tricky
    assert {name: json.loads(rows[-1][name]) for name in objects} == objects
    assert {rows[0][name] for name in objects} == {None}


def test_parquet_of_nothing_can_be_read(client: Client) -> None:
    pytest.importorskip("pyarrow", reason="the optional package pyarrow is not installed")
    from pyarrow import parquet

    assert parquet.read_table(io.BytesIO(export(client, format="parquet"))).num_rows == 0


def test_without_pyarrow_parquet_is_refused_with_what_to_install(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    error = client.refused(422, "GET", "/signals/export", query_string={"format": "parquet"})
    assert error["fields"] == ["format"]
    assert "pip install pyarrow" in error["message"]


# --- as it runs


@pytest.fixture(scope="module")
def running() -> Iterator[ServiceProcess]:
    """The service with 60,000 signals: 20 MB of NDJSON, past what sockets hold."""
    with ServiceProcess("database-service", {"RATE_LIMIT_ENABLED": "false"}) as service:
        for batch in range(6):
            rows = [SIGNAL | {"signal_id": f"s{batch}-{n}", "price": n + 1} for n in range(10_000)]
            body = json.dumps(rows).encode()
            headers = {"Content-Type": "application/json"}
            answer = urllib3.request("POST", service.base_url + "/signals/batch", body=body, headers=headers)
            assert answer.status == 200
        yield service


def begin(service: ServiceProcess, form: str) -> socket.socket:
    """An export whose first piece has come, and nothing more is read."""
    host, port = service.base_url.removeprefix("http://").split(":")
    link = socket.create_connection((host, int(port)), timeout=20)
    link.sendall(f"GET /signals/export?format={form} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert link.recv(12) == b"HTTP/1.1 200"
    return link


def test_a_whole_export_ends_as_one(running: ServiceProcess) -> None:
    data = urllib3.request("GET", running.base_url + "/signals/export?format=ndjson").data
    assert len({json.loads(line)["signal_id"] for line in data.splitlines()}) == 60_000


def test_a_client_that_stops_reading_holds_no_transaction(running: ServiceProcess) -> None:
    """While one is open, SQLite can't take its journal back into the file to the last page."""
    with begin(running, "ndjson"):
        headers = {"Content-Type": "application/json"}
        body = json.dumps(SIGNAL).encode()
        answer = urllib3.request("POST", running.base_url + "/signals/save", body=body, headers=headers)
        assert answer.status == 200
        with sqlite3.connect(running.var_dir / "database.sqlite3") as link:
            wait_until(lambda: _checkpointed(link), 10, what="a checkpoint without readers in its way")


def _checkpointed(link: sqlite3.Connection) -> bool:
    busy, in_journal, moved = link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(busy == 0 and in_journal == moved)


def test_an_export_that_fails_in_the_middle_is_cut_short(running: ServiceProcess) -> None:
    """The table goes away under it: the last chunk never comes."""
    with begin(running, "ndjson") as link:
        with sqlite3.connect(running.var_dir / "database.sqlite3") as base:
            base.execute("ALTER TABLE signals RENAME TO elsewhere")
        try:
            received = _all(link)
        finally:
            with sqlite3.connect(running.var_dir / "database.sqlite3") as base:
                base.execute("ALTER TABLE elsewhere RENAME TO signals")
    assert not received.endswith(b"0\r\n\r\n")
    assert b"Traceback" not in received


def _all(link: socket.socket) -> bytes:
    received: Any = bytearray()
    while piece := link.recv(1_000_000):
        received += piece
    return bytes(received)
