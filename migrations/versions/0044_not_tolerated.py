"""Whether what a box lacks had run out, or is not tolerated by who gets it."""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    yes = "true" if is_postgresql else "1"
    op.execute(f"ALTER TABLE box_shortage ADD COLUMN ran_out BOOLEAN DEFAULT {yes} NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
