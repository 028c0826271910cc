"""Mails to those whose next box leaves on another day, because days off were changed."""

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ship_day_notice",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("cycle_id", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("told_from", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("through_id", INTEGER, nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("through_id >= 0", name=op.f("ck_ship_day_notice_through_positive")),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["box_cycle.id"], name=op.f("fk_ship_day_notice_cycle_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_ship_day_notice_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ship_day_notice")),
        sa.UniqueConstraint(
            "cycle_id", "plan_id", name=op.f("uq_ship_day_notice_cycle_id_plan_id")
        ),
    )
    op.execute(
        "CREATE INDEX ix_ship_day_notice_open ON ship_day_notice (due_at) WHERE done_at IS NULL"
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
