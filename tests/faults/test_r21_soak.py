"""R21: a day of mixed load, compressed to half an hour at a high rate: memory, descriptors and waits stay flat."""

import pytest

from shared.testing.process import ServiceProcess
from tests.faults import database_load, streaming_load
from tests.faults.conftest import Start
from tests.faults.soak import LENGTH_S, Soak

pytestmark = [
    pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.database, pytest.mark.slow,
    pytest.mark.timeout(LENGTH_S + 300),
]  # fmt: skip


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_database_service_stays_as_it_is(start: Start, request: pytest.FixtureRequest, database: str) -> None:
    env = {"ACCESS_LOG": "false"}
    if database == "PostgreSQL":
        env["DATABASE_URL"] = request.getfixturevalue("postgres_server").create_database()
    with start("database-service", **env) as service:
        database_load.prepare(service)
        soak = Soak(service, database_load.LOADS, database_load.PROBE)
        soak.run()
        print(f"\nR21 on {database}", end="")
        soak.judge()
        assert service.get("/signals/audit?limit=1000000")["data"]["valid"]
        assert "Traceback" not in service.log


def test_websocket_streaming_stays_as_it_is(start: Start) -> None:
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false", "SIM_SPEED": "5"}) as market:
        streaming_load.prepare(market)
        with start("websocket-streaming", ACCESS_LOG="false", SIMULATOR_URL=market.base_url) as service:
            soak = Soak(service, streaming_load.LOADS, streaming_load.PROBE)
            soak.run()
            print("\nR21 of websocket-streaming", end="")
            soak.judge()
            assert "Traceback" not in service.log
