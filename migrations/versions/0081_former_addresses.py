"""Addresses that pages of the merchant had before they were renamed."""

import sqlalchemy as sa
from alembic import op

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "former_address",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("page_id", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"], ["content_page.id"], name=op.f("fk_former_address_page_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_address")),
        sa.UniqueConstraint("slug", name=op.f("uq_former_address_slug")),
    )
    op.create_index(op.f("ix_former_address_page_id"), "former_address", ["page_id"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
