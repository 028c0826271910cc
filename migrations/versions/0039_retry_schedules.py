"""Schedules of tries after a decline for groups of subscribers."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A new table: nothing is rebuilt, and what is stored stays as it is.
    op.create_table(
        "retry_schedule",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=True),
        sa.Column("countries", sa.JSON(), nullable=False),
        sa.Column("began", sa.String(6), nullable=False),
        sa.Column("began_days", INTEGER, nullable=False),
        sa.Column("retry_days", sa.JSON(), nullable=False),
        sa.Column("retry_minute", INTEGER, nullable=False),
        sa.Column("last_action", sa.String(8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "began IN ('any','within','before')", name=op.f("ck_retry_schedule_began")
        ),
        sa.CheckConstraint("began_days > 0", name=op.f("ck_retry_schedule_began_days")),
        sa.CheckConstraint(
            "retry_minute BETWEEN 0 AND 1439", name=op.f("ck_retry_schedule_retry_minute")
        ),
        sa.CheckConstraint(
            "last_action IN ('cancel','pause','leave')",
            name=op.f("ck_retry_schedule_last_action"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_retry_schedule_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retry_schedule")),
        sa.UniqueConstraint("public_id", name=op.f("uq_retry_schedule_public_id")),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
