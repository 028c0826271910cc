"""Who waits for a place of a plan, and how long an invitation keeps one."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    integer = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute(
        f"ALTER TABLE plan_places ADD COLUMN invite_hours {integer} DEFAULT 48 NOT NULL "
        "CONSTRAINT ck_plan_places_invite_hours CHECK (invite_hours > 0)"
    )
    op.create_table(
        "waiting_place",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("plan_id", _BIG, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(invited_at IS NULL) = (until_at IS NULL)",
            name=op.f("ck_waiting_place_invited_until"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_waiting_place_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting_place")),
        sa.UniqueConstraint("public_id", name=op.f("uq_waiting_place_public_id")),
        sa.UniqueConstraint("plan_id", "email", name=op.f("uq_waiting_place_plan_id_email")),
    )
    op.create_index("ix_waiting_place_until", "waiting_place", ["until_at", "plan_id"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
