"""The sentence under the shop's name in other languages than the shop's."""

from alembic import op

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt.
    op.execute("ALTER TABLE shop_settings ADD COLUMN lines JSON DEFAULT '{}' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
