"""Questions about a box and their answers in other languages than the shop's."""

from alembic import op

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt.
    for table in ("option_group", '"option"'):
        op.execute(f"ALTER TABLE {table} ADD COLUMN translations JSON DEFAULT '{{}}' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
