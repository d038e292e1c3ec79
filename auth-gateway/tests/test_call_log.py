"""Calls that change something are in the audit log before the client hears of it, and a database away stops nobody."""

import json
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from auth_gateway import call_log
from auth_gateway.audit import Event, check_chain
from auth_gateway.call_log import CallLog
from auth_gateway.settings import AuthSettings
from auth_gateway.stores.audit_log import SqlAuditLog
from auth_gateway.stores.database import Database
from shared.errors import Unavailable
from shared.logger import get_logger
from shared.sql.leash import Leash
from shared.testing.fakes import FakeClock
from shared.testing.http_server import HttpServer, Reply
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer

from .conftest import NOW, Client, running, settings_for
from .fleet import http

ENOUGH = 40  # calls that were answered before the gateway ends
GUESTS = {"X-Request-ID": "of-a-guest"}


class Disk:
    """Takes entries while it is `open`; `transactions` are what it took."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.open, self.begun = threading.Event(), threading.Event()
        self.fails = False

    def __call__(self, events: Sequence[Event]) -> None:
        self.begun.set()
        assert self.open.wait(10)
        if self.fails:
            raise Unavailable("the database is away")
        self.transactions.append([event.detail for event in events])


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def log(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[CallLog]:
    monkeypatch.setattr(call_log, "AGAIN_S", 0.01)
    monkeypatch.setattr(call_log, "WAIT_S", 10.0)
    written = CallLog(disk, get_logger("test"))
    written.start()
    yield written
    disk.fails = False
    disk.open.set()
    written.stop()


def event(detail: str) -> Event:
    return Event(NOW, "call", "a", "192.0.2.1", detail)


def adding(log: CallLog, *details: str) -> list[threading.Thread]:
    """One caller each, in this order."""
    callers: list[threading.Thread] = []
    for detail in details:
        before = log.waiting
        callers.append(threading.Thread(target=log.add, args=(event(detail),), daemon=True))
        callers[-1].start()
        wait_until(partial(comes, log, before))
    return callers


def comes(log: CallLog, before: int) -> bool:
    return log.waiting > before


def all_return(callers: list[threading.Thread]) -> None:
    for caller in callers:
        caller.join(10)
        assert not caller.is_alive()


@pytest.mark.unit
def test_who_comes_while_one_transaction_is_written_shares_the_next(log: CallLog, disk: Disk) -> None:
    first = adding(log, "1")
    assert disk.begun.wait(10)
    others = adding(log, "2", "3", "4")
    assert all(caller.is_alive() for caller in (*first, *others))
    disk.open.set()
    all_return([*first, *others])
    assert disk.transactions == [["1"], ["2", "3", "4"]]
    assert log.waiting == 0


@pytest.mark.unit
def test_while_the_place_is_away_nobody_waits_and_the_entries_come_in_their_order(log: CallLog, disk: Disk) -> None:
    disk.fails = True
    disk.open.set()
    all_return(adding(log, "1"))
    log.add(event("2"))
    log.add(event("3"))
    assert log.waiting == 3
    disk.fails = False
    wait_until(lambda: log.waiting == 0)
    assert [one for transaction in disk.transactions for one in transaction] == ["1", "2", "3"]


@pytest.mark.unit
def test_a_place_that_hangs_holds_an_answer_back_for_a_bounded_time(
    log: CallLog, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "WAIT_S", 0.01)
    log.add(event("1"))
    assert (log.waiting, disk.transactions) == (1, [])
    disk.open.set()
    wait_until(lambda: disk.transactions == [["1"]])


@pytest.mark.unit
def test_past_the_bound_nothing_may_be_changed_until_the_place_is_back(
    log: CallLog, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "MAX_WAITING", 2)
    disk.fails = True
    disk.open.set()
    log.add(event("1"))
    log.require_room()
    log.add(event("2"))
    with pytest.raises(Unavailable):
        log.require_room()
    disk.fails = False
    wait_until(lambda: log.waiting == 0)
    log.require_room()


@pytest.mark.unit
def test_what_waits_at_the_end_is_written(log: CallLog, disk: Disk) -> None:
    callers = adding(log, "1", "2", "3")
    disk.open.set()
    log.stop()
    all_return(callers)
    assert sorted(one for transaction in disk.transactions for one in transaction) == ["1", "2", "3"]


def behind(handler: BaseHTTPRequestHandler) -> Reply | None:
    """A service that takes all but some; it describes nothing."""
    if handler.path == "/cut":
        return None
    handler.rfile.read(int(handler.headers.get("content-length", 0)))
    status = 422 if handler.path.startswith("/refused") else 200
    document: dict[str, Any] = {"paths": {}, "components": {"schemas": {}}}
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


@pytest.fixture(scope="module")
def service() -> Iterator[HttpServer]:
    with HttpServer(behind) as server:
        yield server


@pytest.fixture
def through(settings: AuthSettings, service: HttpServer, tmp_path: Path, place: dict[str, str]) -> Iterator[Client]:
    """A gateway before that service."""
    yield from running(settings_for(tmp_path, SERVICE_URLS=f"database-service={service.url}", **place))


def calls(settings: AuthSettings) -> list[dict[str, Any]]:
    """What the log holds of calls, by another reader of the same database."""
    clock = FakeClock(NOW)
    database = Database.open(settings.database_url, settings.sqlite_path, clock, Leash(clock.monotonic))
    database.prepare()
    entries = list(SqlAuditLog(database.connections).walk(0, 100_000))
    database.close()
    assert check_chain(entries, 0).broken_at is None
    found = [json.loads(entry.document) for entry in entries]
    return [one for one in found if one["action"] == "call"]


@pytest.mark.api
@pytest.mark.database
def test_what_changes_something_is_noted_with_who_where_from_and_what_became_of_it(
    through: Client, settings: AuthSettings
) -> None:
    account = through.register()
    through.login()
    made = through.ok("POST", "/auth/keys", {"name": "bot", "scopes": ["*:write"]})
    by_key = {"X-API-Key": made["key"], "X-Request-ID": "of-the-key"}
    through.ok("POST", "/api/database-service/signals/save?secret=1", {"a": 1}, GUESTS)
    through.refused(503, "POST", "/api/database-service/cut", {}, by_key)
    assert through.send("DELETE", "/api/database-service/refused/" + "x" * 500, None, by_key).status_code == 422
    for _ in range(2):  # what changes nothing, and what is refused here
        through.ok("GET", "/api/database-service/signals/history")
        through.ok("POST", "/api/database-service/socket.io/?sid=1", {}, GUESTS)
        through.refused(401, "POST", "/api/database-service/signals/save", {}, {"Authorization": "Bearer x"})
    wait_until(lambda: len(calls(settings)) == 3, 20, what="the entries")
    first, second, third = calls(settings)
    assert first == {
        "at": "2026-11-01T10:47:00.000000Z", "action": "call", "actor": "guest", "address": "127.0.0.1", "detail": "",
        "method": "POST", "service": "database-service", "path": "/signals/save", "status": 200,
        "request_id": "of-a-guest",
    }  # fmt: skip
    who = {"actor": account["id"], "key": made["id"], "request_id": "of-the-key"}
    assert second == first | who | {"path": "/cut", "status": 503}
    assert third == first | who | {"method": "DELETE", "path": "/refused/" + "x" * 191, "status": 422}


@pytest.fixture
def hang(place: dict[str, str], settings: AuthSettings, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Call it, and the database does not write any more until the test is over, or until it is called again."""
    if "DATABASE_URL" in place:
        server = request.getfixturevalue("postgres_server")
        holder = server_lock(server)
    else:
        holder = file_lock(settings.sqlite_path)
    with closing(holder):
        yield lambda: next(holder, None)


