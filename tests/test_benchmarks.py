"""Every part of the streaming benchmark runs, on a small scale and without its peers, so that it can't rot."""

import tempfile
from pathlib import Path

import pytest

from benchmarks.streaming import book, fanout, ingest, price
from benchmarks.streaming.servers import build_c

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(autouse=True)
def alone_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (price, fanout):
        monkeypatch.setattr(part, "node_is_there", lambda: False)
    monkeypatch.setattr(ingest, "python_with", lambda _pinned: None)
    monkeypatch.setattr(ingest, "SECONDS", 0.2)
    monkeypatch.setattr(price, "SECONDS", 0.2)
    monkeypatch.setattr(price, "CONNECTIONS", 2)
    monkeypatch.setattr(book, "TIMES", 1)


@pytest.mark.parametrize("part", [book, ingest, price])
def test_a_part_gives_figures(part: object) -> None:
    rows = part.measure(0)  # type: ignore[attr-defined]  # a module
    assert rows
    assert all(row.figure > 0 for row in rows)


@pytest.mark.parametrize("name", ["ours", "C"])
def test_the_fan_out_reaches_its_crowd(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = build_c(Path(folder))
        servers = fanout.all_servers(program)
        if name not in servers:
            pytest.skip("no gcc")
        with fanout.Bench(1).crowd(name, servers[name], 10, fanout.FEW) as (server, crowd):
            figures = fanout.run_at(server, crowd, 100, 0.5)
            while not crowd.is_complete:
                assert crowd.read(10.0), "updates are missing"
    assert figures.per_cpu_s > 0
    assert 0 < figures.percentile(50) < float("inf")
