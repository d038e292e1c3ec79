"""The audit chain: it follows from what is stored, and whatever is changed behind it shows."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from database_service.audit import START, Head, Link, Stretch, extend, verify
from database_service.migrate import FOLDER, migrate
from database_service.stores.sql import SqlStore
from shared.hash_chain import GENESIS
from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import sqlite_engine, sqlite_url

from .client import running, settings_for

NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
Make = Callable[..., Any]


def chain_of(*documents: str) -> list[Link]:
    head, links = START, []
    for document in documents:
        head = extend(head, document)
        links.append(Link(*head, document))
    return links


@pytest.mark.unit
def test_a_hash_is_what_the_documentation_says() -> None:
    first = sha256(b"0" * 64 + b'\n1\n{"a":1}').hexdigest()
    assert extend(START, '{"a":1}') == Head(1, first)
    assert extend(Head(1, first), "é") == Head(2, sha256(f"{first}\n2\né".encode()).hexdigest())
    assert len(GENESIS) == 64


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        (lambda links: links, None),
        (lambda links: [*links[:2], links[2]._replace(document="c2"), *links[3:]], 3),
        (lambda links: [*links[:2], *links[3:]], 4),
        (lambda links: [links[1], links[0], *links[2:]], 2),
        (lambda links: [*links[:4], Link(*extend(Head(4, GENESIS), "e"), "e")], 5),
        (lambda links: [links[0]._replace(document=None), *links[1:]], None),
        (lambda links: [links[0]._replace(document=None, hash=GENESIS), *links[1:]], 2),
    ],
    ids=["untouched", "changed", "removed", "reordered", "added", "retention", "retention forged"],
)
def test_what_was_changed_is_found_where_it_was(change: Callable[[list[Link]], list[Link]], broken_at: int) -> None:
    links = chain_of("a", "b", "c", "d", "e")
    found = verify(Stretch(START, change(links), Head(*links[-1][:2])))
    assert found.broken_at == broken_at


@pytest.fixture(params=["sqlite", "postgres"])
def chained_store(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    store: SqlStore = request.getfixturevalue(f"open_{request.param}")()
    yield store
    store.close()


def execute(store: SqlStore, statement: str) -> None:
    with store._connections._writing.begin() as link:
        link.execute(sa.text(statement))


@pytest.mark.database
@pytest.mark.integration
def test_signals_are_chained_in_the_order_of_their_commits(chained_store: SqlStore, signal: Make) -> None:
    assert chained_store.verify(1, 10) == ((0, 0, START, None), START)
    chained_store.append([signal("k"), signal("k"), signal(price=2.0)], NOON)
    chained_store.append([signal(price=2.0)], NOON)  # a repeat adds nothing
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: chained_store.append([signal(price=n + 3.0)], NOON), range(40)))
    found, head = chained_store.verify(1, 100)
    assert (found.checked, found.broken_at, head.sequence) == (42, None, 42)
    assert chained_store.verify(41, 100)[0].checked == 2
    part, _ = chained_store.verify(1, 10)
    assert (part.checked, part.last.sequence, part.broken_at) == (10, 10, None)


@pytest.mark.database
@pytest.mark.integration
@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE signals SET document = replace(document, '0.85', '0.95') WHERE id = 3", 3),
        ("DELETE FROM signals WHERE id = 3", 4),
        ("DELETE FROM signals WHERE id >= 4", 4),
        ("UPDATE signals SET id = 9 WHERE id = 5", 5),
    ],
)
def test_what_is_changed_in_the_database_breaks_the_chain(
    chained_store: SqlStore, signal: Make, statement: str, broken_at: int
) -> None:
    chained_store.append([signal(price=n + 1.0) for n in range(5)], NOON)
    execute(chained_store, statement)
    assert chained_store.verify(1, 100)[0].broken_at == broken_at


@pytest.mark.database
@pytest.mark.integration
def test_what_retention_removes_leaves_the_chain_whole(chained_store: SqlStore, signal: Make) -> None:
    chained_store.append([signal(price=n + 1.0) for n in range(5)], NOON)
    execute(
        chained_store,
        "INSERT INTO audit_removed (sequence, hash, reason, removed_at) "
        "SELECT id, hash, 'age', timestamp FROM signals WHERE id < 3",
    )
    execute(chained_store, "DELETE FROM signals WHERE id < 3")
    found, _ = chained_store.verify(1, 100)
    assert (found.checked, found.removed, found.broken_at) == (5, 2, None)
    assert chained_store.verify(3, 100)[0].broken_at is None


@pytest.mark.database
@pytest.mark.integration
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_migration_chains_the_signals_there_are(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        url = sqlite_url(tmp_path / "old.sqlite3")
        engine, moment = sqlite_engine(url), "0"
    else:
        url = request.getfixturevalue("postgres_server").create_database()
        engine, moment = postgres_engine(url), "now()"
    config = Config()
    config.set_main_option("script_location", str(FOLDER / "migrations"))
    with engine.execution_options(writes=True).begin() as link:
        config.attributes["connection"] = link
        command.upgrade(config, "0001")
        for number in (1, 2, 7):
            link.exec_driver_sql(
                "INSERT INTO signals (id, signal_id, timestamp, symbol, signal_type, confidence, price, compliant, "
                f"digest, document) VALUES ({number}, '{number}', {moment}, 'B', 'BUY', 1, 1, true, '', '{{}}')"
            )
    engine.dispose()
    migrate(url)
    settings = {"SQLITE_PATH": str(tmp_path / "old.sqlite3")} if kind == "sqlite" else {"DATABASE_URL": url}
    for client in running(settings_for(tmp_path, **settings)):
        client.save()
        data = client.get("/signals/audit")["data"]
        assert (data["valid"], data["checked"], data["head"]["sequence"]) == (True, 4, 8)


@pytest.mark.api
@pytest.mark.integration
def test_the_call_checks_and_says_what_it_does_not_prove(tmp_path: Path) -> None:
    for client in running(settings_for(tmp_path)):
        for price in range(1, 6):
            client.save(price=price)
        data = client.get("/signals/audit")["data"]
        assert data | {"head": 0, "note": 0} == {
            "valid": True, "broken_at": None, "from": 1, "checked": 5, "removed": 0, "next": None, "head": 0, "note": 0,
        }  # fmt: skip
        assert data["head"]["sequence"] == 5
        assert "keep heads elsewhere" in data["note"]
        part = client.get("/signals/audit", limit=2)["data"]
        assert (part["checked"], part["next"]) == (2, 3)
        rest = client.get("/signals/audit", **{"from": part["next"]})["data"]
        assert (rest["checked"], rest["next"], rest["head"]) == (3, None, data["head"])
        assert client.refused(422, "GET", "/signals/audit?from=0")["fields"] == ["from"]
        assert client.refused(422, "GET", "/signals/audit?limit=1000001")["fields"] == ["limit"]


@pytest.mark.api
@pytest.mark.integration
def test_ten_calls_a_minute_and_none_without_a_database(tmp_path: Path) -> None:
    for client in running(settings_for(tmp_path, RATE_LIMIT_ENABLED="true")):
        answers = [client.send("GET", "/signals/audit").status_code for _ in range(11)]
        assert answers == [200] * 10 + [429]
    for client in running(settings_for(tmp_path, DB_ENABLED="false")):
        client.refused(404, "GET", "/signals/audit")
