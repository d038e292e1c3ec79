"""The names of signals in a table of their own, so that `signals` can be a hypertable.

Digests are kept where many may stand at one place, at its `~n`; else they follow from the document when asked for.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
IDENTIFIER = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.BigInteger().with_variant(TIMESTAMP(timezone=True), "postgresql")
KEPT = "id, signal_id, timestamp, symbol, signal_type, strategy, bot_id, confidence, price, compliant, document, hash"


def upgrade() -> None:
    """Take the names out, then the unique constraint and the digests away."""
    op.create_table(
        "signal_names",
        sa.Column("signal_id", IDENTIFIER, primary_key=True),
        sa.Column("timestamp", MOMENT, nullable=False),
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("digest", sa.Text),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO signal_names (signal_id, timestamp, id, digest) "
        "SELECT signal_id, timestamp, id, CASE WHEN signal_id LIKE '%~%' THEN digest END FROM signals "
        "ORDER BY signal_id"  # in the order of the key it takes a fraction of the time
    )
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
        return
    op.drop_constraint("signals_signal_id_key", "signals")
    op.drop_constraint("signals_pkey", "signals")
    op.create_primary_key("signals_pkey", "signals", ["id", "timestamp"])
    op.drop_column("signals", "digest")
    op.alter_column("signals", "hash", server_default=None)


def _rebuild() -> None:
    """SQLite drops no constraint; a new table takes the rows over."""
    op.create_table(
        "signals_new",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("signal_id", sa.Text, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("signal_type", sa.Text, nullable=False),
        sa.Column("strategy", sa.Text),
        sa.Column("bot_id", sa.Text),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("price", sa.Double, nullable=False),
        sa.Column("compliant", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.execute(f"INSERT INTO signals_new ({KEPT}) SELECT {KEPT} FROM signals ORDER BY id")  # noqa: S608  # our own words
    op.drop_table("signals")  # its indexes go with it
    op.rename_table("signals_new", "signals")
    op.create_index("signals_by_symbol", "signals", ["symbol", sa.desc("timestamp"), sa.desc("id")])
    op.create_index("signals_by_time", "signals", [sa.desc("timestamp"), sa.desc("id")])


def downgrade() -> None:
    """Most digests are gone."""
    raise NotImplementedError("this migration can't be undone; restore a backup made before it")
