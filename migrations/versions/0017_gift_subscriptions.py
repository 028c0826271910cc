"""Subscriptions that somebody gives: who to, from when on, and whether they came to claim it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    no, empty = ("false", "'{}'::json") if is_postgresql else ("0", "'{}'")
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute(f"ALTER TABLE subscription ADD COLUMN is_gift BOOLEAN DEFAULT {no} NOT NULL")
    op.execute(f"ALTER TABLE box_skip ADD COLUMN is_forced BOOLEAN DEFAULT {no} NOT NULL")
    op.execute(f"ALTER TABLE checkout ADD COLUMN gift JSON DEFAULT {empty} NOT NULL")
    op.create_table(
        "gift",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", INTEGER, nullable=False),
        sa.Column("giver_id", INTEGER, nullable=False),
        sa.Column("giver_name", sa.String(length=80), nullable=False),
        sa.Column("recipient_name", sa.String(length=80), nullable=False),
        sa.Column("recipient_email", sa.String(length=254), nullable=False),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("message", sa.String(length=400), nullable=False),
        sa.Column("send_on", sa.Date(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_gift_subscription_id")
        ),
        sa.ForeignKeyConstraint(["giver_id"], ["customer.id"], name=op.f("fk_gift_giver_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gift")),
        sa.UniqueConstraint("public_id", name=op.f("uq_gift_public_id")),
        sa.UniqueConstraint("subscription_id", name=op.f("uq_gift_subscription_id")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_gift_code_hash")),
    )
    op.create_index(op.f("ix_gift_giver_id"), "gift", ["giver_id"], unique=False)
    op.create_index(op.f("ix_gift_waiting"), "gift", ["claimed_at", "send_on"], unique=False)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
