"""Conversations between customers and the merchant."""

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "inquiry",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", INTEGER, nullable=False),
        sa.Column("topic", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("about_ref", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("messages", INTEGER, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('open','answered','closed')", name=op.f("ck_inquiry_state")),
        sa.CheckConstraint(
            "topic IN ('box','payment','subscription','account','other')",
            name=op.f("ck_inquiry_topic"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_inquiry_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inquiry")),
        sa.UniqueConstraint("public_id", name=op.f("uq_inquiry_public_id")),
    )
    op.create_index(op.f("ix_inquiry_customer_id"), "inquiry", ["customer_id"], unique=False)
    op.create_index("ix_inquiry_last_at", "inquiry", ["last_at"], unique=False)
    op.create_index("ix_inquiry_state_last_at", "inquiry", ["state", "last_at"], unique=False)
    op.create_table(
        "inquiry_message",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("inquiry_id", INTEGER, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("once", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=12), nullable=False),
        sa.Column("staff_id", INTEGER, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "author IN ('customer','staff','note')", name=op.f("ck_inquiry_message_author")
        ),
        sa.ForeignKeyConstraint(
            ["inquiry_id"], ["inquiry.id"], name=op.f("fk_inquiry_message_inquiry_id")
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_inquiry_message_staff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inquiry_message")),
        sa.UniqueConstraint(
            "inquiry_id", "number", name=op.f("uq_inquiry_message_inquiry_id_number")
        ),
        sa.UniqueConstraint("once", name=op.f("uq_inquiry_message_once")),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
