"""Find what one customer owes without going through what all of them owe.

Safe while the previous release still runs: an index only.
"""

from alembic import op

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_invoice_owed", "invoice", ["payer_id", "state"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
