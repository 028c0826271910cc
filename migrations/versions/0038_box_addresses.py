"""A box of a coming cycle may have an address of its own before it is paid for."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "box_address",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("subscription_id", INTEGER, nullable=False),
        sa.Column("cycle_id", INTEGER, nullable=False),
        sa.Column("address_id", INTEGER, nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_box_address_subscription_id")
        ),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["box_cycle.id"], name=op.f("fk_box_address_cycle_id")
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_box_address_address_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_address")),
        sa.UniqueConstraint(
            "subscription_id", "cycle_id", name=op.f("uq_box_address_subscription_id_cycle_id")
        ),
    )
    op.create_index(op.f("ix_box_address_cycle_id"), "box_address", ["cycle_id"], unique=False)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