def server_lock(server: PostgresServer) -> Generator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


def file_lock(path: Path) -> Generator[None]:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.api
@pytest.mark.database
def test_a_database_that_hangs_stops_no_call_and_the_entries_come_with_its_return(
    through: Client, settings: AuthSettings, hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "WAIT_S", 0.2)
    monkeypatch.setattr(call_log, "MAX_WAITING", 3)
    hang()
    for _ in range(3):
        through.ok("POST", "/api/database-service/signals/save", {}, GUESTS)
    through.refused(503, "POST", "/api/database-service/signals/save", {}, GUESTS)
    through.ok("GET", "/api/database-service/signals/history", headers=GUESTS)
    hang()
    wait_until(lambda: len(calls(settings)) == 3, 20, what="the entries are written")
    through.ok("POST", "/api/database-service/signals/save", {}, GUESTS)
    wait_until(lambda: len(calls(settings)) == 4, 20, what="what comes next is written, too")


@pytest.mark.integration
@pytest.mark.database
def test_what_a_client_was_told_of_survives_the_gateways_sudden_end(service: HttpServer, tmp_path: Path) -> None:
    env = {"SERVICE_URLS": f"database-service={service.url}", "RATE_LIMIT_ENABLED": "false"}
    told: list[str] = []
    with ServiceProcess("auth-gateway", env, var_dir=tmp_path) as gateway:

        def post(client: int) -> None:
            for number in range(1000):
                name = f"{client}-{number}"
                url = f"{gateway.base_url}/api/database-service/signals/save"
                answer = http.request("POST", url, body=b"{}", headers={"X-Request-ID": name}, timeout=10)
                assert answer.status == 200
                told.append(name)

        with ThreadPoolExecutor(4) as pool:
            ends = [pool.submit(post, client) for client in range(4)]
            wait_until(lambda: len(told) >= ENOUGH, 30)
            gateway.kill()
            errors = [end.exception() for end in ends]
    assert all(errors), "the gateway was gone before they were done"
    found = {one["request_id"] for one in calls(settings_for(tmp_path))}
    assert len(told) >= ENOUGH
    assert set(told) <= found
