"""Add-ons for boxes that are paid for already, bought by an invoice of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "box_addition",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", INTEGER, nullable=False),
        sa.Column("addon_id", INTEGER, nullable=False),
        sa.Column("variant_id", INTEGER, nullable=True),
        sa.Column("quantity", INTEGER, nullable=False),
        sa.Column("unit_minor", INTEGER, nullable=False),
        sa.Column("reach", sa.String(length=8), nullable=False),
        sa.Column("goes_on_from", sa.Date(), nullable=True),
        sa.Column("invoice_id", INTEGER, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("once", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_box_addition_quantity_positive")),
        sa.CheckConstraint("reach IN ('next','rest')", name=op.f("ck_box_addition_reach")),
        sa.CheckConstraint(
            "state IN ('waiting','applied','withdrawn')", name=op.f("ck_box_addition_state")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_box_addition_subscription_id")
        ),
        sa.ForeignKeyConstraint(["addon_id"], ["addon.id"], name=op.f("fk_box_addition_addon_id")),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_box_addition_variant_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_box_addition_invoice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_addition")),
        sa.UniqueConstraint("public_id", name=op.f("uq_box_addition_public_id")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_box_addition_invoice_id")),
        sa.UniqueConstraint("once", name=op.f("uq_box_addition_once")),
    )
    for column in ("subscription_id", "addon_id", "variant_id"):
        op.create_index(op.f(f"ix_box_addition_{column}"), "box_addition", [column], unique=False)
    op.create_table(
        "box_addition_box",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("addition_id", INTEGER, nullable=False),
        sa.Column("box_id", INTEGER, nullable=False),
        sa.Column("gross_minor", INTEGER, nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("gross_minor >= 0", name=op.f("ck_box_addition_box_gross_not_negative")),
        sa.ForeignKeyConstraint(
            ["addition_id"], ["box_addition.id"], name=op.f("fk_box_addition_box_addition_id")
        ),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_box_addition_box_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_addition_box")),
    )
    for column in ("addition_id", "box_id"):
        op.create_index(
            op.f(f"ix_box_addition_box_{column}"), "box_addition_box", [column], unique=False
        )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
