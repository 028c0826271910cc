"""Whom invoices are made out to where it is not who gets the box."""

from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("checkout", "customer"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN billing JSON DEFAULT '{{}}' NOT NULL")
