"""What is not tolerated: asked with the order, and told apart from what had run out."""

from alembic import op

revision = "0044"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    yes = "true" if is_postgresql else "1"
    op.execute(f"ALTER TABLE box_shortage ADD COLUMN ran_out BOOLEAN DEFAULT {yes} NOT NULL")
    op.execute("ALTER TABLE checkout ADD COLUMN avoids JSON DEFAULT '[]' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
