"""When a session was last used."""

from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt. Empty where nothing was noted yet.
    kind = "TIMESTAMP WITH TIME ZONE" if op.get_bind().dialect.name == "postgresql" else "DATETIME"
    for table in ("login_session", "staff_session"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN seen_at {kind}")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
