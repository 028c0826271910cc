"""When the first box of a plan leaves, and where that of an order goes."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute("ALTER TABLE plan ADD COLUMN first_box_on DATE")
    op.execute(
        "ALTER TABLE plan ADD COLUMN first_box VARCHAR(5) DEFAULT 'next' NOT NULL "
        "CONSTRAINT ck_plan_first_box CHECK (first_box IN ('next','now')"
        " OR first_box = 'later' AND first_box_on IS NOT NULL)"
    )
    op.create_table(
        "first_box",
        sa.Column("period_id", INTEGER, nullable=False, autoincrement=False),
        sa.Column("rule", sa.String(length=5), nullable=False),
        sa.Column("cycle_id", INTEGER, nullable=False),
        sa.Column("ships_on", sa.Date(), nullable=False),
        sa.Column("places_from", sa.Date(), nullable=False),
        sa.CheckConstraint("rule IN ('now','later')", name=op.f("ck_first_box_rule")),
        sa.ForeignKeyConstraint(["cycle_id"], ["box_cycle.id"], name=op.f("fk_first_box_cycle_id")),
        sa.ForeignKeyConstraint(
            ["period_id"], ["subscription_period.id"], name=op.f("fk_first_box_period_id")
        ),
        sa.PrimaryKeyConstraint("period_id", name=op.f("pk_first_box")),
    )
    op.create_index(op.f("ix_first_box_cycle_id"), "first_box", ["cycle_id"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
