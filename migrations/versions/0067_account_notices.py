"""Mails that are notices of the account too, and announcements of the merchant."""

import sqlalchemy as sa
from alembic import op

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt. What was mailed before is no news.
    op.add_column("outbox_message", sa.Column("read_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE outbox_message SET read_at = created_at"
        " WHERE kind = 'mail' AND customer_id IS NOT NULL"
    )
    op.create_table(
        "announcement",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("plan_id", INTEGER, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("until_on >= from_on", name=op.f("ck_announcement_days")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_announcement_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcement")),
        sa.UniqueConstraint("public_id", name=op.f("uq_announcement_public_id")),
    )
    op.create_index("ix_announcement_until_on", "announcement", ["until_on"], unique=False)
    op.create_table(
        "announcement_dismissal",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("announcement_id", INTEGER, nullable=False),
        sa.Column("customer_id", INTEGER, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_id"],
            ["announcement.id"],
            name=op.f("fk_announcement_dismissal_announcement_id"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_announcement_dismissal_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcement_dismissal")),
        sa.UniqueConstraint(
            "customer_id",
            "announcement_id",
            name=op.f("uq_announcement_dismissal_customer_id_announcement_id"),
        ),
    )
    op.create_index(
        op.f("ix_announcement_dismissal_announcement_id"),
        "announcement_dismissal",
        ["announcement_id"],
        unique=False,
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
