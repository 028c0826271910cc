"""Pages and questions that a merchant writes."""

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt.
    op.execute("ALTER TABLE shop_settings ADD COLUMN content JSON DEFAULT '{}' NOT NULL")
    op.create_table(
        "content_page",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("place", sa.String(length=8), nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "place IN ('footer','header','nowhere')", name=op.f("ck_content_page_place")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_page")),
        sa.UniqueConstraint("public_id", name=op.f("uq_content_page_public_id")),
        sa.UniqueConstraint("slug", name=op.f("uq_content_page_slug")),
    )
    op.create_index("ix_content_page_position", "content_page", ["position"], unique=False)
    op.create_table(
        "faq_entry",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("plan_id", INTEGER, nullable=True),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_faq_entry_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_faq_entry")),
        sa.UniqueConstraint("public_id", name=op.f("uq_faq_entry_public_id")),
    )
    op.create_index(
        "ix_faq_entry_plan_id_position", "faq_entry", ["plan_id", "position"], unique=False
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
