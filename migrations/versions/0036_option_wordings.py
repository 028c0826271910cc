"""Questions about a box and their answers can be renamed; their former names are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A new table: nothing is rebuilt, and what is stored stays as it is.
    op.create_table(
        "option_wording",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("question", sa.String(40), nullable=False),
        sa.Column("answer", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_option_wording_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_option_wording")),
    )
    op.create_index("ix_option_wording_plan", "option_wording", ["plan_id", "id"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
