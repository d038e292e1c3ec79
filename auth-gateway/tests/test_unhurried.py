"""Logins are taken up one by one, and hold up nobody else."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth_gateway.service import UNHURRIED
from auth_gateway.unhurried import Unhurried

from .conftest import Client

pytestmark = pytest.mark.unit
LOGIN = ("POST", "/auth/login")
LOGINS = 8


class Pauses:
    """Last until the test ends them."""

    def __init__(self) -> None:
        self.now, self.most, self.all = 0, 0, 0
        self.over = threading.Semaphore(0)

    def __call__(self) -> None:
        self.now += 1
        self.most, self.all = max(self.most, self.now), self.all + 1
        assert self.over.acquire(timeout=10)
        self.now -= 1


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def call(pauses: Pauses) -> Callable[[str, str], Any]:
    app = Unhurried(lambda environ, _: [environ["PATH_INFO"].encode()], [LOGIN], pauses)
    return lambda method, path: app({"REQUEST_METHOD": method, "PATH_INFO": path}, lambda *_: None)


def test_each_waits_for_its_own_pause_and_no_two_pause_together(call: Any, pauses: Pauses) -> None:
    with ThreadPoolExecutor(LOGINS) as pool:
        waiting = [pool.submit(call, *LOGIN) for _ in range(LOGINS)]
        for number in range(LOGINS):
            assert sum(one.done() for one in waiting) <= number
            pauses.over.release()
        assert [one.result(10) for one in waiting] == [[b"/auth/login"]] * LOGINS
    assert (pauses.most, pauses.all) == (1, LOGINS)


def test_other_calls_wait_for_no_login(call: Any, pauses: Pauses) -> None:
    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(call, *LOGIN)
        assert call("GET", "/auth/validate") == [b"/auth/validate"]
        assert call("GET", "/auth/login") == [b"/auth/login"], "that is no login"
        assert not login.done()
        pauses.over.release()
        login.result(10)


@pytest.mark.api
@pytest.mark.parametrize("place", [{}], ids=["sqlite"])
def test_the_calls_that_wait_are_calls_of_the_service(client: Client) -> None:
    described = client.ok("GET", "/openapi.json")["paths"]
    assert all(method.lower() in described[path] for method, path in UNHURRIED)
