"""The test servers themselves: real programs that can be taken away and given back."""

import psycopg2
import pytest
import redis

from shared.testing.net import port_taken
from shared.testing.servers import PostgresServer, RedisServer, ServerMissing, find_program


def _redis(server: RedisServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=0.3, retry_on_error=[], single_connection_client=False)


@pytest.mark.redis
@pytest.mark.integration
def test_redis_keeps_port_and_data_over_a_kill(private_redis: RedisServer) -> None:
    port = private_redis.port
    _redis(private_redis).set("k", "v")
    private_redis.kill()
    assert not port_taken(port)
    private_redis.start()
    assert private_redis.port == port
    assert _redis(private_redis).get("k") == b"v"


@pytest.mark.redis
@pytest.mark.integration
def test_a_paused_redis_accepts_but_does_not_answer(private_redis: RedisServer) -> None:
    private_redis.pause()
    assert port_taken(private_redis.port)
    assert private_redis.call("PING") == ""
    private_redis.resume()
    assert private_redis.call("PING") == "+PONG"


@pytest.mark.database
@pytest.mark.integration
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_postgres_keeps_port_and_committed_rows(private_postgres: PostgresServer, end: str) -> None:
    url = private_postgres.create_database()
    link = psycopg2.connect(url)
    with link, link.cursor() as cursor:
        cursor.execute("CREATE TABLE t AS SELECT 42 AS n")
    getattr(private_postgres, end)()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url, connect_timeout=1)
    private_postgres.start()
    with psycopg2.connect(url) as again, again.cursor() as cursor:
        cursor.execute("SELECT n FROM t")
        assert cursor.fetchone() == (42,)


@pytest.mark.database
@pytest.mark.integration
def test_each_database_of_the_shared_server_is_new(postgres_server: PostgresServer) -> None:
    assert postgres_server.create_database() != postgres_server.create_database()


@pytest.mark.unit
def test_a_missing_program_is_named() -> None:
    with pytest.raises(ServerMissing, match="no-such-server is not installed"):
        find_program("no-such-server")
