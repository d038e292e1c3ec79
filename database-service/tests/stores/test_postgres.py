"""PostgreSQL going away and coming back, and what it must be told for a success to be durable."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from database_service.migrate import migrate
from database_service.stores.postgres import postgres_store
from shared.errors import Unavailable
from shared.sql.postgres import postgres_engine, postgres_url
from shared.testing.fakes import FakeClock
from shared.testing.servers import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)


def test_a_killed_server_is_unavailable_and_found_again_with_everything(
    private_postgres: PostgresServer, signal: Callable[..., Any]
) -> None:
    migrate(private_postgres.url)
    clock = FakeClock()
    store = postgres_store(private_postgres.url, clock)
    assert store.prepare()
    store.append([signal(signal_id="before")], NOON)
    private_postgres.kill()
    for _ in range(3):
        with pytest.raises(Unavailable, match="does not answer") as error:
            store.append([signal(signal_id="during")], NOON)
        assert error.value.retry_after_s
    with pytest.raises(Unavailable):
        store.probe()
    private_postgres.start()
    clock.advance(1)
    assert store.append([signal(signal_id="after")], NOON)[0].status == "stored"
    assert store.get("before") is not None
    assert store.get("during") is None
    store.close()


def test_a_server_that_acknowledges_too_early_is_overruled(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    postgres_server.execute(f"ALTER DATABASE {url.rsplit('/', 1)[1]} SET synchronous_commit = off")
    engine = postgres_engine(url)
    with engine.connect() as link:
        assert link.scalar(sa.text("SHOW synchronous_commit")) == "on"
        assert link.scalar(sa.text("SHOW TimeZone")) == "UTC"
    engine.dispose()


def test_a_database_that_does_not_exist_is_unavailable_without_its_password(postgres_server: PostgresServer) -> None:
    url = postgres_server.database_url("nobody").replace("postgres@", "postgres:canary-7731@")
    with pytest.raises(Unavailable, match="no database of that name") as error:
        postgres_store(url, FakeClock()).prepare()
    assert "canary" not in error.value.message


@pytest.mark.unit
@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite:///x", "http://h"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        postgres_url(url)


def test_history_walks_the_index_of_the_symbol(migrated_postgres: str, signal: Callable[..., Any]) -> None:
    store = postgres_store(migrated_postgres, FakeClock())
    assert store.prepare()
    symbols = ["BTCUSDT", *(f"OTHER{n}USDT" for n in range(49))]  # enough rows that the planner has a reason to choose
    store.append([signal(symbol=symbols[n % 50], signal_id=f"s{n}") for n in range(2_000)], NOON)
    store.close()
    engine = postgres_engine(migrated_postgres)
    query = (
        "EXPLAIN SELECT document FROM signals WHERE symbol = 'BTCUSDT' AND (timestamp, id) < (now(), 5) "
        "ORDER BY timestamp DESC, id DESC LIMIT 100"
    )
    with engine.connect() as link:
        link.exec_driver_sql("ANALYZE signals")
        link.exec_driver_sql("SET enable_seqscan = off")
        link.exec_driver_sql("SET enable_bitmapscan = off")
        plan = " ".join(link.exec_driver_sql(query).scalars())
    engine.dispose()
    assert "signals_by_symbol" in plan
    assert "Sort" not in plan
