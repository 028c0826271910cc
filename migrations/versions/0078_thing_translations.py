"""Products and add-ons in other languages than the shop's."""

from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt.
    for table in ("addon", "product"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN translations JSON DEFAULT '{{}}' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
