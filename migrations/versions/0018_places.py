"""How many subscribers a plan takes, and what open orders hold of it."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "plan_places",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("places", INTEGER, nullable=True),
        sa.Column("sells_by_stock", sa.Boolean(), nullable=False),
        sa.CheckConstraint("places > 0", name=op.f("ck_plan_places_places_positive")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_places_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_places")),
        sa.UniqueConstraint("plan_id", name=op.f("uq_plan_places_plan_id")),
    )
    op.create_table(
        "order_hold",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("checkout_id", INTEGER, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("quantity", INTEGER, nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_hold_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_order_hold_checkout_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_order_hold_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_hold")),
        sa.UniqueConstraint(
            "checkout_id", "position", name=op.f("uq_order_hold_checkout_id_position")
        ),
    )
    op.create_index("ix_order_hold_plan", "order_hold", ["plan_id", "until_at"], unique=False)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
