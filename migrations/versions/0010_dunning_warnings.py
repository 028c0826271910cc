"""Find the chases whose last warning is due by an index; keep whole numbers in one type."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

#: Name -> statement.
INDEXES = {
    "ix_dunning_case_warn": (
        "CREATE INDEX IF NOT EXISTS ix_dunning_case_warn ON dunning_case (warn_at, id) "
        "WHERE state = 'open' AND warn_at IS NOT NULL"
    ),
}


def upgrade() -> None:
    for statement in INDEXES.values():
        op.execute(statement)
    if op.get_bind().dialect.name == "postgresql":
        # SQLite has one type for whole numbers.
        op.execute("ALTER TABLE plan ALTER COLUMN retry_minute TYPE BIGINT")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
