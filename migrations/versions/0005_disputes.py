"""What disputes need: kinds of journal that book them, and charges by the gateway's own name."""

from alembic import op

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None

_NEW = ("dispute_opened", "dispute_won", "dispute_lost")
#: Name -> statement.
INDEXES = {
    "ix_charge_attempt_gateway_reference": (
        "CREATE INDEX IF NOT EXISTS ix_charge_attempt_gateway_reference ON charge_attempt "
        "(gateway_reference) WHERE gateway_reference <> ''"
    ),
}
_OLD_KINDS = (
    "invoice_finalised",
    "invoice_paid",
    "credit_applied",
    "credit_note",
    "refund_done",
    "refund_failed",
    "surplus",
    "credit_granted",
    "box_earned",
    "days_earned",
    "written_off",
    "amount_carried",
    "box_forfeited",
    "gateway_fee",
    "payout",
    "reversal",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        kinds = ", ".join(f"'{kind}'" for kind in (*_OLD_KINDS, *_NEW))
        op.execute(
            "ALTER TABLE ledger_journal DROP CONSTRAINT ck_ledger_journal_journal_kind, "
            f"ADD CONSTRAINT ck_ledger_journal_journal_kind CHECK (kind IN ({kinds}))"
        )
    else:
        new = ", ".join(f"'{kind}'" for kind in ("reversal", *_NEW))
        _rebuild("ledger_journal", "'reversal'", new)
    for statement in INDEXES.values():
        op.execute(statement)


def _rebuild(table: str, old: str, new: str) -> None:
    """Make a table of SQLite anew with ``old`` in its text replaced, its rows, its indexes."""
    connection = op.get_bind()
    (text,) = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).one()
    if text.count(old) != 1:
        raise RuntimeError(f"{table} does not have {old} once")
    indexes = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') "
        "AND sql IS NOT NULL",
        (table,),
    ).all()
    names = (f'CREATE TABLE "{table}"', f"CREATE TABLE {table}")
    head = next(name for name in names if text.startswith(name))
    fresh = text.replace(head, f"CREATE TABLE {table}_fresh", 1).replace(old, new)
    connection.exec_driver_sql(fresh)
    connection.exec_driver_sql(f"INSERT INTO {table}_fresh SELECT * FROM {table}")
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE {table}_fresh RENAME TO {table}")
    for (statement,) in indexes:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise RuntimeError("payments are not taken back; restore a backup instead")
