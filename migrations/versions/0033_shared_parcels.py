"""Boxes of one customer that leave together in one parcel, where the shop wants that."""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    integer = "BIGINT" if is_postgresql else "INTEGER"
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute(
        f"ALTER TABLE box ADD COLUMN parcel_id {integer}"
        " CONSTRAINT fk_box_parcel_id REFERENCES box (id)"
    )
    op.create_index(op.f("ix_box_parcel_id"), "box", ["parcel_id"])
    no = "false" if is_postgresql else "0"
    op.execute(f"ALTER TABLE shop_settings ADD COLUMN shares_parcels BOOLEAN DEFAULT {no} NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
