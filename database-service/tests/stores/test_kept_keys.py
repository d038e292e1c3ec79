"""The keys of the last day: as many as there may be, and no fewer."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from database_service.idempotency import KeptAnswer, KeyName
from database_service.stores import kept_keys
from database_service.stores.kept_keys import KeptKeys
from database_service.stores.spool import Spool
from shared.testing.fakes import FakeClock

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
DAY_S = 86_400


@pytest.fixture
def spool(tmp_path: Path, migrated_sqlite: bytes) -> Iterator[Spool]:
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(migrated_sqlite)
    spool = Spool(path, FakeClock(NOON), 1000)
    assert spool.prepare()
    yield spool
    spool.close()


@pytest.fixture
def clock(spool: Spool) -> FakeClock:
    assert isinstance(spool._clock, FakeClock)
    return spool._clock


@pytest.fixture
def keys(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> KeptKeys:
    """Those of the spool, which may hold 100."""
    monkeypatch.setattr(kept_keys, "MAX_KEPT", 100)
    return spool._keys


def note(keys: KeptKeys, begin: int, end: int) -> None:
    for n in range(begin, end):
        keys.note(KeyName("/signals/save", f"k{n:05}"), KeptAnswer("a body", f"s{n}"))
    keys.write_down()


def held(spool: Spool) -> list[int]:
    with spool._reading() as link:
        rows = link.exec_driver_sql("SELECT key FROM idempotency_keys ORDER BY key").scalars()
        return [int(key[1:]) for key in rows]


def test_keys_that_have_left_make_room_for_later_ones(spool: Spool, keys: KeptKeys, clock: FakeClock) -> None:
    for n in range(10):
        note(keys, n * 20, n * 20 + 20)
        assert held(spool) == list(range(n * 20, n * 20 + 20))
        clock.advance(2 * DAY_S)


def test_a_key_that_is_noted_again_counts_once(spool: Spool, keys: KeptKeys) -> None:
    for _ in range(10):
        note(keys, 0, 20)
    note(keys, 20, 40)
    assert held(spool) == list(range(40))


def test_past_the_bound_the_oldest_leave(spool: Spool, keys: KeptKeys, clock: FakeClock) -> None:
    for n in range(7):
        note(keys, n * 20, n * 20 + 20)
        clock.advance(1)
    assert held(spool) == list(range(40, 140))


def test_keys_that_the_spool_itself_removed_are_noticed_within_the_hour(
    spool: Spool, keys: KeptKeys, clock: FakeClock
) -> None:
    note(keys, 0, 90)
    spool._connections.transact(lambda link: link.exec_driver_sql("DELETE FROM idempotency_keys"))
    clock.advance(3600)
    note(keys, 90, 120)
    note(keys, 120, 140)
    assert held(spool) == list(range(90, 140))
