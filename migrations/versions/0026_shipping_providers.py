"""Boxes that a shipping provider has or follows, its messages, and which groups use it."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
INDEXES = {
    "ix_provider_parcel_due": ("provider_parcel", "(try_at, id) WHERE try_at IS NOT NULL"),
    "ix_provider_parcel_reference": (
        "provider_parcel",
        "(provider_reference) WHERE provider_reference <> ''",
    ),
    "ix_parcel_event_waiting": ("parcel_event", "(try_at, id) WHERE state = 'waiting'"),
}


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.add_column(
        "cycle_group",
        sa.Column("export_provider", sa.String(24), server_default="", nullable=False),
    )
    op.create_table(
        "provider_parcel",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("box_id", INTEGER, nullable=False),
        sa.Column("provider", sa.String(24), nullable=False),
        sa.Column("way", sa.String(6), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("provider_reference", sa.String(80), nullable=False),
        sa.Column("tries", INTEGER, nullable=False),
        sa.Column("try_at", MOMENT, nullable=True),
        sa.Column("asked_at", MOMENT, nullable=True),
        sa.Column("error", sa.String(255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("way IN ('box','number')", name=op.f("ck_provider_parcel_way")),
        sa.CheckConstraint(
            "state IN ('planned','asked','taken','refused','over')",
            name=op.f("ck_provider_parcel_state"),
        ),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_provider_parcel_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_parcel")),
        sa.UniqueConstraint("box_id", name=op.f("uq_provider_parcel_box_id")),
    )
    op.create_table(
        "parcel_event",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("provider", sa.String(24), nullable=False),
        sa.Column("event_id", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("reference", sa.String(80), nullable=False),
        sa.Column("provider_reference", sa.String(80), nullable=False),
        sa.Column("number", sa.String(80), nullable=False),
        sa.Column("carrier", sa.String(40), nullable=False),
        sa.Column("says", sa.String(9), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("applied_at", MOMENT, nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("tries", INTEGER, nullable=False),
        sa.Column("try_at", MOMENT, nullable=True),
        sa.Column("error", sa.String(255), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting','applied','orphan','failed')", name=op.f("ck_parcel_event_state")
        ),
        sa.CheckConstraint(
            "says IN ('','shipped','delivered','returned')", name=op.f("ck_parcel_event_says")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parcel_event")),
        sa.UniqueConstraint("provider", "event_id", name=op.f("uq_parcel_event_provider_event_id")),
    )
    op.create_index("ix_parcel_event_state", "parcel_event", ["state", "received_at"])
    for name, (table, rest) in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {table} {rest}")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
