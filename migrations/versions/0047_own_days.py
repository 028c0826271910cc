"""Cycles whose days staff typed themselves."""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    no, yes = ("false", "true") if is_postgresql else ("0", "1")
    op.execute(f"ALTER TABLE box_cycle ADD COLUMN own_days BOOLEAN DEFAULT {no} NOT NULL")
    op.execute(
        f"UPDATE box_cycle SET own_days = {yes} WHERE public_id IN "
        "(SELECT object_ref FROM audit_entry WHERE action = 'cycle.days')"
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
