"""Every part of the streaming and gateway benchmarks runs, on a small scale and without peers, so that none can rot."""

import tempfile
from pathlib import Path

import pytest

from benchmarks.gateway import crowd, doors, logins, proxy
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
    monkeypatch.setattr(doors, "python_with", lambda _pinned: None)
    small: dict[str, float] = {"CONNECTIONS": 2, "SECONDS": 0.2, "PACED": 5, "WARM": 1}
    for name, value in small.items():
        monkeypatch.setattr(proxy, name, value)
    monkeypatch.setattr(crowd, "MANY", (20, 20))
    small = {"LOGINS": 3, "BURSTS": 1, "BEFORE_S": 0.1}
    for name, value in small.items():
        monkeypatch.setattr(logins, name, value)


@pytest.mark.parametrize("part", [book, ingest, price])
def test_a_part_gives_figures(part: object) -> None:
    rows = part.measure(0)  # type: ignore[attr-defined]  # a module
    assert rows
    assert all(row.figure > 0 for row in rows)


@pytest.mark.parametrize("part", [crowd, logins, proxy])
def test_a_part_of_the_gateways_gives_figures(part: object) -> None:
    rows = part.measure(1)  # type: ignore[attr-defined]  # a module
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
