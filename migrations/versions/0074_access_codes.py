"""A code that opens a private plan."""

from alembic import op

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt. Plans of before need no code.
    op.execute("ALTER TABLE plan ADD COLUMN access_code VARCHAR(40)")
    op.create_index("ix_plan_access_code", "plan", ["access_code"], unique=True)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
