"""First tables: signals, performance, user_settings, idempotency_keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
IDENTIFIER = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.BigInteger().with_variant(TIMESTAMP(timezone=True), "postgresql")
MONEY = sa.Text().with_variant(sa.Numeric(), "postgresql")


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "signals",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("signal_id", IDENTIFIER, nullable=False, unique=True),
        sa.Column("timestamp", MOMENT, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("signal_type", sa.Text, nullable=False),
        sa.Column("strategy", sa.Text),
        sa.Column("bot_id", sa.Text),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("price", sa.Double, nullable=False),
        sa.Column("compliant", sa.Boolean, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("signals_by_symbol", "signals", ["symbol", sa.desc("timestamp"), sa.desc("id")])
    op.create_index("signals_by_time", "signals", [sa.desc("timestamp"), sa.desc("id")])
    op.create_table(
        "performance",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("performance_id", IDENTIFIER, nullable=False, unique=True),
        sa.Column("closed_at", MOMENT, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text),
        sa.Column("bot_id", sa.Text),
        sa.Column("pnl", MONEY, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("performance_by_time", "performance", ["closed_at", "id"])
    op.create_index("performance_by_strategy", "performance", ["strategy", "closed_at", "id"])
    op.create_table(
        "user_settings",
        sa.Column("user_name", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("saved_at", MOMENT, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body_hash", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    """There is nothing before the first tables."""
    raise NotImplementedError("the first migration can't be undone; remove the database instead")
