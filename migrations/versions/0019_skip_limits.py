"""How often the boxes of a plan may be skipped, and how long before the cut-off."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    integer = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    for name in ("skips_in_row", "skips_per_year"):
        op.execute(
            f"ALTER TABLE plan ADD COLUMN {name} {integer} "
            f"CONSTRAINT ck_plan_{name} CHECK ({name} >= 0)"
        )
    op.execute(
        f"ALTER TABLE plan ADD COLUMN skip_notice_days {integer} DEFAULT 0 NOT NULL "
        "CONSTRAINT ck_plan_skip_notice_days CHECK (skip_notice_days >= 0)"
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
