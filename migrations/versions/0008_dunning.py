"""When a declined charge is tried again on its day, and when the last warning goes out."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute(
        "ALTER TABLE plan ADD COLUMN retry_minute INTEGER DEFAULT 540 NOT NULL "
        "CONSTRAINT ck_plan_retry_minute CHECK (retry_minute BETWEEN 0 AND 1439)"
    )
    op.add_column("dunning_case", sa.Column("warn_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
