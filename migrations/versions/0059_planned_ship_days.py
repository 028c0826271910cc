"""The day a cycle leaves before days off move it."""

from alembic import op

revision = "0059"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt. It stays empty where no release has noted
    # it; the next change of days off or of a rhythm reads it off the rhythm then.
    op.execute("ALTER TABLE box_cycle ADD COLUMN planned_from DATE")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
