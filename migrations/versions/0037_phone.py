"""Whether shoppers are asked for a phone number for the carrier."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute(
        "ALTER TABLE shop_settings ADD COLUMN phone VARCHAR(4) DEFAULT 'may' NOT NULL"
        " CONSTRAINT ck_shop_settings_phone CHECK (phone IN ('no','may','must'))"
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
