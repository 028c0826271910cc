"""Who tried which card, and how many declined ones are let through."""

import sqlalchemy as sa
from alembic import op

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEXES = {
    "ix_card_try_created_at": ["created_at"],
    "ix_card_try_declined_at": ["declined_at"],
    "ix_card_try_person": ["person", "declined_at"],
    "ix_card_try_sender": ["sender", "declined_at"],
}


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt.
    for name, number in (("person", "6"), ("address", "20"), ("alarm", "30")):
        most = sa.Column(f"declines_{name}", INTEGER, server_default=number, nullable=False)
        op.add_column("shop_settings", most)
    op.create_table(
        "card_try",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("setup_id", INTEGER, nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("declined_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["setup_id"], ["gateway_setup.id"], name=op.f("fk_card_try_setup_id_gateway_setup")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_try")),
        sa.UniqueConstraint("setup_id", name=op.f("uq_card_try_setup_id")),
    )
    for name, columns in _INDEXES.items():
        op.create_index(name, "card_try", columns)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
