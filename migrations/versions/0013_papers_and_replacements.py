"""Papers of batches, made by the worker; boxes that replace others, with reason and cost."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Name -> statement.
INDEXES = {
    "ix_batch_paper_waiting": (
        "CREATE INDEX IF NOT EXISTS ix_batch_paper_waiting ON batch_paper (id) "
        "WHERE made_at IS NULL"
    ),
    "uq_box_replaces": (
        "CREATE UNIQUE INDEX IF NOT EXISTS uq_box_replaces ON box (replaces_id) "
        "WHERE replaces_id IS NOT NULL AND state <> 'canceled'"
    ),
}


def upgrade() -> None:
    op.create_table(
        "batch_paper",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("batch_id", _BIG, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("layout", sa.String(length=16), nullable=False),
        sa.Column("shop", sa.JSON(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.CheckConstraint("kind IN ('slips','labels')", name=op.f("ck_batch_paper_kind")),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["fulfilment_batch.id"],
            name=op.f("fk_batch_paper_batch_id_fulfilment_batch"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_paper")),
        sa.UniqueConstraint("public_id", name=op.f("uq_batch_paper_public_id")),
        sa.UniqueConstraint(
            "batch_id", "kind", "layout", name=op.f("uq_batch_paper_batch_id_kind_layout")
        ),
    )
    op.create_table(
        "box_replacement",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("box_id", _BIG, nullable=False),
        sa.Column("reason", sa.String(length=12), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("goods_minor", _BIG, nullable=False),
        sa.Column("shipping_minor", _BIG, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("has_unknown_cost", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.CheckConstraint(
            "reason IN ('lost','returned','damaged','incomplete','wrong')",
            name=op.f("ck_box_replacement_reason"),
        ),
        sa.CheckConstraint(
            "goods_minor >= 0 AND shipping_minor >= 0",
            name=op.f("ck_box_replacement_costs_not_negative"),
        ),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_box_replacement_box_id_box")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_replacement")),
        sa.UniqueConstraint("box_id", name=op.f("uq_box_replacement_box_id")),
    )
    op.create_index(
        op.f("ix_box_replacement_created_at"), "box_replacement", ["created_at"], unique=False
    )
    for statement in INDEXES.values():
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
