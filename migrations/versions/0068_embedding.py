"""Sites that may show the plans inside their pages."""

from alembic import op

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute("ALTER TABLE shop_settings ADD COLUMN embed_origins JSON DEFAULT '[]' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
