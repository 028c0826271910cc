"""Recipients of gifts may go on with a card of their own, in an order of theirs."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    integer = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # Plain columns: on SQLite no table is rebuilt.
    op.execute(
        f"ALTER TABLE gift ADD COLUMN checkout_id {integer} "
        "CONSTRAINT fk_gift_checkout_id REFERENCES checkout (id)"
    )
    op.execute("ALTER TABLE gift ADD COLUMN follows_on DATE")
    op.create_index(op.f("ix_gift_checkout_id"), "gift", ["checkout_id"])


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
