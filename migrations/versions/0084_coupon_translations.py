"""Names of discounts in other languages than the shop's.

Safe while the previous release still runs: the column has a default, and it never reads it.
"""

from alembic import op

revision = "0084"
down_revision = "0083"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt.
    op.execute("ALTER TABLE coupon ADD COLUMN translations JSON DEFAULT '{}' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
