"""Subscribers who have not chosen are reminded before the cut-off, once per box."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    integer = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # A plain column: on SQLite no table is rebuilt.
    op.execute(
        f"ALTER TABLE choice_rule ADD COLUMN reminder_days {integer} DEFAULT 3 NOT NULL "
        "CONSTRAINT ck_choice_rule_reminder_days CHECK (reminder_days BETWEEN 0 AND 14)"
    )
    op.create_table(
        "choice_reminder",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("cycle_id", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("through_id", INTEGER, nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("through_id >= 0", name=op.f("ck_choice_reminder_through_positive")),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["box_cycle.id"], name=op.f("fk_choice_reminder_cycle_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_choice_reminder_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_choice_reminder")),
        sa.UniqueConstraint(
            "cycle_id", "plan_id", name=op.f("uq_choice_reminder_cycle_id_plan_id")
        ),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
