"""Subscribers take something else instead of a product of their recipe."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "swap_offer",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("variant_id", INTEGER, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_swap_offer_plan_id")),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_swap_offer_variant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_swap_offer")),
        sa.UniqueConstraint("plan_id", "variant_id", name=op.f("uq_swap_offer_plan_id_variant_id")),
    )
    op.create_index(op.f("ix_swap_offer_variant_id"), "swap_offer", ["variant_id"], unique=False)
    op.create_table(
        "box_swap",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("subscription_id", INTEGER, nullable=False),
        sa.Column("variant_id", INTEGER, nullable=False),
        sa.Column("instead_id", INTEGER, nullable=True),
        sa.Column("is_standing", sa.Boolean(), nullable=False),
        sa.Column("from_id", INTEGER, nullable=False),
        sa.Column("until_id", INTEGER, nullable=True),
        sa.Column("pieces", INTEGER, nullable=False),
        sa.Column("swapped_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("instead_id <> variant_id", name=op.f("ck_box_swap_something_else")),
        sa.CheckConstraint(
            "NOT is_standing OR instead_id IS NOT NULL", name=op.f("ck_box_swap_standing_names_it")
        ),
        sa.CheckConstraint(
            "is_standing OR until_id IS NULL", name=op.f("ck_box_swap_once_has_no_end")
        ),
        sa.CheckConstraint("pieces > 0", name=op.f("ck_box_swap_pieces_positive")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_box_swap_subscription_id")
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_box_swap_variant_id")
        ),
        sa.ForeignKeyConstraint(
            ["instead_id"], ["product_variant.id"], name=op.f("fk_box_swap_instead_id")
        ),
        sa.ForeignKeyConstraint(["from_id"], ["box_cycle.id"], name=op.f("fk_box_swap_from_id")),
        sa.ForeignKeyConstraint(["until_id"], ["box_cycle.id"], name=op.f("fk_box_swap_until_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_swap")),
        sa.UniqueConstraint(
            "subscription_id",
            "variant_id",
            "from_id",
            "is_standing",
            name=op.f("uq_box_swap_subscription_id_variant_id_from_id_is_standing"),
        ),
    )
    op.create_index(op.f("ix_box_swap_from_id"), "box_swap", ["from_id"], unique=False)
    op.create_index(op.f("ix_box_swap_instead_id"), "box_swap", ["instead_id"], unique=False)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
