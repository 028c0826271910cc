"""Why nobody may withdraw from a product, where the law has such a reason.

Safe while the previous release still runs: the column has a default, and it never reads it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "product",
        sa.Column("no_withdrawal", sa.String(length=12), nullable=False, server_default=""),
    )
    op.create_index(op.f("ix_product_no_withdrawal"), "product", ["no_withdrawal"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
