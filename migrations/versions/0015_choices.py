"""Subscribers choose what is in their boxes, and say what they do not tolerate."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    words = "false" if op.get_bind().dialect.name == "postgresql" else "0"
    op.execute(f"ALTER TABLE recipe_item ADD COLUMN is_choice BOOLEAN DEFAULT {words} NOT NULL")
    op.create_table(
        "choice_rule",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("recipe_id", INTEGER, nullable=False),
        sa.Column("pieces", INTEGER, nullable=False),
        sa.Column("value_minor", INTEGER, nullable=True),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("avoids_allergens", sa.Boolean(), nullable=False),
        sa.Column("never_repeats", sa.Boolean(), nullable=False),
        sa.CheckConstraint("pieces > 0", name=op.f("ck_choice_rule_pieces_positive")),
        sa.CheckConstraint(
            "value_minor IS NULL OR value_minor > 0", name=op.f("ck_choice_rule_value_positive")
        ),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipe.id"], name=op.f("fk_choice_rule_recipe_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_choice_rule")),
        sa.UniqueConstraint("recipe_id", name=op.f("uq_choice_rule_recipe_id")),
    )
    op.create_table(
        "box_choice",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("subscription_id", INTEGER, nullable=False),
        sa.Column("cycle_id", INTEGER, nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_box_choice_subscription_id")
        ),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["box_cycle.id"], name=op.f("fk_box_choice_cycle_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_choice")),
        sa.UniqueConstraint(
            "subscription_id", "cycle_id", name=op.f("uq_box_choice_subscription_id_cycle_id")
        ),
    )
    op.create_index(op.f("ix_box_choice_cycle_id"), "box_choice", ["cycle_id"], unique=False)
    op.create_table(
        "box_choice_item",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("choice_id", INTEGER, nullable=False),
        sa.Column("variant_id", INTEGER, nullable=False),
        sa.Column("quantity", INTEGER, nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_box_choice_item_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["choice_id"], ["box_choice.id"], name=op.f("fk_box_choice_item_choice_id")
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_box_choice_item_variant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_choice_item")),
        sa.UniqueConstraint(
            "choice_id", "variant_id", name=op.f("uq_box_choice_item_choice_id_variant_id")
        ),
    )
    op.create_index(
        op.f("ix_box_choice_item_variant_id"), "box_choice_item", ["variant_id"], unique=False
    )
    op.create_table(
        "allergy_answer",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("subscription_id", INTEGER, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("allergens", sa.JSON(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_allergy_answer_number_positive")),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_allergy_answer_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allergy_answer")),
        sa.UniqueConstraint(
            "subscription_id", "number", name=op.f("uq_allergy_answer_subscription_id_number")
        ),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
