"""The gateway's checks and its login in one process under gevent, put together as its service.py does:
`python -m benchmarks.gateway.in_process ACCOUNTS KEYS [REDIS_URL DATABASE_URL]`; prints medians and p99s in
microseconds as JSON."""

# ruff: noqa: E402  # patched first, as the service is
from gevent import monkey

monkey.patch_all()

import itertools
import json
import secrets
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "auth-gateway"))  # its folder is no package

import sqlalchemy as sa

from auth_gateway.accounts import Account
from auth_gateway.api_keys import ApiKey, new_secret, shown_part
from auth_gateway.attempts import Attempts
from auth_gateway.denylist import Denylist
from auth_gateway.hashing.argon2_hasher import Argon2Hasher
from auth_gateway.hashing.common import is_common
from auth_gateway.identity import Doorkeeper
from auth_gateway.login import Login, PasswordRules
from auth_gateway.migrate import migrate_apart
from auth_gateway.sessions import new_session, token_hash
from auth_gateway.stores.accounts import SqlAccounts
from auth_gateway.stores.api_keys import SqlApiKeys
from auth_gateway.stores.audit_log import SqlAuditLog
from auth_gateway.stores.database import Database
from auth_gateway.stores.looks import Looks
from auth_gateway.stores.schema import accounts as account_table
from auth_gateway.stores.schema import login_names
from auth_gateway.stores.sessions import SqlSessions
from auth_gateway.stores.shared_denials import RedisDenials
from auth_gateway.tokens import AccessTokens
from shared.clock import SystemClock
from shared.offload import Offload
from shared.redis_cache import RedisCache
from shared.sql.leash import Leash
from shared.sql.sqlite import sqlite_url

PASSWORD = "correct horse battery"
LIFETIME_S = 900
CHECKS, FRESH, LOGINS = 2_000, 300, 30


class Rig:
    """A database of so many accounts and keys, and everything that judges by it."""

    def __init__(
        self, path: Path, account_count: int, key_count: int, redis_url: str | None = None, url: str | None = None
    ):
        clock, self.offload, hasher = SystemClock(), Offload(4), Argon2Hasher()
        cache = RedisCache(enabled=redis_url is not None, url=redis_url)
        migrate_apart(url or sqlite_url(path))
        database = Database.open(url, path, clock, Leash(clock.monotonic))
        database.prepare()
        self.link = database.connections
        accounts, self.sessions, keys = SqlAccounts(self.link), SqlSessions(self.link), SqlApiKeys(self.link)
        self.tokens = AccessTokens([secrets.token_bytes(32)], LIFETIME_S, clock.now)
        run = self.offload.call
        looks = Looks(self.link, database.glance, run)
        denylist = Denylist(
            LIFETIME_S, RedisDenials(cache), looks.ended_at_a_glance, looks.has_ended,
            lambda moment: run(self.sessions.ended_since, moment), clock.now, clock.monotonic,
        )  # fmt: skip
        self.doorkeeper = Doorkeeper(self.tokens, denylist, looks.key, clock.now, clock.monotonic)
        self.login = Login(
            accounts, self.sessions, SqlAuditLog(self.link), hasher, self.tokens, denylist, Attempts(cache),
            PasswordRules(8, is_common), run, clock.now, timedelta(days=30),
        )  # fmt: skip
        self.accounts = self._fill(account_count, hasher.hash(PASSWORD))
        self.keys = [self._key(keys, account) for _, account in zip(range(key_count), itertools.cycle(self.accounts))]

    def _fill(self, count: int, password_hash: str) -> list[Account]:
        now = datetime.now(UTC)
        made = [
            Account(uuid.uuid4().hex, f"user{n}@example.org", f"user{n}", "trader", "free", password_hash, now)
            for n in range(count)
        ]
        rows = [{name: getattr(account, name) for name in Account.__slots__} for account in made]
        names = [{"name": name, "account_id": account.id} for account in made
                 for name in (account.email, account.username)]  # fmt: skip

        def insert(link: sa.Connection) -> None:
            link.execute(sa.insert(account_table), rows)
            link.execute(sa.insert(login_names), names)

        self.link.transact(insert, rows=3 * count)
        return made

    def _key(self, keys: SqlApiKeys, account: Account) -> str:
        secret = new_secret()
        key = ApiKey(
            uuid.uuid4().hex, account.id, "a bot", shown_part(secret), ("*:read",), (), None, datetime.now(UTC), None
        )
        keys.add_key(key, token_hash(secret), 1_000_000, lambda _: None)
        return secret

    def bearer(self) -> str:
        """A token of a session in force."""
        session = new_session(self.accounts[0].id, datetime.now(UTC), timedelta(days=1))
        self.sessions.begin_session(session, token_hash(secrets.token_hex(16)), lambda _: None)
        return f"Bearer {self.tokens.make(self.accounts[0], session.id)}"

    def figures(self) -> dict[str, tuple[float, float]]:
        """Median and p99 of each check."""
        bearer, keys, fresh = self.bearer(), itertools.cycle(self.keys), iter([self.bearer() for _ in range(FRESH + 1)])
        names = itertools.cycle(account.username for account in self.accounts[:: max(1, len(self.accounts) // 10)])

        def looked_up() -> None:
            self.doorkeeper.forget_keys()
            self.doorkeeper.identify(None, next(keys))

        return {
            "token": _timed(lambda: self.doorkeeper.identify(bearer, None), CHECKS),
            "token, seen first": _timed(lambda: self.doorkeeper.identify(next(fresh), None), FRESH),
            "key, remembered": _timed(lambda: self.doorkeeper.identify(None, self.keys[0]), CHECKS),
            "key, looked up": _timed(looked_up, CHECKS),
            "login": _timed(lambda: self.login.login(next(names), PASSWORD, "192.0.2.1"), LOGINS),
        }


def _timed(call: Callable[[], object], count: int) -> tuple[float, float]:
    call()
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1e6)
    times.sort()
    return times[count // 2], times[count * 99 // 100]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder) / "auth.sqlite3", int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
        sys.stdout.write(json.dumps(rig.figures()))
        sys.stdout.flush()
