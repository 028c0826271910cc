"""When a refund was last sent; find refunds and set-ups by their gateways' names by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

#: Name -> statement.
INDEXES = {
    "ix_refund_gateway_reference": (
        "CREATE INDEX IF NOT EXISTS ix_refund_gateway_reference ON refund (gateway_reference) "
        "WHERE gateway_reference <> ''"
    ),
    "ix_gateway_setup_gateway_reference": (
        "CREATE INDEX IF NOT EXISTS ix_gateway_setup_gateway_reference "
        "ON gateway_setup (gateway_reference) WHERE gateway_reference <> ''"
    ),
}


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.add_column("refund", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    # What is on its way was sent before its next look: too late a time only makes us wait.
    op.execute("UPDATE refund SET sent_at = check_at WHERE state IN ('sent','pending','unknown')")
    for statement in INDEXES.values():
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
