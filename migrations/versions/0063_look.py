"""The rest of a shop's look, and the looks it had."""

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Plain columns with a default: on SQLite no table is rebuilt, and the previous release goes on
    # writing the row without them.
    for name, ours in (
        ("paper", "warm"),
        ("heading", "serif"),
        ("corners", "soft"),
        ("spacing", "even"),
    ):
        column = sa.Column(name, sa.String(8), nullable=False, server_default=ours)
        op.add_column("shop_settings", column)
    op.create_table(
        "shop_look",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("look", sa.JSON(), nullable=False),
        sa.Column("since_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_look")),
        sa.UniqueConstraint("public_id", name=op.f("uq_shop_look_public_id")),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
