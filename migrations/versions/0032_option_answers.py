"""Answers to the questions about a box: a row for each time one changes."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A new table: nothing is rebuilt, and what is stored stays as it is.
    op.create_table(
        "option_answer",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("subscription_id", INTEGER, nullable=False),
        sa.Column("question", sa.String(40), nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("answer", sa.String(40), nullable=False),
        sa.Column("question_name", sa.String(80), nullable=False),
        sa.Column("answer_name", sa.String(80), nullable=False),
        sa.Column("cycle_id", INTEGER, nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("number > 0", name=op.f("ck_option_answer_number_positive")),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_option_answer_subscription_id"),
        ),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["box_cycle.id"], name=op.f("fk_option_answer_cycle_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_option_answer")),
        sa.UniqueConstraint(
            "subscription_id",
            "question",
            "number",
            name=op.f("uq_option_answer_subscription_id_question_number"),
        ),
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
