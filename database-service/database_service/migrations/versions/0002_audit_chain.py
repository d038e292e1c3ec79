"""The audit chain: a hash on each signal, the newest link, and what retention leaves. Signals there are get chained."""

import hashlib

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.BigInteger().with_variant(TIMESTAMP(timezone=True), "postgresql")
PORTION = 1000


def upgrade() -> None:
    """Add the column and the tables, then hash what is there in the order of its numbers."""
    op.add_column("signals", sa.Column("hash", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_removed",
        sa.Column("sequence", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("removed_at", MOMENT, nullable=False),
    )
    _chain(op.get_bind())


def _chain(link: sa.Connection) -> None:
    """As database_service/audit.py has it today; a migration must not change with the code."""
    read = sa.text("SELECT id, document FROM signals WHERE id > :last ORDER BY id LIMIT :portion")
    write = sa.text("UPDATE signals SET hash = :hash WHERE id = :id")
    last, before = 0, "0" * 64
    while rows := link.execute(read, {"last": last, "portion": PORTION}).all():
        hashed = []
        for row in rows:
            before = hashlib.sha256(f"{before}\n{row.id}\n{row.document}".encode()).hexdigest()
            hashed.append({"id": row.id, "hash": before})
        link.execute(write, hashed)
        last = rows[-1].id
    if last:
        head = sa.text("INSERT INTO audit_head (id, sequence, hash) VALUES (1, :sequence, :hash)")
        link.execute(head, {"sequence": last, "hash": before})


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("audit_removed")
    op.drop_table("audit_head")
    op.drop_column("signals", "hash")
