"""Gifts of which nothing is written to their recipient."""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    no = "false" if op.get_bind().dialect.name == "postgresql" else "0"
    op.execute(f"ALTER TABLE gift ADD COLUMN is_quiet BOOLEAN DEFAULT {no} NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
