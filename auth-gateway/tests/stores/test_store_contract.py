"""What the stores must do alike on SQLite and PostgreSQL, above all when many write at the same time."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from auth_gateway.accounts import Account
from auth_gateway.api_keys import ApiKey
from auth_gateway.audit import Event, broken_at
from auth_gateway.hooks import MAX_LETTERS, Hook
from auth_gateway.sessions import Session
from auth_gateway.settings import AuthSettings
from auth_gateway.stores.accounts import SqlAccounts
from auth_gateway.stores.api_keys import SqlApiKeys
from auth_gateway.stores.audit_log import SqlAuditLog
from auth_gateway.stores.database import Database
from auth_gateway.stores.hooks import SqlHooks
from auth_gateway.stores.looks import Looks
from auth_gateway.stores.sessions import SqlSessions
from shared.sql.connections import Connections
from shared.sql.leash import Leash
from shared.testing.fakes import FakeClock

from ..conftest import NOW, all_that_is_stored

pytestmark = [pytest.mark.integration, pytest.mark.database]
ACCOUNT = Account("a", "Ada@example.org", "ada", "trader", "free", "a hash", NOW)
HOOK = Hook("h", "a", "chart", "signature", {"price": "close"}, {"confidence": 0.7}, NOW)
LATER = NOW + timedelta(hours=1)
WRITERS = 8
T = TypeVar("T")


@pytest.fixture
def database(settings: AuthSettings) -> Iterator[Database]:
    """An empty one with one account."""
    clock = FakeClock(NOW)
    database = Database.open(settings.database_url, settings.sqlite_path, clock, Leash(clock.monotonic))
    assert database.prepare()
    assert SqlAccounts(database.connections).add_account(ACCOUNT)
    yield database
    database.close()


@pytest.fixture
def at(database: Database) -> Connections:
    return database.connections


@pytest.fixture
def looks(database: Database) -> tuple[Looks, ...]:
    """As the service looks, and always by a query."""
    return tuple(Looks(database.connections, glance, lambda work, *args: work(*args))
                 for glance in (database.glance, None))  # fmt: skip


def ended(looks: tuple[Looks, ...], session_id: str) -> bool:
    said = {look.has_ended(session_id) for look in looks} | {look.ended_at_a_glance(session_id) for look in looks}
    (answer,) = said - {None}
    return bool(answer)


def by_hash(looks: tuple[Looks, ...], secret_hash: str) -> ApiKey | None:
    first, second = (look.key(secret_hash) for look in looks)
    assert first == second
    assert first is None or first[1] == ACCOUNT
    return first and first[0]


def at_once(work: Callable[[int], T], times: int = WRITERS) -> list[T]:
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(work, range(times)))


def key(number: int) -> ApiKey:
    symbols = ("BTCUSDT", "ETHUSDT")
    return ApiKey(f"k{number}", "a", "bot ç", "tfk_12345678", ("*:read",), symbols, 60, NOW, LATER)


def test_an_account_is_found_by_each_of_its_names_and_changed(at: Connections) -> None:
    accounts = SqlAccounts(at)
    assert accounts.account("a") == ACCOUNT
    assert accounts.account_named("ada") == accounts.account_named("ada@example.org") == ACCOUNT
    assert accounts.account("b") is accounts.account_named("Ada") is None
    accounts.change_password("a", "another hash")
    assert accounts.change_account("a", "reader", None, True)
    changed = replace(ACCOUNT, password_hash="another hash", role="reader", disabled=True)
    assert accounts.account("a") == changed
    assert not accounts.change_account("b", "reader", None, None)


def test_of_many_that_register_one_name_one_gets_it(at: Connections) -> None:
    def add(number: int) -> bool:
        email = f"{number}@example.org"
        return SqlAccounts(at).add_account(replace(ACCOUNT, id=f"b{number}", email=email, username="bob"))

    assert Counter(at_once(add)) == {True: 1, False: WRITERS - 1}
    winner = SqlAccounts(at).account_named("bob")
    assert winner is not None
    assert SqlAccounts(at).account_named(winner.email) == winner


def test_of_many_that_exchange_one_refresh_token_one_succeeds_and_the_session_ends(
    at: Connections, looks: tuple[Looks, ...]
) -> None:
    sessions = SqlSessions(at)
    sessions.begin_session(Session("s", "a", NOW, LATER), "first")
    found = at_once(lambda number: sessions.exchange("first", f"next {number}", NOW))
    assert Counter((one.session is not None, one.reused) for one in found) == {
        (True, False): 1,
        (True, True): WRITERS - 1,
    }
    assert ended(looks, "s")
    assert sessions.ended_since(NOW - timedelta(seconds=1)) == ["s"]
    assert [sessions.exchange(f"next {number}", "x", NOW).session for number in range(WRITERS)] == [None] * WRITERS


def test_sessions_end_together_and_old_ones_go_as_new_ones_come(
    at: Connections, settings: AuthSettings, looks: tuple[Looks, ...]
) -> None:
    sessions = SqlSessions(at)
    for number in range(3):
        sessions.begin_session(Session(f"s{number}", "a", NOW, LATER), f"t{number}")
    sessions.end_session("s0", NOW)
    assert sorted(sessions.end_sessions("a", NOW)) == ["s1", "s2"]
    assert not [name for name in ("s0", "s1", "s2") if not ended(looks, name)]
    assert sessions.exchange("t1", "x", NOW).session is None
    sessions.begin_session(Session("s3", "a", LATER + timedelta(seconds=1), LATER + timedelta(hours=1)), "t3")
    assert "s1" not in all_that_is_stored(settings)
    assert not ended(looks, "s3")


def test_many_keys_at_once_never_exceed_the_plans_number(at: Connections) -> None:
    keys = SqlApiKeys(at)
    made = at_once(lambda number: keys.add_key(key(number), f"hash {number}", 3), 2 * WRITERS)
    assert sum(made) == 3
    assert len(keys.keys_of("a")) == 3


def test_a_key_is_read_back_as_it_was_stored_exchanged_and_revoked(at: Connections, looks: tuple[Looks, ...]) -> None:
    keys = SqlApiKeys(at)
    keys.add_key(key(1), "hash", 5)
    assert by_hash(looks, "hash") == key(1)
    assert keys.rotate_key("b", "k1", "other", "tfk_87654321", NOW) is None
    assert keys.rotate_key("a", "k1", "other", "tfk_87654321", NOW) == replace(key(1), shown="tfk_87654321")
    assert by_hash(looks, "hash") is None
    assert keys.revoke_key("b", "k1", NOW) is None
    revoked = replace(key(1), shown="tfk_87654321", revoked_at=NOW)
    assert keys.revoke_key("a", "k1", NOW) == keys.revoke_key("a", "k1", LATER) == by_hash(looks, "other") == revoked
    assert keys.rotate_key("a", "k1", "third", "x", NOW) is None


def test_many_entries_at_once_make_one_whole_chain(at: Connections) -> None:
    log = SqlAuditLog(at)
    at_once(lambda number: log.record(Event("login", f"{number} ç \u0000", "192.0.2.1"), NOW), 5 * WRITERS)
    assert broken_at(log.walk()) is None
    newest = log.entries(None, 10)
    assert [entry.sequence for entry in newest] == list(range(5 * WRITERS, 5 * WRITERS - 10, -1))
    assert log.entries(newest[-1].sequence, 2)[0].sequence == newest[-1].sequence - 1


def test_an_entry_that_is_changed_or_taken_out_breaks_the_chain(at: Connections) -> None:
    log = SqlAuditLog(at)
    for number in range(4):
        log.record(Event("login", str(number), "192.0.2.1"), NOW)
    whole = list(log.walk())
    assert broken_at([*whole[:2], replace(whole[2], document=whole[2].document.replace("2", "9", 1)), whole[3]]) == 3
    assert broken_at([*whole[:2], whole[3]]) == 3


def test_many_hooks_at_once_never_exceed_their_number(at: Connections) -> None:
    hooks = SqlHooks(at)
    assert sum(at_once(lambda number: hooks.add_hook(replace(HOOK, id=f"h{number}"), 3), 2 * WRITERS)) == 3
    assert len(hooks.hooks_of("a")) == 3


def test_of_many_with_one_event_one_is_noted_and_letters_are_numbered_once(at: Connections) -> None:
    hooks = SqlHooks(at)
    hooks.add_hook(HOOK, 5)
    assert hooks.hook("h") == HOOK
    same = at_once(lambda _: hooks.note("h", "one event", NOW, ("{}", "why")))
    assert Counter(same) == {1: 1, None: WRITERS - 1}
    others = at_once(lambda number: hooks.note("h", str(number), NOW, ("{}", "why")))
    assert sorted(number for number in others if number) == list(range(2, WRITERS + 2))
    hooks.failed_again("h", 2, "again")
    letter = hooks.letter("h", 2)
    assert letter is not None
    assert (letter.attempts, letter.reason) == (2, "again")
    for number in range(MAX_LETTERS):
        hooks.note("h", f"more {number}", LATER + timedelta(seconds=1), ("{}", "why"))
    assert [letter.number for letter in hooks.letters_of("h")] == list(range(MAX_LETTERS + 9, 9, -1))
    assert not hooks.has_seen("h", "one event")
    assert hooks.has_seen("h", "more 1")


def test_a_hook_that_was_deleted_meanwhile_takes_no_event_and_leaves_nothing(
    at: Connections, settings: AuthSettings
) -> None:
    hooks = SqlHooks(at)
    hooks.add_hook(HOOK, 5)
    hooks.note("h", "before", NOW, ("{}", "why"))
    assert hooks.delete_hook("b", "h") is None
    assert hooks.delete_hook("a", "h") == HOOK
    assert hooks.note("h", "after", NOW, ("{}", "why")) is None
    assert not [word for word in ("before", "after", "why") if word in all_that_is_stored(settings)]
