"""Accounts, sessions, API keys, webhooks and the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.BigInteger().with_variant(TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "auth_accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
    )
    op.create_table(
        "auth_login_names",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, sa.ForeignKey("auth_accounts.id"), nullable=False),
    )
    op.create_table(
        "auth_sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, sa.ForeignKey("auth_accounts.id"), nullable=False, index=True),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        sa.Column("ended_at", MOMENT, index=True),
    )
    session = sa.ForeignKey("auth_sessions.id", ondelete="CASCADE")
    op.create_table(
        "auth_refresh_tokens",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("session_id", sa.Text, session, nullable=False, index=True),
        sa.Column("used_at", MOMENT),
    )
    op.create_table(
        "auth_api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, sa.ForeignKey("auth_accounts.id"), nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("symbols", sa.Text, nullable=False),
        sa.Column("per_minute", sa.Integer),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
    )
    op.create_index("auth_keys_of", "auth_api_keys", ["account_id", "created_at"])
    _make_hooks()
    op.create_table(
        "auth_audit_log",
        sa.Column("sequence", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )


def _make_hooks() -> None:
    op.create_table(
        "auth_hooks",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, sa.ForeignKey("auth_accounts.id"), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("fixed", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("letters", sa.Integer, nullable=False),
    )
    op.create_table(
        "auth_hook_events",
        sa.Column("hook_id", sa.Text, sa.ForeignKey("auth_hooks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("event", sa.Text, primary_key=True),
        sa.Column("seen_at", MOMENT, nullable=False),
    )
    op.create_index("auth_hook_events_by_age", "auth_hook_events", ["hook_id", "seen_at"])
    op.create_table(
        "auth_dead_letters",
        sa.Column("hook_id", sa.Text, sa.ForeignKey("auth_hooks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    """Drop them, and all that is in them."""
    for table in (
        "auth_audit_log", "auth_dead_letters", "auth_hook_events", "auth_hooks", "auth_api_keys",
        "auth_refresh_tokens", "auth_sessions", "auth_login_names", "auth_accounts",
    ):  # fmt: skip
        op.drop_table(table)
