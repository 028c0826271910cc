"""Boxes that came back wait on a list until somebody decided about them."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0039"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A new table: nothing is rebuilt, and what is stored stays as it is. What came back before
    # was dealt with or not, which nobody noted: it is not put on the list.
    op.create_table(
        "box_return",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("box_id", INTEGER, nullable=False),
        sa.Column("came_back_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_ref", sa.String(40), nullable=False),
        sa.CheckConstraint(
            "(settled_at IS NULL) = (settled_ref = '')",
            name=op.f("ck_box_return_settled_by_staff"),
        ),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_box_return_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_return")),
        sa.UniqueConstraint("box_id", name=op.f("uq_box_return_box_id")),
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_box_return_open ON box_return (box_id) "
        "WHERE settled_at IS NULL"
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
