"""What the shop offers to somebody who is about to leave."""

import sqlalchemy as sa
from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leaving_offer",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("plan_id", INTEGER, nullable=True),
        sa.Column("boxes", INTEGER, nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("rest_days", INTEGER, nullable=False),
        sa.Column("taken", INTEGER, nullable=False),
        sa.Column("declined", INTEGER, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('pause','skip','discount')", name=op.f("ck_leaving_offer_kind")
        ),
        sa.CheckConstraint("boxes >= 0", name=op.f("ck_leaving_offer_boxes_not_negative")),
        sa.CheckConstraint("rest_days > 0", name=op.f("ck_leaving_offer_rest_days_positive")),
        sa.CheckConstraint(
            "taken >= 0 AND declined >= 0", name=op.f("ck_leaving_offer_counts_not_negative")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_leaving_offer_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leaving_offer")),
        sa.UniqueConstraint("public_id", name=op.f("uq_leaving_offer_public_id")),
    )
    op.create_index(op.f("ix_leaving_offer_plan_id"), "leaving_offer", ["plan_id"], unique=False)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
