"""What subscribers ask of a box after its cut-off."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "late_change",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("box_id", INTEGER, nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("address", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(length=400), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(length=8), nullable=False),
        sa.Column("asked_ref", sa.String(length=40), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_ref", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("credit_minor", INTEGER, nullable=False),
        sa.CheckConstraint("kind IN ('address','keep_back')", name=op.f("ck_late_change_kind")),
        sa.CheckConstraint(
            "state IN ('open','accepted','refused','expired')", name=op.f("ck_late_change_state")
        ),
        sa.CheckConstraint(
            "asked_by IN ('customer','staff')", name=op.f("ck_late_change_asked_by")
        ),
        sa.CheckConstraint(
            "(state = 'open') = (decided_at IS NULL)",
            name=op.f("ck_late_change_decided_unless_open"),
        ),
        sa.CheckConstraint(
            "state <> 'refused' OR reason <> ''", name=op.f("ck_late_change_refused_with_reason")
        ),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_late_change_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_change")),
        sa.UniqueConstraint("public_id", name=op.f("uq_late_change_public_id")),
    )
    op.create_index(op.f("ix_late_change_box_id"), "late_change", ["box_id"], unique=False)
    op.execute(
        "CREATE UNIQUE INDEX IF NOT EXISTS uq_late_change_open ON late_change (box_id)"
        " WHERE state = 'open'"
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
