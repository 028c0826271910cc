"""Whose VAT number and exemption a subscription is taxed by: its account's or its order's."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.add_column(
        "subscription",
        sa.Column("is_taxed_as_ordered", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    subscription = sa.table(
        "subscription", sa.column("is_taxed_as_ordered"), sa.column("order_tax_id")
    )
    op.execute(
        sa.update(subscription)
        .where(subscription.c.order_tax_id != "")
        .values(is_taxed_as_ordered=sa.true())
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
