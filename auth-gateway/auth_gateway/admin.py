"""Accounts by hand, on the machine itself: `python -m auth_gateway.admin --help`.

    python -m auth_gateway.admin create ada ada@example.org           asks for the password twice; role admin
    python -m auth_gateway.admin change ada --role reader --plan pro
    python -m auth_gateway.admin change ada --disable                 ends all its sessions, too
"""

import argparse
import getpass
import sys
import uuid
from dataclasses import asdict
from pathlib import Path

from auth_gateway.accounts import ROLES, Account, AccountChange, check_password, login_key, normal_password
from auth_gateway.audit import Event, if_done
from auth_gateway.hashing.argon2_hasher import Argon2Hasher
from auth_gateway.hashing.common import is_common
from auth_gateway.migrate import migrate
from auth_gateway.plans import PLANS
from auth_gateway.settings import AuthSettings
from auth_gateway.stores.accounts import SqlAccounts
from auth_gateway.stores.database import Database
from auth_gateway.stores.shared_denials import RedisDenials
from shared.clock import SystemClock
from shared.errors import FleetError
from shared.redis_cache import RedisCache
from shared.sql.leash import Leash

HERE = "this machine"


def main() -> None:
    """The command line."""
    asked = _arguments()
    settings = AuthSettings.read(folder=Path(__file__).parent.parent)
    clock = SystemClock()
    database = Database.open(settings.database_url, settings.sqlite_path, clock, Leash(clock.monotonic))
    try:
        if not database.prepare():
            migrate(settings.store_url)
            database.prepare()
        if asked.command == "create":
            _create(asked, settings, database, clock)
        else:
            _change(asked, settings, database, clock)
    except FleetError as error:
        sys.exit(error.message)
    finally:
        database.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m auth_gateway.admin", description="Accounts by hand.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="a new account; the password is asked for, or read from a pipe")
    create.add_argument("username")
    create.add_argument("email")
    create.add_argument("--role", choices=ROLES, default="admin")
    create.add_argument("--plan", choices=sorted(PLANS), default="desk")
    change = commands.add_parser("change", help="role, plan, or whether it may log in; its sessions end")
    change.add_argument("name", help="username or email")
    change.add_argument("--role", choices=ROLES)
    change.add_argument("--plan", choices=sorted(PLANS))
    switch = change.add_mutually_exclusive_group()
    switch.add_argument("--disable", dest="disabled", action="store_true", default=None)
    switch.add_argument("--enable", dest="disabled", action="store_false")
    return parser.parse_args()


def _create(asked: argparse.Namespace, settings: AuthSettings, database: Database, clock: SystemClock) -> None:
    password = _password()
    own_words = (asked.username, asked.email, asked.email.partition("@")[0])
    check_password(password, own_words, settings.PASSWORD_MIN_LENGTH, is_common)
    hashed = Argon2Hasher().hash(normal_password(password))
    now = clock.now()
    account = Account(uuid.uuid4().hex, asked.email, asked.username, asked.role, asked.plan, hashed, now)
    made = if_done(Event(now, "register", account.id, HERE, f"role {asked.role}"))
    if not SqlAccounts(database.connections).add_account(account, made):
        sys.exit("This email or username is taken.")
    print(f"Made {asked.username}, role {asked.role}, plan {asked.plan}.")


def _change(asked: argparse.Namespace, settings: AuthSettings, database: Database, clock: SystemClock) -> None:
    accounts = SqlAccounts(database.connections)
    account = accounts.account_named(login_key(asked.name))
    if account is None:
        sys.exit(f"There is no account {asked.name!r}.")
    change = AccountChange(asked.role, asked.plan, asked.disabled)
    said = ", ".join(f"{name} {value}" for name, value in asdict(change).items() if value is not None)
    if not said:
        sys.exit("Nothing to change: --role, --plan, --disable or --enable says what.")
    now = clock.now()
    event = Event(now, "account_changed", account.id, HERE, said)
    ended = accounts.change_account(account.id, change, now, lambda _: event)
    denials = RedisDenials(RedisCache.from_settings(settings))
    for session_id in ended:  # a running gateway asks there first
        denials.tell(session_id, settings.ACCESS_TOKEN_S)
    print(f"Changed {account.username}: {said}; {len(ended)} sessions ended.")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        sys.exit("The two differ; nothing was stored.")
    return password


if __name__ == "__main__":
    main()
