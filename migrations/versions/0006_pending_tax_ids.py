"""Index the VAT numbers that wait for an answer of the register.

Only an index is added: the version before runs on it as well.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_customer_tax_id_pending"
        " ON customer (tax_id_checked_at, id) WHERE tax_id_state = 'pending'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ix_customer_tax_id_pending")
