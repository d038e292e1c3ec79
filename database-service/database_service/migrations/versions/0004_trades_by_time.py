"""The key of a trade holds its time, so that `performance` can be a hypertable. The id is random: nothing guards it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEPT = "id, performance_id, closed_at, strategy, symbol, bot_id, pnl, document"


def upgrade() -> None:
    """Take the unique constraint away, and in PostgreSQL put the time into the key."""
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
        return
    op.drop_constraint("performance_performance_id_key", "performance")
    op.drop_constraint("performance_pkey", "performance")
    op.create_primary_key("performance_pkey", "performance", ["id", "closed_at"])


def _rebuild() -> None:
    """SQLite drops no constraint; a new table takes the rows over."""
    op.create_table(
        "performance_new",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("performance_id", sa.Text, nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text),
        sa.Column("bot_id", sa.Text),
        sa.Column("pnl", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.execute(f"INSERT INTO performance_new ({KEPT}) SELECT {KEPT} FROM performance ORDER BY id")  # noqa: S608  # our own words
    op.drop_table("performance")  # its indexes go with it
    op.rename_table("performance_new", "performance")
    op.create_index("performance_by_time", "performance", ["closed_at", "id"])
    op.create_index("performance_by_strategy", "performance", ["strategy", "closed_at", "id"])


def downgrade() -> None:
    """The ids may no longer be unique: nothing has guarded them since."""
    raise NotImplementedError("this migration can't be undone; restore a backup made before it")
