"""Formats of exports: chosen per group of plans, a merchant's own, frozen in each batch."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.add_column(
        "cycle_group",
        sa.Column("export_format", sa.String(40), nullable=False, server_default="generic_csv"),
    )
    op.add_column(
        "cycle_group", sa.Column("export_mail", sa.String(254), nullable=False, server_default="")
    )
    op.add_column("fulfilment_batch", sa.Column("layout", sa.JSON, nullable=True))
    op.add_column(
        "shop_settings",
        sa.Column("tracking_links", sa.JSON, nullable=False, server_default="{}"),
    )
    op.create_table(
        "export_format",
        sa.Column("id", BIG, nullable=False),
        sa.Column("public_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("layout", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_format")),
        sa.UniqueConstraint("public_id", name=op.f("uq_export_format_public_id")),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
