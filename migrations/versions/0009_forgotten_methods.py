"""When a gateway is asked next to forget a method that its owner took away."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

#: Name -> statement.
INDEXES = {
    "ix_payment_method_forget": (
        "CREATE INDEX IF NOT EXISTS ix_payment_method_forget ON payment_method (forget_at) "
        "WHERE forget_at IS NOT NULL"
    ),
}


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.add_column(
        "payment_method", sa.Column("forget_at", sa.DateTime(timezone=True), nullable=True)
    )
    for statement in INDEXES.values():
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
