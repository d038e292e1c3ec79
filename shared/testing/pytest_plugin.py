"""Fixtures that every test of the fleet may use; the root conftest.py loads this file."""

import os
from collections.abc import Iterator
from typing import NoReturn, TypeVar

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from shared.testing.servers import PostgresServer, RedisServer, Server, ServerMissing, find_program

S = TypeVar("S", bound=Server)

# By default an example that takes 0.2 s fails its test: on a busy machine any does, now and then.
hypothesis_settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("busy")


def real_server(kind: type[S]) -> Iterator[S]:
    """At home a missing program skips the test, and the summary says so; in CI it is a failure."""
    try:
        server = kind()
    except ServerMissing as missing:
        _do_without(missing)
    with server:
        yield server


def _do_without(missing: ServerMissing) -> NoReturn:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{missing}, and CI=true allows no skip", pytrace=False)
    pytest.skip(f"{missing}: this test needs a real server")


@pytest.fixture(scope="session")
def nginx_program() -> str:
    """The path of nginx, for tests that start a `NginxServer` of their own."""
    try:
        return find_program("nginx")
    except ServerMissing as missing:
        _do_without(missing)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the session. Use keys of your own; take private_redis to stop, pause or flush it."""
    yield from real_server(RedisServer)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the session. `.create_database()` gives an empty database of your own."""
    yield from real_server(PostgresServer)


@pytest.fixture
def private_redis() -> Iterator[RedisServer]:
    """A Redis for one test, free to be killed, paused and restarted."""
    yield from real_server(RedisServer)


@pytest.fixture
def private_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for one test, free to be killed, paused and restarted."""
    yield from real_server(PostgresServer)
