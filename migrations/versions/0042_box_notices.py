"""Mails before the cut-off of the next box, and days on which a cycle is sold."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    integer = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # A plain column: on SQLite no table is rebuilt. Plans that are there go on without the mail.
    op.execute(
        f"ALTER TABLE plan ADD COLUMN box_notice_days {integer} DEFAULT 0 NOT NULL "
        "CONSTRAINT ck_plan_box_notice_days CHECK (box_notice_days BETWEEN 0 AND 14)"
    )
    # Empty for every cycle that is there: sold up to its cut-off, as before.
    op.execute("ALTER TABLE box_cycle ADD COLUMN sells_from DATE")
    op.execute(
        "ALTER TABLE box_cycle ADD COLUMN sells_until DATE "
        "CONSTRAINT ck_box_cycle_sales_in_order CHECK (sells_from <= sells_until)"
    )
    op.create_table(
        "box_notice",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("cycle_id", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("through_id", INTEGER, nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("through_id >= 0", name=op.f("ck_box_notice_through_positive")),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["box_cycle.id"], name=op.f("fk_box_notice_cycle_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_box_notice_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_notice")),
        sa.UniqueConstraint("cycle_id", "plan_id", name=op.f("uq_box_notice_cycle_id_plan_id")),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
