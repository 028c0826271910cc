"""What happens to a box when a product in it has run out, and what happened."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "shortage_rule",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("variant_id", _BIG, nullable=False),
        sa.Column("policy", sa.String(length=12), nullable=False),
        sa.Column("substitute_id", _BIG, nullable=True),
        sa.CheckConstraint("policy IN ('substitute','drop')", name=op.f("ck_shortage_rule_policy")),
        sa.CheckConstraint(
            "(policy = 'substitute') = (substitute_id IS NOT NULL)",
            name=op.f("ck_shortage_rule_substitute_named"),
        ),
        sa.CheckConstraint(
            "substitute_id <> variant_id", name=op.f("ck_shortage_rule_another_variant")
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_shortage_rule_variant_id")
        ),
        sa.ForeignKeyConstraint(
            ["substitute_id"], ["product_variant.id"], name=op.f("fk_shortage_rule_substitute_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shortage_rule")),
        sa.UniqueConstraint("variant_id", name=op.f("uq_shortage_rule_variant_id")),
    )
    op.create_table(
        "box_shortage",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("box_id", _BIG, nullable=False),
        sa.Column("variant_id", _BIG, nullable=False),
        sa.Column("quantity", _BIG, nullable=False),
        sa.Column("substitute_id", _BIG, nullable=True),
        sa.Column("credit_minor", _BIG, nullable=False),
        sa.Column("credit_note_id", _BIG, nullable=True),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_box_shortage_quantity_positive")),
        sa.CheckConstraint(
            "credit_minor >= 0 AND (substitute_id IS NULL OR credit_minor = 0)",
            name=op.f("ck_box_shortage_credit"),
        ),
        sa.CheckConstraint(
            "credit_minor = 0 OR credit_note_id IS NOT NULL",
            name=op.f("ck_box_shortage_credited_by_a_note"),
        ),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_box_shortage_box_id")),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_box_shortage_variant_id")
        ),
        sa.ForeignKeyConstraint(
            ["substitute_id"], ["product_variant.id"], name=op.f("fk_box_shortage_substitute_id")
        ),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_box_shortage_credit_note_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_shortage")),
        sa.UniqueConstraint("box_id", "variant_id", name=op.f("uq_box_shortage_box_id_variant_id")),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
