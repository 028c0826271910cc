"""Whether who goes on after a free trial may withdraw a second time, by plan.

Safe while the previous release still runs: the column has a default, and it never reads it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "plan",
        sa.Column("second_withdrawal", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
