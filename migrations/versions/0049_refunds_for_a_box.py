"""The one box that a credit note gives money back for, where somebody said so."""

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    integer = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # A plain column: on SQLite no table is rebuilt.
    op.execute(
        f"ALTER TABLE credit_note ADD COLUMN box_id {integer}"
        " CONSTRAINT fk_credit_note_box_id REFERENCES box (id)"
    )
    op.create_index("ix_credit_note_box_id", "credit_note", ["box_id"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
