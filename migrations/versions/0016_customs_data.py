"""What customs ask of a product: tariff number, country of origin, what it is."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    for column in ("hs_code VARCHAR(10)", "origin_country VARCHAR(2)", "customs_text VARCHAR(60)"):
        op.execute(f"ALTER TABLE product_variant ADD COLUMN {column} DEFAULT '' NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
