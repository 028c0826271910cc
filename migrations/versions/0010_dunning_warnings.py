"""Find the chases whose last warning is due without reading all open ones."""

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


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
