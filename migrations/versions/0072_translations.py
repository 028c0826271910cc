"""Texts of plans in other languages than the shop's."""

from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt.
    op.execute("ALTER TABLE plan ADD COLUMN translations JSON DEFAULT '{}' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
