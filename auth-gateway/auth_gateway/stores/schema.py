"""The tables, as the newest migration leaves them; a test compares the two.

They may share a PostgreSQL database with database-service's, so each is named `auth_…`, Alembic's own too.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text

from shared.sql.columns import Moment

HEAD = "0001"
VERSION_TABLE = "auth_alembic_version"

metadata = MetaData()

accounts = Table(
    "auth_accounts", metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("disabled", Boolean, nullable=False),
)  # fmt: skip

# An email can't be somebody else's username, so both lie in one table of what can be typed at a login.
login_names = Table(
    "auth_login_names", metadata,
    Column("name", Text, primary_key=True),
    Column("account_id", Text, ForeignKey(accounts.c.id), nullable=False),
)  # fmt: skip

sessions = Table(
    "auth_sessions", metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey(accounts.c.id), nullable=False, index=True),
    Column("begun_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("ended_at", Moment, index=True),
)  # fmt: skip

refresh_tokens = Table(
    "auth_refresh_tokens", metadata,
    Column("hash", Text, primary_key=True),
    Column("session_id", Text, ForeignKey(sessions.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("used_at", Moment),
)  # fmt: skip

api_keys = Table(
    "auth_api_keys", metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey(accounts.c.id), nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # by blank
    Column("symbols", Text, nullable=False),  # by blank
    Column("per_minute", Integer),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Index("auth_keys_of", "account_id", "created_at"),
)  # fmt: skip

# No secret of a hook is stored; see hooks.py.
hooks = Table(
    "auth_hooks", metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey(accounts.c.id), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("proof", Text, nullable=False),
    Column("fields", Text, nullable=False),  # JSON
    Column("fixed", Text, nullable=False),  # JSON
    Column("created_at", Moment, nullable=False),
    Column("letters", Integer, nullable=False),  # dead ones ever, so that a number never comes twice
)  # fmt: skip

hook_events = Table(
    "auth_hook_events", metadata,
    Column("hook_id", Text, ForeignKey(hooks.c.id, ondelete="CASCADE"), primary_key=True),
    Column("event", Text, primary_key=True),
    Column("seen_at", Moment, nullable=False),
    Index("auth_hook_events_by_age", "hook_id", "seen_at"),
)  # fmt: skip

dead_letters = Table(
    "auth_dead_letters", metadata,
    Column("hook_id", Text, ForeignKey(hooks.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("at", Moment, nullable=False),
)  # fmt: skip

audit_log = Table(
    "auth_audit_log", metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("document", Text, nullable=False),
)  # fmt: skip
