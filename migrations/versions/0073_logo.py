"""A logo of the shop."""

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt.
    op.execute("ALTER TABLE shop_settings ADD COLUMN logo JSON DEFAULT '{}' NOT NULL")
    op.create_table(
        "shop_logo",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("digest", sa.String(length=24), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_shop_logo_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_logo")),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
