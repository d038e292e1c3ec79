"""What the stores must do alike on SQLite and PostgreSQL, above all when many write at the same time."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from auth_gateway.accounts import Account, AccountChange
from auth_gateway.api_keys import ApiKey
from auth_gateway.audit import Checked, Entry, Event, check_chain
from auth_gateway.hooks import MAX_LETTERS, Hook
from auth_gateway.sessions import Session
from auth_gateway.settings import AuthSettings
from auth_gateway.stores.accounts import SqlAccounts
from auth_gateway.stores.api_keys import SqlApiKeys
from auth_gateway.stores.audit_log import PORTION, SqlAuditLog
from auth_gateway.stores.database import Database
from auth_gateway.stores.hooks import SqlHooks
from auth_gateway.stores.looks import Looks
from auth_gateway.stores.sessions import SqlSessions
from shared.errors import InvalidInput
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
    assert SqlAccounts(database.connections).add_account(ACCOUNT, silent)
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


def silent(_: object) -> None:
    """The log says nothing of it."""


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
    accounts.rehash("a", "another hash")
    accounts.change_account("a", AccountChange("reader", None, True), NOW, silent)
    changed = replace(ACCOUNT, password_hash="another hash", role="reader", disabled=True)
    assert accounts.account("a") == changed
    accounts.change_password("a", "a third hash", NOW, silent)
    assert accounts.account("a") == replace(changed, password_hash="a third hash")


def test_of_many_that_register_one_name_one_gets_it(at: Connections) -> None:
    def add(number: int) -> bool:
        email = f"{number}@example.org"
        return SqlAccounts(at).add_account(replace(ACCOUNT, id=f"b{number}", email=email, username="bob"), silent)

    assert Counter(at_once(add)) == {True: 1, False: WRITERS - 1}
    winner = SqlAccounts(at).account_named("bob")
    assert winner is not None
    assert SqlAccounts(at).account_named(winner.email) == winner


def test_of_many_that_exchange_one_refresh_token_one_succeeds_and_the_session_ends(
    at: Connections, looks: tuple[Looks, ...]
) -> None:
    sessions = SqlSessions(at)
    sessions.begin_session(Session("s", "a", NOW, LATER), "first", silent)
    found = at_once(lambda number: sessions.exchange("first", f"next {number}", NOW, silent))
    assert Counter((one.session is not None, one.reused) for one in found) == {
        (True, False): 1,
        (True, True): WRITERS - 1,
    }
    assert ended(looks, "s")
    assert sessions.ended_since(NOW - timedelta(seconds=1)) == ["s"]
    later = [sessions.exchange(f"next {number}", "x", NOW, silent).session for number in range(WRITERS)]
    assert later == [None] * WRITERS


def test_sessions_end_together_and_old_ones_go_as_new_ones_come(
    at: Connections, settings: AuthSettings, looks: tuple[Looks, ...]
) -> None:
    sessions = SqlSessions(at)
    for number in range(3):
        sessions.begin_session(Session(f"s{number}", "a", NOW, LATER), f"t{number}", silent)
    sessions.end_session("s0", NOW, silent)
    assert sorted(SqlAccounts(at).change_password("a", "x", NOW, silent)) == ["s1", "s2"]
    assert not [name for name in ("s0", "s1", "s2") if not ended(looks, name)]
    assert sessions.exchange("t1", "x", NOW, silent).session is None
    sessions.begin_session(Session("s3", "a", LATER + timedelta(seconds=1), LATER + timedelta(hours=1)), "t3", silent)
    assert "s1" not in all_that_is_stored(settings)
    assert not ended(looks, "s3")


def test_of_logins_and_keys_those_in_force_are_told(at: Connections) -> None:
    sessions, keys, accounts = SqlSessions(at), SqlApiKeys(at), SqlAccounts(at)
    accounts.add_account(replace(ACCOUNT, id="b", email="b@example.org", username="b"), silent)
    for name in ("in force", "ended"):
        sessions.begin_session(Session(name, "a", NOW, LATER), f"token {name}", silent)
    sessions.end_session("ended", NOW, silent)
    assert sessions.still_open(["in force", "ended", "unknown"], NOW) == {"in force"}
    assert sessions.still_open(["in force"], LATER) == set()
    for number, account_id in enumerate(("a", "a", "a", "b")):
        keys.add_key(replace(key(number), account_id=account_id), f"hash {number}", 5, silent)
    keys.revoke_key("a", "k1", NOW, silent)
    keys.rotate_key("a", "k2", "another", "tfk_x", NOW, silent)
    accounts.change_account("b", AccountChange(disabled=True), NOW, silent)
    hashes = [*(f"hash {number}" for number in range(5)), "another"]
    assert keys.still_open(hashes, NOW) == {"hash 0", "another"}
    assert keys.still_open(hashes, LATER) == set()


def test_many_keys_at_once_never_exceed_the_plans_number(at: Connections) -> None:
    keys = SqlApiKeys(at)
    made = at_once(lambda number: keys.add_key(key(number), f"hash {number}", 3, silent), 2 * WRITERS)
    assert sum(made) == 3
    assert len(keys.keys_of("a")) == 3


def test_a_key_is_read_back_as_it_was_stored_exchanged_and_revoked(at: Connections, looks: tuple[Looks, ...]) -> None:
    keys = SqlApiKeys(at)
    keys.add_key(key(1), "hash", 5, silent)
    assert by_hash(looks, "hash") == key(1)
    assert keys.rotate_key("b", "k1", "other", "tfk_87654321", NOW, silent) is None
    assert keys.rotate_key("a", "k1", "other", "tfk_87654321", NOW, silent) == replace(key(1), shown="tfk_87654321")
    assert by_hash(looks, "hash") is None
    assert keys.revoke_key("b", "k1", NOW, silent) is None
    revoked = replace(key(1), shown="tfk_87654321", revoked_at=NOW)
    assert [keys.revoke_key("a", "k1", moment, silent) for moment in (NOW, LATER)] == [revoked] * 2
    assert by_hash(looks, "other") == revoked
    assert keys.rotate_key("a", "k1", "third", "x", NOW, silent) is None


def test_many_entries_at_once_make_one_whole_chain(at: Connections) -> None:
    log = SqlAuditLog(at)
    at_once(lambda number: log.record([Event(NOW, "login", f"{number} ç \u0000", "192.0.2.1")] * 2), 5 * WRITERS)
    newest = log.entries(None, 10)
    assert check_chain(log.walk(0, 1000), 0) == Checked(10 * WRITERS, None, 10 * WRITERS, newest[0].hash, 1)
    assert [entry.sequence for entry in newest] == list(range(10 * WRITERS, 10 * WRITERS - 10, -1))
    assert log.entries(newest[-1].sequence, 2)[0].sequence == newest[-1].sequence - 1


def test_an_entry_that_is_changed_or_taken_out_breaks_the_chain(at: Connections) -> None:
    log = SqlAuditLog(at)
    log.record([Event(NOW, "login", str(number), "192.0.2.1") for number in range(4)])
    whole = list(log.walk(0, 10))
    changed = replace(whole[2], document=whole[2].document.replace('"2"', '"9"', 1))
    for others in ([changed, whole[3]], [whole[3]], [replace(whole[2], document="")]):
        assert check_chain([*whole[:2], *others], 0) == Checked(3, 3, 2, whole[1].hash, 1)
    assert check_chain(whole[1:], 0).broken_at == 1
    assert check_chain([], 0).broken_at is None


def test_a_chain_is_looked_through_in_portions(at: Connections) -> None:
    log = SqlAuditLog(at)
    log.record([Event(NOW, "login", str(number), "192.0.2.1") for number in range(5)])
    first = check_chain(log.walk(0, 3), 0)
    assert (first.entries, first.broken_at, first.to) == (3, None, 3)
    assert check_chain(log.walk(3, 3), 3) == Checked(3, None, 5, log.entries(None, 1)[0].hash, 4)
    for nowhere in (6, 2**53):
        with pytest.raises(InvalidInput):
            check_chain(log.walk(nowhere, 3), nowhere)


def test_entries_past_their_age_leave_by_the_portion_and_the_chain_stays_whole(at: Connections) -> None:
    log = SqlAuditLog(at)
    log.record([Event(NOW, "login", str(number), "192.0.2.1") for number in range(PORTION + 2)])
    log.record([Event(LATER, "login", "late", "192.0.2.1") for _ in range(PORTION)])
    head = log.entries(None, 1)[0]
    assert not log.forget(NOW, LATER)
    assert log.forget(LATER, LATER)
    assert not log.forget(LATER, LATER)
    kept = list(log.walk(0, 10_000))
    assert (kept[0].sequence, kept[0].document, kept[-2]) == (PORTION, "", head)
    assert f"up to {PORTION}, which bore {kept[0].hash}" in kept[-1].document
    assert check_chain(kept, 0) == Checked(PORTION + 4, None, 2 * PORTION + 3, kept[-1].hash, PORTION + 1)
    assert log.entries(PORTION + 2, 10)[-1].sequence == PORTION + 1
    assert check_chain(kept[1:], 0).broken_at == 1


def test_many_hooks_at_once_never_exceed_their_number(at: Connections) -> None:
    hooks = SqlHooks(at)
    assert sum(at_once(lambda number: hooks.add_hook(replace(HOOK, id=f"h{number}"), 3, silent), 2 * WRITERS)) == 3
    assert len(hooks.hooks_of("a")) == 3


def test_of_many_with_one_event_one_is_noted_and_letters_are_numbered_once(at: Connections) -> None:
    hooks = SqlHooks(at)
    hooks.add_hook(HOOK, 5, silent)
    assert hooks.hook("h") == HOOK
    same = at_once(lambda _: hooks.note("h", "one event", NOW, ("{}", "why"), silent))
    assert Counter(same) == {1: 1, None: WRITERS - 1}
    others = at_once(lambda number: hooks.note("h", str(number), NOW, ("{}", "why"), silent))
    assert sorted(number for number in others if number) == list(range(2, WRITERS + 2))
    hooks.failed_again("h", 2, "again", silent)
    letter = hooks.letter("h", 2)
    assert letter is not None
    assert (letter.attempts, letter.reason) == (2, "again")
    for number in range(MAX_LETTERS):
        hooks.note("h", f"more {number}", LATER + timedelta(seconds=1), ("{}", "why"), silent)
    assert [letter.number for letter in hooks.letters_of("h")] == list(range(MAX_LETTERS + 9, 9, -1))
    assert not hooks.has_seen("h", "one event")
    assert hooks.has_seen("h", "more 1")


def test_a_hook_that_was_deleted_meanwhile_takes_no_event_and_leaves_nothing(
    at: Connections, settings: AuthSettings
) -> None:
    hooks = SqlHooks(at)
    hooks.add_hook(HOOK, 5, silent)
    hooks.note("h", "before", NOW, ("{}", "why"), silent)
    assert hooks.delete_hook("b", "h", silent) is None
    assert hooks.delete_hook("a", "h", silent) == HOOK
    assert hooks.note("h", "after", NOW, ("{}", "why"), silent) is None
    assert not [word for word in ("before", "after", "why") if word in all_that_is_stored(settings)]


def acts(at: Connections, told: Any) -> dict[str, Callable[[], object]]:
    """One of each act that leaves an entry."""
    accounts, sessions, keys, hooks = SqlAccounts(at), SqlSessions(at), SqlApiKeys(at), SqlHooks(at)
    return {
        "register": lambda: accounts.add_account(replace(ACCOUNT, id="b", email="b@example.org", username="b"), told),
        "password": lambda: accounts.change_password("a", "other", NOW, told),
        "by hand": lambda: accounts.change_account("a", AccountChange(disabled=True), NOW, told),
        "login": lambda: sessions.begin_session(Session("new", "a", NOW, LATER), "new", told),
        "refresh": lambda: sessions.exchange("token", "next", NOW, told),
        "logout": lambda: sessions.end_session("s", NOW, told),
        "key": lambda: keys.add_key(key(2), "hash 2", 5, told),
        "rotate": lambda: keys.rotate_key("a", "k1", "other", "tfk_x", NOW, told),
        "revoke": lambda: keys.revoke_key("a", "k1", NOW, told),
        "hook": lambda: hooks.add_hook(replace(HOOK, id="h2"), 5, told),
        "event": lambda: hooks.note("h", "e2", NOW, ("{}", "why"), told),
        "in vain": lambda: hooks.failed_again("h", 1, "again", told),
        "letter": lambda: hooks.remove_letter("h", 1, told),
        "no hook": lambda: hooks.delete_hook("a", "h", told),
    }


def test_an_act_and_its_entry_are_stored_together_or_not_at_all(at: Connections, settings: AuthSettings) -> None:
    SqlSessions(at).begin_session(Session("s", "a", NOW, LATER), "token", silent)
    SqlApiKeys(at).add_key(key(1), "hash 1", 5, silent)
    SqlHooks(at).add_hook(HOOK, 5, silent)
    SqlHooks(at).note("h", "e1", NOW, ("{}", "why"), silent)
    event = Event(NOW, "act", "a", "192.0.2.1")

    def unsayable(_: object) -> Event:
        return replace(event, more={"what": object()})  # type: ignore[dict-item]  # it fails where the entry is made

    before = all_that_is_stored(settings)
    for act in acts(at, unsayable).values():
        with pytest.raises(TypeError):
            act()
        assert all_that_is_stored(settings) == before
    for number, act in enumerate(acts(at, lambda _: event).values(), 1):
        act()
        assert len(log_of(at)) == number, "an act left no entry"


def log_of(at: Connections) -> list[Entry]:
    return list(SqlAuditLog(at).walk(0, 1000))
